"""The rules on plans of a real server; expected are the rules of each statement that are worse than `info`."""

import asyncio
from collections.abc import AsyncIterator

import neo4j
import pytest

from watchdog.migrations.assess.graph.grade import CypherError, assess_cypher
from watchdog.migrations.assess.values import Assessment, Category, Finding, Severity, Undo
from watchdog.ports.errors import TargetError
from watchdog.ports.kinds import Secret
from watchdog.servers.neo4j import Neo4jServer
from watchdog.targets.neo4j import Neo4jOptions, Neo4jTarget

SEED = (
    "CREATE CONSTRAINT person_id FOR (p:Person) REQUIRE p.id IS UNIQUE",
    "CREATE INDEX company_name FOR (c:Company) ON (c.name)",
    "UNWIND range(1, 2000) AS i CREATE (:Person {id: i, name: 'P' + i, age: i % 90})",
    "UNWIND range(1, 20) AS i CREATE (:Company {id: i, name: 'C' + i})",
    "MATCH (p:Person), (c:Company {id: 1 + p.id % 20}) CREATE (p)-[:WORKS_AT {since: 1}]->(c)",
    "CALL db.awaitIndexes(60)",
)


class Plain(Secret):
    def reveal(self) -> str:
        return "neo4j-for-tests"


@pytest.fixture
async def target(neo4j_clean: Neo4jServer) -> AsyncIterator[Neo4jTarget]:
    async with neo4j.AsyncGraphDatabase.driver(neo4j_clean.url, auth=neo4j_clean.auth) as driver:
        for statement in SEED:
            await driver.execute_query(statement)
        await driver.execute_query("CALL db.clearQueryCaches()")
    found = Neo4jTarget("graph", Neo4jOptions(url=neo4j_clean.url, user="neo4j", password=Plain()))
    yield found
    await found.close()


def one(found: Assessment, rule: str) -> Finding:
    (finding,) = [each for each in found.findings if each.rule == rule]
    return finding


