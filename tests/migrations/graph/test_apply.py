import hashlib
from pathlib import Path

import pytest

import watchdog
from tests.migrations.graph.conftest import Graph, Plain
from watchdog.migrations.graph.apply import apply_cypher
from watchdog.migrations.graph.rollback import rollback_graph
from watchdog.migrations.graph.runs import runs_graph, settle_graph
from watchdog.migrations.session import RefusedError
from watchdog.ports.errors import TargetError, WatchdogError
from watchdog.targets.neo4j import Neo4jOptions, Neo4jTarget

RENAME = "MATCH (c:Company) SET c.title = c.name REMOVE c.name;"


async def test_a_run_says_what_it_was(graph: Graph) -> None:
    applied = await apply_cypher(graph.target, RENAME, name="003_rename", release="7.1")
    (run,) = await runs_graph(graph.target)
    assert (run.run, run.name, run.release, run.state) == (applied.run, "003_rename", "7.1", "applied")
    assert run.script_hash == hashlib.sha256(RENAME.encode()).hexdigest()
    assert applied.archived == 3


async def test_only_the_difference_is_archived(graph: Graph) -> None:
    await apply_cypher(graph.target, "MATCH (p:Person) WHERE p.id < 3 SET p.age = 0;")
    kept = await graph.rows("MATCH (a:WatchdogArchive) RETURN a.`before.age` AS age, a.`before.name` ORDER BY age")
    assert kept == [[21, None], [22, None]]


@pytest.mark.parametrize(
    "script",
    [
        "MATCH (p:Person {id: 1}) SET p.id = 2;",
        "MATCH (p:Person) SET p.x = 1 / 0;",
        "MATCH (t:Tag) DELETE t;",
        "MATCH (p:Person) SET p.x = $missing;",
        "CREATE INDEX tags FOR (t:Tag) ON (t.name);\nMATCH (t:Tag) SET t.x = 1 / 0;",
        "CREATE INDEX tags FOR (t:Tag) ON (t.name);\nCREATE CONSTRAINT c FOR (t:Tag) REQUIRE t.name IS UNIQUE;",
        "DROP INDEX company_name;\nCREATE INDEX a FOR (t:Tag) ON (t.n);\nCREATE INDEX a FOR (t:Tag) ON (t.m);",
    ],
)
async def test_a_script_that_fails_changes_nothing(graph: Graph, script: str) -> None:
    before = await graph.picture()
    with pytest.raises(WatchdogError):
        await apply_cypher(graph.target, f"{RENAME}\n{script}")
    assert await graph.picture() == before
    assert await runs_graph(graph.target) == ()
    assert await graph.value("MATCH (a:WatchdogArchive) RETURN count(a)") == 0


async def test_the_line_that_failed_is_named_without_values(graph: Graph) -> None:
    with pytest.raises(TargetError, match=r"line 2: the statement failed, and nothing was changed") as failed:
        await apply_cypher(graph.target, f"{RENAME}\nMATCH (p:Person {{id: 1}}) SET p.id = 2;")
    assert "Person" not in str(failed.value)


async def test_a_script_that_names_no_label_does_not_change_our_own_nodes(graph: Graph) -> None:
    first = await apply_cypher(graph.target, RENAME)
    own = "MATCH (n:WatchdogArchive|WatchdogMigrationRun {run: 1}) RETURN properties(n) ORDER BY n.element"
    before = await graph.rows(own)
    second = await apply_cypher(graph.target, "MATCH (n) SET n.touched = true;")
    assert await graph.value("MATCH (n) WHERE n.touched AND NOT n:WatchdogArchive RETURN count(n)") == 23
    assert await graph.rows(own) == before
    await rollback_graph(graph.target, second.run)
    await rollback_graph(graph.target, first.run)
    assert await graph.value("MATCH (n:Company) WHERE n.name IS NOT NULL RETURN count(n)") == 3


@pytest.mark.parametrize("script", ["MATCH (n) DETACH DELETE n;", "MATCH (a:Anchor), (n) CREATE (a)-[:R]->(n);"])
async def test_a_script_that_takes_our_own_nodes_is_refused(graph: Graph, script: str) -> None:
    await apply_cypher(graph.target, RENAME)
    before = await graph.picture()
    with pytest.raises(RefusedError, match="the watchdog's own nodes"):
        await apply_cypher(graph.target, script)
    assert await graph.picture() == before


async def test_a_settled_run_has_no_archive_and_no_way_back(graph: Graph) -> None:
    applied = await apply_cypher(graph.target, RENAME)
    assert await settle_graph(graph.target, applied.run) == 3
    assert (await runs_graph(graph.target))[0].state == "settled"
    with pytest.raises(RefusedError, match="nothing to take back"):
        await rollback_graph(graph.target, applied.run)


async def test_the_demos_own_script_is_taken_back(graph: Graph) -> None:
    script = (Path(watchdog.__file__).parent / "demo/release/003_2025-01-08-001.cypher").read_text()
    await graph.run(
        "UNWIND range(1, 30) AS i CREATE (:Control {id: 'C-' + i, mitigation_count: 0})-[:ADDRESSES]->(:Risk {id: i})"
    )
    before = await graph.picture()
    applied = await apply_cypher(graph.target, script)
    assert await graph.value("MATCH ()-[m:MITIGATES]->() RETURN count(m)") == 10
    report = await rollback_graph(graph.target, applied.run)
    assert await graph.picture() == before
    assert (report.restored, report.kept, report.archived) == (10, 0, 0)
    await apply_cypher(graph.target, script)


async def test_a_server_that_is_not_there_is_named() -> None:
    options = Neo4jOptions(url="bolt://127.0.0.1:1", user="neo4j", password=Plain("none"))
    target = Neo4jTarget("graph", options)
    with pytest.raises(TargetError, match="does not answer"):
        await apply_cypher(target, RENAME)
    await target.close()


async def test_a_wrong_password_is_named(any_graph: Graph) -> None:
    options = Neo4jOptions(url=any_graph.target._options.url, user="neo4j", password=Plain("wrong-wrong"))
    target = Neo4jTarget("graph", options)
    with pytest.raises(TargetError, match="refuses the login") as refused:
        await apply_cypher(target, RENAME)
    assert "wrong-wrong" not in str(refused.value)
    await target.close()


async def test_a_value_that_cannot_be_kept_is_refused(graph: Graph) -> None:
    await graph.run("CREATE (:Company {id: 9, founded: date('-5000-01-01')})")
    with pytest.raises(RefusedError, match="a date outside the years"):
        await apply_cypher(graph.target, RENAME)
    assert await graph.value("MATCH (c:Company) WHERE c.title IS NOT NULL RETURN count(c)") == 0
