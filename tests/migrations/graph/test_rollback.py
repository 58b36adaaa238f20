import pytest

from tests.migrations.graph.conftest import Graph
from watchdog.migrations.graph import restore
from watchdog.migrations.graph.apply import apply_cypher
from watchdog.migrations.graph.rollback import rollback_graph
from watchdog.migrations.graph.runs import runs_graph
from watchdog.migrations.session import RefusedError
from watchdog.ports.errors import WatchdogError

PLANS = "UNWIND range(1, 3) AS i CREATE (:Plan {id: i})-[:NEXT]->(:Price {n: i});"


async def test_nothing_is_taken_back_twice(graph: Graph) -> None:
    applied = await apply_cypher(graph.target, PLANS)
    before = await graph.picture()
    await rollback_graph(graph.target, applied.run)
    assert (await runs_graph(graph.target))[0].state == "rolled back"
    with pytest.raises(RefusedError, match="nothing to take back"):
        await rollback_graph(graph.target, applied.run)
    assert await graph.picture() != before


async def test_a_run_that_is_not_there_is_named(graph: Graph) -> None:
    with pytest.raises(WatchdogError, match="no run 7"):
        await rollback_graph(graph.target, 7)


async def test_a_node_that_users_tied_something_to_stays_with_what_they_tied(graph: Graph) -> None:
    applied = await apply_cypher(graph.target, PLANS)
    await graph.run("MATCH (p:Plan {id: 1}), (a:Anchor) CREATE (a)-[:CHOSE {at: 1}]->(p), (p)-[:SEEN]->(a)")
    report = await rollback_graph(graph.target, applied.run)
    assert await graph.rows("MATCH (p:Plan) RETURN p.id, COUNT { (p)--() }") == [[1, 2]]
    assert await graph.value("MATCH (p:Price) RETURN count(p)") == 0
    assert (report.deleted, report.kept) == (8, 1)
    assert report.reasons["relationships of users on nodes that the script made"] == 2


async def test_a_node_that_users_changed_stays(graph: Graph) -> None:
    applied = await apply_cypher(graph.target, PLANS)
    await graph.run("MATCH (p:Price {n: 2}) SET p.amount = 5", "MATCH (:Plan {id: 3})-[n:NEXT]->() SET n.x = 1")
    report = await rollback_graph(graph.target, applied.run)
    assert await graph.rows("MATCH (p:Price) RETURN p.n ORDER BY p.n") == [[2], [3]]
    assert await graph.rows("MATCH (p:Plan)-[:NEXT]->(:Price) RETURN p.id") == [[3]]
    assert report.kept == 4


async def test_users_values_win_property_by_property(graph: Graph) -> None:
    applied = await apply_cypher(
        graph.target, "MATCH (p:Person) SET p.name = 'x', p.age = 0, p.fresh = 1 REMOVE p.city;"
    )
    await graph.run(
        "MATCH (p:Person {id: 1}) SET p.name = 'Ann', p.city = 'Bari'", "MATCH (p:Person {id: 2}) DETACH DELETE p"
    )
    report = await rollback_graph(graph.target, applied.run)
    rows = await graph.rows(
        "MATCH (p:Person) WHERE p.id <= 3 RETURN p.id, p.name, p.age, p.fresh, p.city ORDER BY p.id"
    )
    assert rows == [[1, "Ann", 21, None, "Bari"], [3, "Person 3", 23, None, "Oslo"]]
    assert (report.restored, report.kept, report.gone) == (11, 1, 1)


async def test_labels_that_users_added_stay(graph: Graph) -> None:
    applied = await apply_cypher(graph.target, "MATCH (d:Draft) REMOVE d:Draft SET d:Published;")
    await graph.run("MATCH (d:Document) SET d:Starred")
    await rollback_graph(graph.target, applied.run)
    assert await graph.value("MATCH (d:Document) RETURN labels(d)") == ["Document", "Draft", "Starred"]


async def test_a_relationship_without_its_end_stays_in_the_archive(graph: Graph) -> None:
    applied = await apply_cypher(graph.target, "MATCH ()-[k:KNOWS]->() DELETE k;")
    await graph.run("MATCH (p:Person {id: 5}) DETACH DELETE p")
    report = await rollback_graph(graph.target, applied.run)
    assert await graph.value("MATCH ()-[k:KNOWS]->() RETURN count(k)") == 9
    assert (report.restored, report.archived) == (9, 2)
    assert await graph.value("MATCH (a:WatchdogArchive {sort: 'relationship'}) RETURN count(a)") == 11


async def test_a_deleted_node_that_users_made_anew_is_theirs(graph: Graph) -> None:
    applied = await apply_cypher(graph.target, "MATCH (p:Person) WHERE p.id < 3 DETACH DELETE p;")
    await graph.run("CREATE (:Person {id: 1, name: 'theirs'})")
    report = await rollback_graph(graph.target, applied.run)
    assert await graph.rows("MATCH (p:Person) WHERE p.id < 3 RETURN p.id, p.name ORDER BY p.id") == [
        [1, "theirs"],
        [2, "Person 2"],
    ]
    assert report.archived == 4
    assert report.reasons["deleted by the script and made anew by users since"] == 1