RULES = {
    "MATCH (p:Person) SET p.name = 'x';": {"set-property"},
    "MATCH (p:Person) SET p.fresh = 1;": {"set-new-property"},
    "MATCH (p:Person {id: 1}) REMOVE p.age;": {"remove-property"},
    "MATCH (p:Person {id: 1}) SET p = {id: 1};": {"replace-properties"},
    "MATCH (p:Person {id: 1}) SET p += {age: 1};": {"set-property"},
    "MATCH (p:Person {id: 1}) SET p[p.name] = 1;": {"set-property"},
    "MATCH (p:Person) SET p:Human;": {"add-label"},
    "MATCH (p:Person) SET p:$('L' + p.age);": {"dynamic-labels"},
    "MATCH (p:Person) REMOVE p:Person;": {"remove-label"},
    "MATCH (p:Person {name: 'P1'}) DELETE p;": {"delete-nodes", "missing-index"},
    "MATCH (c:Company {name: 'C1'}) DETACH DELETE c;": {"delete-nodes", "detach"},
    "MATCH (n) DETACH DELETE n;": {"delete-nodes-all", "detach", "all-nodes-scan"},
    "MATCH ()-[r]->() DELETE r;": {"delete-relationships-all", "all-relationships-scan"},
    "MATCH ()-[r:WORKS_AT]->() SET r.since = 2;": {"set-property"},
    "MATCH ()-[r:WORKS_AT {since: 3}]->() DELETE r;": {"delete-relationships", "missing-index"},
    "MATCH (p:Person {id: 1}) FOREACH (x IN [p] | SET x.age = 0);": {"set-property"},
    "MATCH (p:Person {id: 1}) FOREACH (x IN [p] | DETACH DELETE x);": {"delete-nodes", "detach"},
    "MERGE (p:Person {id: 1}) ON CREATE SET p.age = 1;": set(),
    "MERGE (p:Person {id: 1}) ON MATCH SET p.age = 1;": {"set-property"},
    "MERGE (p:Person {name: 'a'});": {"merge-without-key", "missing-index"},
    "CREATE (a:New {x: 1})-[t:TIE]->(b:New) SET a.y = 1, t.z = 2;": set(),
    "MATCH (p:Person)-[r:WORKS_AT]->(c) CREATE (p)-[n:AT]->(c) SET n = properties(r) DELETE r;": {
        *("delete-relationships", "eager"),
    },
    "MATCH (a:Person), (b:Person) CREATE (a)-[:X]->(b);": {
        *("cartesian-product", "create-relationships", "large-transaction"),
    },
    "MATCH (p:Person) CALL (p) { SET p.fresh = 1 } IN TRANSACTIONS OF 100 ROWS;": {"set-new-property", "batches"},
    "CALL (*) { MATCH (p:Person) SET p.fresh = 1 } IN TRANSACTIONS;": {"set-new-property", "batch-of-all"},
    "MATCH (p:Person) CALL (p) { SET p.x = 1 } IN TRANSACTIONS ON ERROR CONTINUE;": {"no-way-back"},
    "CALL apoc.periodic.commit('MATCH (n) RETURN n', {});": {"no-way-back"},
    "CREATE DATABASE other;": {"no-way-back"},
    "MATCH (p:Person {id: 1}) CALL apoc.create.addLabels(p, ['X']) YIELD node RETURN node;": {"procedure-writes"},
    "MATCH (p:Person {id: $who}) SET p.fresh = 1;": {"set-new-property", "parameter"},
    "LOAD CSV FROM 'file:///x.csv' AS row CREATE (:Row {x: row[0]});": {"load-csv"},
    "MATCH (p:Person) RETURN count(p);": set(),
    "MATCH (n:Missing) SET n.x = 1 DELETE n;": set(),
    "CREATE INDEX person_age FOR (p:Person) ON (p.age);": {"create-index"},
    "CREATE FULLTEXT INDEX words FOR (n:Person|Company) ON EACH [n.name];": {"create-index"},
    "CREATE INDEX since FOR ()-[r:WORKS_AT]-() ON (r.since);": {"create-index"},
    "CREATE INDEX company_name FOR (c:Other) ON (c.name);": {"there-already"},
    "CREATE INDEX again FOR (c:Company) ON (c.name);": {"there-already"},
    "CREATE INDEX company_name IF NOT EXISTS FOR (c:Company) ON (c.name);": set(),
    "DROP INDEX company_name;": {"drop-index"},
    "DROP INDEX person_id;": {"index-of-constraint"},
    "DROP CONSTRAINT person_id;": {"drop-constraint"},
    "DROP INDEX nothing IF EXISTS;": set(),
    "DROP INDEX nothing;": {"not-there"},
    "CREATE CONSTRAINT person_name FOR (p:Person) REQUIRE p.name IS UNIQUE;": {
        *("create-constraint", "constraint-breaks-writes"),
    },
    "CREATE CONSTRAINT person_age FOR (p:Person) REQUIRE (p.age) IS UNIQUE;": {
        *("constraint-fails", "create-constraint", "constraint-breaks-writes"),
    },
    "CREATE CONSTRAINT person_age FOR (p:Person) REQUIRE p.age IS NOT NULL;": {"enterprise-only"},
}


async def test_each_statement_has_the_findings_that_it_should(target: Neo4jTarget) -> None:
    wrong = {}
    for statement, expected in RULES.items():
        found = await assess_cypher(target, statement)
        rules = {each.rule for each in found.findings if each.severity is not Severity.INFO}
        if rules != expected:
            wrong[statement] = rules
    assert wrong == {}


async def test_nothing_is_run(target: Neo4jTarget) -> None:
    await assess_cypher(target, "\n".join(each for each in RULES if "DATABASE" not in each))
    async with target.session() as session:
        record = await (await session.run("MATCH (n) RETURN count(n), count(n.age), count(n.fresh)")).single(
            strict=True
        )
        assert record.values() == [2020, 2000, 0]
        names = [
            name
            async for (name,) in await session.run("SHOW INDEXES YIELD name, type WHERE type = 'RANGE' RETURN name")
        ]
        assert sorted(names) == ["company_name", "person_id"]


