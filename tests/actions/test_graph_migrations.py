from collections.abc import AsyncIterator

import pytest

from tests.actions.conftest import Contexts, Plain, Roles
from watchdog.actions.graph_migrations import KIND
from watchdog.actions.release_runs import ReleaseOptions
from watchdog.migrations.graph.apply import apply_cypher
from watchdog.migrations.graph.rollback import rollback_graph
from watchdog.migrations.graph.runs import runs_graph, settle_graph
from watchdog.ports.actions import Action, Applied
from watchdog.ports.errors import FencedError, StepError
from watchdog.servers.neo4j import Neo4jServer
from watchdog.targets.neo4j import Neo4jOptions, Neo4jTarget

FACTS = {"release": "r1"}


@pytest.fixture
async def graph(neo4j_clean: Neo4jServer) -> AsyncIterator[Neo4jTarget]:
    """Ten controls with two migrations of release `r1` and one of another."""
    user, password = neo4j_clean.auth
    target = Neo4jTarget("graph", Neo4jOptions(url=neo4j_clean.url, user=user, password=Plain(password)))
    async with target.session() as session:
        await session.run("UNWIND range(1, 10) AS id CREATE (:Control {id: id, level: 1})")
    await apply_cypher(target, "MATCH (c:Control) SET c.level = 2;", name="levels", release="r1")
    await apply_cypher(target, "MATCH (c:Control) WHERE c.id > 5 DETACH DELETE c;", name="tidy", release="r1")
    await apply_cypher(target, "CREATE (:Other);", name="other", release="r2")
    yield target
    await target.close()


def step(graph: Neo4jTarget, **options: object) -> Action:
    return KIND.build("graph", ReleaseOptions(**options), Roles({"graph": graph}))  # type: ignore[arg-type]


async def levels(graph: Neo4jTarget) -> list[int]:
    async with graph.session() as session:
        return [record[0] async for record in await session.run("MATCH (c:Control) RETURN c.level ORDER BY c.id")]


async def states(graph: Neo4jTarget) -> dict[str, str]:
    return {run.name: run.state for run in await runs_graph(graph)}


async def test_a_release_is_taken_back_once_and_no_other(graph: Neo4jTarget, context: Contexts) -> None:
    action, mine = step(graph), context(facts=FACTS)
    assert (await action.verify(mine)).applied is Applied.NO
    assert await action.preview(mine) == "would take back tidy, levels on graph"
    said = await action.execute(mine)
    assert said.startswith("took back tidy: 5 as before")
    assert await action.execute(mine) == said
    assert (await action.verify(mine)).applied is Applied.YES
    assert await levels(graph) == [1] * 10
    assert await states(graph) == {"levels": "rolled back", "tidy": "rolled back", "other": "applied"}


async def test_a_step_that_was_cut_off_goes_on_where_it_was(graph: Neo4jTarget, context: Contexts) -> None:
    await rollback_graph(graph, 2)
    action, mine = step(graph), context(facts=FACTS)
    assert (await action.verify(mine)).applied is Applied.NO
    await action.execute(mine)
    assert await levels(graph) == [1] * 10


async def test_a_release_that_was_never_applied_is_named(graph: Neo4jTarget, context: Contexts) -> None:
    with pytest.raises(StepError, match="No migration of release r9 was applied to graph"):
        await step(graph).execute(context(facts={"release": "r9"}))


async def test_a_settled_migration_refuses_everything(graph: Neo4jTarget, context: Contexts) -> None:
    await settle_graph(graph, 2)
    with pytest.raises(StepError, match="tidy: settled"):
        await step(graph).execute(context(facts=FACTS))
    assert await levels(graph) == [2] * 5


async def test_a_stale_leader_takes_nothing_back(graph: Neo4jTarget, context: Contexts) -> None:
    await step(graph, names=("tidy",)).execute(context(epoch=2, facts=FACTS))
    with pytest.raises(FencedError):
        await step(graph).execute(context(epoch=1, facts=FACTS))
    assert await levels(graph) == [2] * 10


def test_words_that_no_run_will_know_are_complained_of() -> None:
    assert list(KIND.complaints(ReleaseOptions(release="{realease}"))) != []
    assert list(KIND.complaints(ReleaseOptions(release=""))) != []
