import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import neo4j
import pytest
from neo4j import exceptions

from tests.migrations.graph.conftest import Graph, connect
from watchdog.migrations.graph.apply import apply_cypher
from watchdog.migrations.graph.rollback import rollback_graph
from watchdog.migrations.graph.runs import runs_graph
from watchdog.migrations.session import RefusedError
from watchdog.servers.neo4j import Neo4jServer


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - the condition is in the server
            await asyncio.sleep(0.02)


async def blocked(graph: Graph) -> bool:
    """Whether a transaction of ours waits for a lock."""
    return bool(
        await graph.value(
            "SHOW TRANSACTIONS YIELD status, metaData"
            " WHERE status STARTS WITH 'Blocked' AND metaData.watchdog IS NOT NULL"
            " RETURN count(*)"
        )
    )


@asynccontextmanager
async def writer(server: Neo4jServer, statement: str) -> AsyncIterator[neo4j.AsyncTransaction]:
    """A user in the middle of a transaction."""
    target = connect(server)
    try:
        async with target.session() as session, await session.begin_transaction() as transaction:
            await (await transaction.run(statement)).consume()
            yield transaction
    finally:
        await target.close()


async def test_what_a_user_commits_before_the_script_overwrites_it_comes_back(
    graph: Graph, neo4j_server: Neo4jServer
) -> None:
    async with writer(neo4j_server, "MATCH (p:Person {id: 1}) SET p.name = 'by a user', p.own = 1") as transaction:
        apply = asyncio.create_task(apply_cypher(graph.target, "MATCH (p:Person) SET p.name = 'script';"))
        await until(lambda: blocked(graph))
        await transaction.commit()
    applied = await apply
    await rollback_graph(graph.target, applied.run)
    assert await graph.rows("MATCH (p:Person) WHERE p.id < 3 RETURN p.name, p.own ORDER BY p.id") == [
        ["by a user", 1],
        ["Person 2", None],
    ]


async def test_what_a_user_ties_while_the_rollback_begins_stays(graph: Graph, neo4j_server: Neo4jServer) -> None:
    applied = await apply_cypher(graph.target, "CREATE (:Plan {id: 1}), (:Plan {id: 2});")
    async with writer(neo4j_server, "MATCH (p:Plan {id: 1}) CREATE (:Order)-[:OF]->(p)") as transaction:
        back = asyncio.create_task(rollback_graph(graph.target, applied.run))
        await until(lambda: blocked(graph))
        await transaction.commit()
    report = await back
    assert await graph.rows("MATCH (:Order)-[:OF]->(p:Plan) RETURN p.id") == [[1]]
    assert (report.deleted, report.kept) == (1, 1)


@pytest.mark.parametrize("script", ["MATCH (n) SET n.seen = 1;", "MATCH (p:Person) SET p.age = p.age + 1;"])
async def test_no_write_of_a_busy_application_is_lost(graph: Graph, neo4j_server: Neo4jServer, script: str) -> None:
    done = asyncio.Event()
    acknowledged = [0, 0]

    async def count(which: int) -> None:
        target = connect(neo4j_server)
        busy = Graph(target)
        try:
            while not done.is_set():
                try:
                    await busy.run(
                        "MATCH (p:Person {id: $id}) SET p.hits = coalesce(p.hits, 0) + 1, p.last = p.hits"
                        " CREATE (p)-[:HIT]->(:Hit {of: $id})",
                        id=which + 1,
                    )
                except exceptions.TransientError:
                    continue
                acknowledged[which] += 1
        finally:
            await target.close()

    writers = [asyncio.create_task(count(which)) for which in (0, 1)]
    try:
        for _ in range(2):
            applied = await apply_cypher(graph.target, script)
            await rollback_graph(graph.target, applied.run)
    finally:
        done.set()
        await asyncio.gather(*writers)
    hits = await graph.rows(
        "MATCH (p:Person) WHERE p.id < 3 RETURN p.hits, COUNT { (p)-[:HIT]->() }, p.age ORDER BY p.id"
    )
    assert hits == [[acknowledged[0], acknowledged[0], 21], [acknowledged[1], acknowledged[1], 22]]
    assert await graph.value("MATCH (n) WHERE n.seen IS NOT NULL AND NOT n:Hit RETURN count(n)") == 0


async def test_two_runs_wait_for_each_other(graph: Graph) -> None:
    scripts = [f"MATCH (p:Person) SET p.n{i} = {i};" for i in range(3)]
    applied = await asyncio.gather(*(apply_cypher(graph.target, script) for script in scripts))
    assert sorted(each.run for each in applied) == [1, 2, 3]


async def test_a_run_that_was_stopped_half_way_is_taken_back(graph: Graph, neo4j_server: Neo4jServer) -> None:
    before = await graph.picture()
    script = (
        "MATCH (c:Company) SET c.x = 1;\nCREATE INDEX c_x FOR (c:Company) ON (c.x);\n"
        "MATCH (p:Person) SET p.x = 1;\nDROP INDEX company_name;"
    )
    async with writer(neo4j_server, "MATCH (p:Person {id: 1}) SET p.busy = 1") as transaction:
        apply = asyncio.create_task(apply_cypher(graph.target, script))
        await until(lambda: blocked(graph))
        apply.cancel()
        await asyncio.gather(apply, return_exceptions=True)
        await transaction.rollback()
    (run,) = await runs_graph(graph.target)
    assert run.state == "applying"
    with pytest.raises(RefusedError, match="run 1 is still applying"):
        await apply_cypher(graph.target, "CREATE (:A);")
    await rollback_graph(graph.target, run.run)
    assert await graph.picture() == before
    assert (await runs_graph(graph.target))[0].state == "rolled back"