async def test_an_earlier_value_that_users_gave_to_another_node_is_not_given_twice(graph: Graph) -> None:
    applied = await apply_cypher(graph.target, "MATCH (p:Person {id: 1}) SET p.id = 501, p.name = 'moved';")
    await graph.run("CREATE (:Person {id: 1, name: 'theirs'})")
    report = await rollback_graph(graph.target, applied.run)
    assert await graph.value("MATCH (p:Person {id: 501}) RETURN p.name") == "moved"
    assert await graph.value("MATCH (p:Person {id: 1}) RETURN p.name") == "theirs"
    assert report.kept == 1


async def test_runs_that_stand_on_each_other_are_taken_back_in_order(graph: Graph) -> None:
    before = await graph.picture()
    first = await apply_cypher(graph.target, "MATCH (p:Person) SET p.grade = 1;\nMATCH (c:Company) SET c.x = 1;")
    second = await apply_cypher(graph.target, "MATCH (p:Person) WHERE p.id > 3 DETACH DELETE p;")
    other = await apply_cypher(graph.target, "CREATE (:Note {n: 1});")
    with pytest.raises(RefusedError, match=f"run {second.run} wrote the same nodes after it"):
        await rollback_graph(graph.target, first.run)
    await rollback_graph(graph.target, second.run)
    await rollback_graph(graph.target, first.run)
    await rollback_graph(graph.target, other.run)
    assert await graph.picture() == before


async def test_a_run_stands_on_the_nodes_that_it_tied_together(graph: Graph) -> None:
    first = await apply_cypher(graph.target, "CREATE (:Plan {id: 1});")
    second = await apply_cypher(graph.target, "MATCH (p:Plan), (a:Anchor) CREATE (a)-[:HAS]->(p);")
    with pytest.raises(RefusedError, match=f"run {second.run} wrote the same nodes"):
        await rollback_graph(graph.target, first.run)


async def test_indexes_that_users_changed_since_stay(graph: Graph) -> None:
    applied = await apply_cypher(
        graph.target, "DROP INDEX company_name;\nCREATE INDEX tag_name FOR (t:Tag) ON (t.name);"
    )
    await graph.run(
        "DROP INDEX tag_name",
        "CREATE INDEX tag_name FOR (t:Tag) ON (t.n)",
        "CREATE TEXT INDEX company_name FOR (c:Company) ON (c.name)",
    )
    report = await rollback_graph(graph.target, applied.run)
    assert {"INDEX tag_name", "INDEX company_name"} <= (await graph.schema()).keys()
    assert report.kept == 2


async def test_a_constraint_that_later_data_breaks_is_said_and_can_be_tried_again(graph: Graph) -> None:
    before = await graph.picture()
    script = "MATCH (c:Company) SET c.x = 1;\nDROP CONSTRAINT person_id;\nMATCH (c:Company) SET c.y = 1;"
    applied = await apply_cypher(graph.target, script)
    await graph.run("CREATE (:Person:Twin {id: 1})")
    with pytest.raises(WatchdogError, match=r"person_id.*take the run back again"):
        await rollback_graph(graph.target, applied.run)
    assert (await runs_graph(graph.target))[0].state == "rolling back"
    await graph.run("MATCH (t:Twin) DELETE t")
    await rollback_graph(graph.target, applied.run)
    assert await graph.picture() == before
    assert (await runs_graph(graph.target))[0].state == "rolled back"


async def test_an_archive_that_is_not_whole_is_not_used(graph: Graph) -> None:
    applied = await apply_cypher(graph.target, "MATCH (p:Person) WHERE p.id < 4 SET p.age = 0;")
    await graph.run("MATCH (a:WatchdogArchive {`before.age`: 22}) DELETE a")
    before = await graph.picture()
    with pytest.raises(RefusedError, match="the archive has 2 of 3 elements"):
        await rollback_graph(graph.target, applied.run)
    assert await graph.picture() == before
    assert (await runs_graph(graph.target))[0].state == "applied"


async def test_a_rollback_that_would_not_restore_changes_nothing(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    applied = await apply_cypher(graph.target, "MATCH (p:Person {id: 1}) SET p.age = 0;\nCREATE (:Plan {id: 1});")
    before = await graph.picture()
    monkeypatch.setitem(restore._SET, "node", "UNWIND $rows AS row RETURN row")
    with pytest.raises(RefusedError, match="1 nodes and relationships would not be as before"):
        await rollback_graph(graph.target, applied.run)
    assert await graph.picture() == before
    assert (await runs_graph(graph.target))[0].state == "applied"