async def test_a_loss_is_counted_and_graded_in_its_category(target: Neo4jTarget) -> None:
    found = await assess_cypher(target, "MATCH (p:Person) DETACH DELETE p;")
    gone, ties = one(found, "delete-nodes-all"), one(found, "detach")
    assert (gone.category, gone.severity, gone.undo) == (Category.DATA, Severity.HIGH, Undo.ARCHIVE)
    assert gone.destroys == "all 2,000 nodes :Person"
    assert (ties.category, ties.destroys) == (Category.RELATIONSHIP, "about 2,000 relationships")
    assert found.measured
    assert found.undo is Undo.ARCHIVE


async def test_everything_deleted_is_critical(target: Neo4jTarget) -> None:
    assert (await assess_cypher(target, "MATCH (n) DETACH DELETE n;")).grade is Severity.CRITICAL


async def test_an_index_that_the_script_makes_first_is_not_missing(target: Neo4jTarget) -> None:
    lookup = "MATCH (p:Person {name: 'P1'}) SET p.fresh = 1;"
    alone = one(await assess_cypher(target, lookup), "missing-index")
    assert alone.safe == "CREATE INDEX person_name IF NOT EXISTS FOR (n:Person) ON (n.name);"
    both = await assess_cypher(target, f"{alone.safe}\n{lookup}")
    assert "missing-index" not in {each.rule for each in both.findings}
    assert one(both, "mixed").line == 2


async def test_a_constraint_that_the_script_makes_first_is_a_key_for_its_merge(target: Neo4jTarget) -> None:
    merge = "MERGE (x:Tag {name: 'a'});"
    alone = one(await assess_cypher(target, merge), "merge-without-key")
    both = await assess_cypher(target, f"{alone.safe}\n{merge}")
    assert "merge-without-key" not in {each.rule for each in both.findings}


async def test_equal_values_that_the_script_may_mend_are_no_sure_failure(target: Neo4jTarget) -> None:
    make = "CREATE CONSTRAINT person_age FOR (p:Person) REQUIRE p.age IS UNIQUE;"
    alone = one(await assess_cypher(target, make), "constraint-fails")
    assert alone.message == "90 values of age are on more than one nodes :Person, so it fails; mend them"
    mended = one(await assess_cypher(target, f"MATCH (p:Person) SET p.age = p.id;\n{make}"), "constraint-fails")
    assert (alone.severity, mended.severity) == (Severity.HIGH, Severity.MEDIUM)


async def test_an_index_that_queries_use_is_graded_higher(target: Neo4jTarget) -> None:
    async with target.session() as session:
        await (await session.run("MATCH (c:Company {name: 'C1'}) RETURN c")).consume()

    async def reads() -> bool:
        found = one(await assess_cypher(target, "DROP INDEX company_name;"), "drop-index")
        return found.severity is Severity.HIGH

    # The server counts in its own time.
    async with asyncio.timeout(30):
        while not await reads():  # noqa: ASYNC110 - the condition is in the server
            await asyncio.sleep(0.2)


async def test_lines_are_those_of_the_file(target: Neo4jTarget) -> None:
    found = await assess_cypher(target, "// first\n\nCREATE (:A);\nMATCH (p:Person {id: 1})\nREMOVE p.age;\n")
    assert one(found, "remove-property").line == 4


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("CREATE (:A);\nMATCH (n:A\nSET n.x = 1;", "line 3: Invalid input 'SET'"),
        ("CALL my.procedure(1);", "line 1: There is no procedure with the name `my.procedure`"),
    ],
)
async def test_what_the_server_does_not_take_is_named_by_line(target: Neo4jTarget, script: str, said: str) -> None:
    with pytest.raises(CypherError) as refused:
        await assess_cypher(target, script)
    assert said in str(refused.value)


async def test_a_server_that_is_not_there_is_named() -> None:
    target = Neo4jTarget("graph", Neo4jOptions(url="bolt://127.0.0.1:1", user="neo4j", password=Plain()))
    with pytest.raises(TargetError, match="does not answer"):
        await assess_cypher(target, "CREATE (:A);")
    await target.close()
