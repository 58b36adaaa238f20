import asyncio
from collections.abc import AsyncIterator

import neo4j
import pytest
import stamina

from tests.actions.conftest import Contexts, Plain
from watchdog.ports.actions import Applied
from watchdog.ports.errors import FencedError, StepError, TargetError
from watchdog.servers.neo4j import Neo4jServer
from watchdog.targets.graph_fence import fenced, run_fenced, verify_fenced
from watchdog.targets.neo4j import Neo4jOptions, Neo4jTarget


def target_of(server: Neo4jServer) -> Neo4jTarget:
    user, password = server.auth
    return Neo4jTarget("graph", Neo4jOptions(url=server.url, user=user, password=Plain(password)))


@pytest.fixture
async def graph(neo4j_clean: Neo4jServer) -> AsyncIterator[Neo4jTarget]:
    target = target_of(neo4j_clean)
    yield target
    await target.close()


async def count(graph: Neo4jTarget) -> int:
    async with graph.session() as session:
        [number] = await (await session.run("MATCH (e:Effect) RETURN count(e)")).single(strict=True)
        return int(number)


async def insert(transaction: neo4j.AsyncTransaction) -> str:
    await (await transaction.run("CREATE (:Effect)")).consume()
    return "inserted"


async def test_of_executors_with_different_epochs_the_effect_is_there_once(
    graph: Neo4jTarget, context: Contexts
) -> None:
    mine = [context(step_id="same", epoch=epoch) for epoch in (1, 2, 3)]
    outcomes = await asyncio.gather(*(run_fenced(graph, each, insert) for each in mine), return_exceptions=True)
    assert await count(graph) == 1
    assert outcomes[2] == "inserted"
    for outcome in outcomes:
        assert outcome == "inserted" or isinstance(outcome, FencedError | StepError)


async def test_many_make_the_fence_at_once(graph: Neo4jTarget, context: Contexts) -> None:
    await asyncio.gather(*(verify_fenced(graph, context()) for _ in range(4)))
    async with graph.session() as session:
        [number] = await (await session.run("MATCH (f:WatchdogFence) RETURN count(f)")).single(strict=True)
    assert number == 1


async def test_a_stale_epoch_has_no_effect(graph: Neo4jTarget, context: Contexts) -> None:
    await verify_fenced(graph, context(epoch=2))
    with pytest.raises(FencedError, match="held with epoch 2 now, ours is 1"):
        await run_fenced(graph, context(epoch=1), insert)
    assert await count(graph) == 0


async def test_a_frozen_leader_is_put_out_by_its_successor(
    neo4j_clean: Neo4jServer, graph: Neo4jTarget, context: Contexts
) -> None:
    old = target_of(neo4j_clean)
    step = context(step_id="frozen", epoch=1)
    began, thaw = asyncio.Event(), asyncio.Event()

    async def freeze() -> None:
        async with fenced(old, step) as work:
            await insert(work.transaction)
            began.set()
            await thaw.wait()
            await work.finish("too late")

    task = asyncio.create_task(freeze())
    await began.wait()
    async with asyncio.timeout(15):
        assert await run_fenced(graph, context(step_id="frozen", epoch=2), insert) == "inserted"
    thaw.set()
    with pytest.raises(TargetError):
        await task
    assert await count(graph) == 1
    await old.close()


async def test_a_cancelled_step_is_verified_to_have_no_effect(graph: Neo4jTarget, context: Contexts) -> None:
    began = asyncio.Event()

    async def slow(transaction: neo4j.AsyncTransaction) -> str:
        await insert(transaction)
        began.set()
        await (await transaction.run("CALL apoc.util.sleep(30000)")).consume()
        return "never"

    mine = context()
    task = asyncio.create_task(run_fenced(graph, mine, slow))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(15):
        assert (await verify_fenced(graph, mine)).applied is Applied.NO
    assert await count(graph) == 0


async def test_a_graph_that_cannot_be_reached_cannot_tell(context: Contexts) -> None:
    options = Neo4jOptions(url="bolt://127.0.0.1:1", user="neo4j", password=Plain("hunter2"))
    target = Neo4jTarget("graph", options)
    with stamina.set_testing(True, attempts=3):
        found = await verify_fenced(target, context())
    assert found.applied is Applied.CANNOT_TELL
    assert "graph (127.0.0.1:1/neo4j) does not answer" in found.detail
    await target.close()


async def test_an_address_that_is_none_says_so(context: Contexts) -> None:
    target = Neo4jTarget("graph", Neo4jOptions(url="http://x", user="neo4j", password=Plain("hunter2")))
    with pytest.raises(StepError, match="target graph is no Neo4j address"):
        await run_fenced(target, context(), insert)
