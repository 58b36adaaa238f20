from collections.abc import AsyncIterator

import psycopg
import pytest

from tests.actions.conftest import Plain, SteadyClock
from watchdog.migrations.graph_state import BackupPoint, GraphCopy, graph_findings, graph_state
from watchdog.migrations.rehearsal import RecordedWrite, Scratch, rehearse
from watchdog.model.releases import Compatibility
from watchdog.servers.neo4j import Neo4jServer
from watchdog.targets.neo4j import Neo4jOptions, Neo4jTarget
from watchdog.targets.postgres import PostgresOptions, PostgresTarget

BEFORE = """
CREATE (a:Control {id: 'C-1', count: 3}), (b:Control {id: 'C-2', count: 4}),
       (r:Risk {id: 'R-1', since: date('2025-01-08')}),
       (a)-[:ADDRESSES {weight: 1.5}]->(r), (b)-[:ADDRESSES]->(r), ({anonymous: true}),
       (:WatchdogFence {guard: 'shop', epoch: 7})
"""
BACKUP = """
MATCH (c:Control) WITH collect(c) AS controls
CREATE (p:MigrationBackup {id: 'm1'})
FOREACH (c IN controls | CREATE (p)-[:ARCHIVED]->(:ArchivedControl {control: c.id, count: c.count}))
"""
KEPT = (BackupPoint("MigrationBackup", "m1"),)


@pytest.fixture
async def graph(neo4j_clean: Neo4jServer) -> AsyncIterator[Neo4jTarget]:
    user, password = neo4j_clean.auth
    target = Neo4jTarget("graph", Neo4jOptions(url=neo4j_clean.url, user=user, password=Plain(password)))
    await run(target, BEFORE)
    yield target
    await target.close()


@pytest.fixture
async def database(pg_database: str) -> AsyncIterator[PostgresTarget]:
    async with await psycopg.AsyncConnection.connect(pg_database, autocommit=True) as connection:
        await connection.execute("CREATE TABLE users (id int PRIMARY KEY); INSERT INTO users VALUES (1), (2)")
    target = PostgresTarget("db", PostgresOptions(url=Plain(pg_database)))
    yield target
    await target.close()


async def run(target: Neo4jTarget, *statements: str) -> None:
    async with target.session() as session:
        for statement in statements:
            await (await session.run(statement)).consume()


async def nothing() -> None:
    """A way that changes nothing."""


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        ("MATCH (c:Control {id: 'C-1'}) SET c.count = 0", "1 earlier nodes :Control are gone or changed"),
        ("MATCH (:Control {id: 'C-1'})-[a:ADDRESSES]->() DELETE a", "1 earlier relationships :ADDRESSES are gone"),
        ("MATCH ()-[a:ADDRESSES]->() SET a.weight = 2", "2 earlier relationships :ADDRESSES are gone or changed"),
        ("MATCH (r:Risk) DETACH DELETE r", "1 earlier nodes :Risk are gone"),
        ("MATCH (r:Risk) SET r:Old", "1 nodes :Old:Risk are new or changed, left behind"),
        ("CREATE (:MigrationLog {id: 'm1'})", "1 nodes :MigrationLog are new"),
        ("MATCH (r:Risk), (c:Control {id: 'C-2'}) CREATE (c)-[:MITIGATES]->(r)", "1 relationships :MITIGATES are new"),
        ("MATCH (n {anonymous: true}) DELETE n", "1 earlier nodes without label are gone"),
        ("CREATE (:MigrationBackup {id: 'another'})", "1 nodes :MigrationBackup are new"),
        # A backup that points to the graph's own nodes excuses no damage to them.
        ("MATCH (p:MigrationBackup), (r:Risk) SET r.since = null CREATE (p)-[:ARCHIVED]->(r)", "1 earlier nodes :Risk"),
    ],
)
async def test_every_change_of_a_graph_that_stays_behind_is_found(
    graph: Neo4jTarget, damage: str, finding: str
) -> None:
    copy = GraphCopy(graph, KEPT)
    before = await graph_state(copy)
    await run(graph, BACKUP, damage)
    found = graph_findings("graph", before, await graph_state(copy))
    assert any(line.startswith(f"graph: {finding}") for line in found), found


async def test_a_backup_point_with_what_it_keeps_may_stay_and_so_may_our_own_bookkeeping(graph: Neo4jTarget) -> None:
    copy = GraphCopy(graph, KEPT)
    before = await graph_state(copy)
    assert before.size == 6
    await run(
        graph,
        BACKUP,
        "CREATE (:WatchdogReceipt {step_id: 'x'}) WITH 1 AS one MATCH (f:WatchdogFence) SET f.epoch = 9",
        # Deleted and made again: the same graph, by other internal numbers.
        "MATCH (c:Control {id: 'C-1'})-[a]->(r) DETACH DELETE c"
        " CREATE (:Control {id: 'C-1', count: 3})-[:ADDRESSES {weight: 1.5}]->(r)",
    )
    assert graph_findings("graph", before, await graph_state(copy)) == []
    assert graph_findings("graph", before, await graph_state(GraphCopy(graph))) != []


@pytest.mark.parametrize("damaged", [False, True])
async def test_a_certificate_says_what_became_of_the_graph(
    database: PostgresTarget, graph: Neo4jTarget, *, damaged: bool
) -> None:
    async def up() -> None:
        await run(graph, BACKUP, "MATCH (c:Control) SET c.count = 0")

    async def down() -> None:
        back = "MATCH (k:ArchivedControl) MATCH (c:Control {id: k.control}) SET c.count = k.count"
        await run(graph, back + (" + 1" if damaged else ""))

    write = RecordedWrite("sign up", "INSERT INTO users VALUES (%(id)s)", {"id": 3})
    scratch = Scratch(database, (GraphCopy(graph, KEPT),))
    certificate = await rehearse(scratch, up, down, [write], "hash", SteadyClock())
    assert certificate.restored is not damaged
    assert certificate.old_code is Compatibility.COMPATIBLE
    if damaged:
        assert "graph: 2 earlier nodes :Control are gone or changed" in certificate.findings
    else:
        assert "graph: all 6 nodes and relationships were as before" in certificate.findings
        assert certificate.findings[0].startswith("schema and all 2 earlier rows were as before")


async def test_rows_that_do_not_come_back_and_things_left_behind_are_findings(database: PostgresTarget) -> None:
    async def up() -> None:
        async with database.act() as connection:
            await connection.execute("DELETE FROM users WHERE id = 2; CREATE TABLE extra ()")

    certificate = await rehearse(Scratch(database), up, nothing, [], "hash", SteadyClock())
    assert not certificate.restored
    assert "1 earlier rows of public.users are gone or changed" in certificate.findings
    assert any("left behind by the rollback" in line and "extra" in line for line in certificate.findings)
    assert not any("nodes" in line for line in certificate.findings)
