import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests.actions.conftest import Contexts, Guarded, Plain, Roles
from watchdog.actions.verify import KIND, VerifyOptions
from watchdog.model.time import MILLISECOND, SECOND
from watchdog.ports.actions import Action, Applied
from watchdog.ports.errors import StepError
from watchdog.ports.kinds import Duration, Script
from watchdog.servers.neo4j import Neo4jServer
from watchdog.targets.http import HttpOptions, HttpTarget
from watchdog.targets.neo4j import Neo4jOptions, Neo4jTarget

SOON = Duration(200 * MILLISECOND)
OFTEN = Duration(20 * MILLISECOND)


def step(resources: Roles, role: str = "database", *, query: str = "", **options: object) -> Action:
    script = {"query": Script(query)} if query else {}
    given = {"within": SOON, "interval": OFTEN, **script, **options}
    return KIND.build(role, VerifyOptions(**given), resources)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("query", "expect"),
    [
        ("SELECT 1 WHERE false;", "no_rows"),
        ("SELECT count(*) FROM users", "100"),
        ("SELECT true", "true"),
        ("SELECT NULL", "null"),
    ],
)
async def test_the_right_answer_passes(resources: Roles, context: Contexts, query: str, expect: str) -> None:
    assert await step(resources, query=query, expect=expect).execute(context()) == "main answers as expected"


@pytest.mark.parametrize(
    ("query", "expect", "says"),
    [
        ("SELECT 'secret'", "no_rows", "the query returns rows"),
        ("SELECT 'secret'", "other", "the query does not return other"),
        ("SELECT true, true", "true", "does not return true"),
        ("SELECT FROM nowhere", "no_rows", "42P01"),
        ("DELETE FROM users RETURNING 1", "no_rows", "25006"),
    ],
)
async def test_a_wrong_answer_fails_in_time_and_shows_no_values(
    resources: Roles, context: Contexts, query: str, expect: str, says: str
) -> None:
    action = step(resources, query=query, expect=expect)
    with pytest.raises(StepError, match=says) as caught:
        await action.execute(context())
    assert "secret" not in str(caught.value)
    assert (await action.verify(context())).applied is Applied.NO


async def test_an_answer_that_becomes_right_passes(guarded: Guarded, resources: Roles, context: Contexts) -> None:
    action = step(resources, query="SELECT count(*) FROM users", expect="101", within=Duration(10 * SECOND))
    task = asyncio.create_task(action.execute(context()))
    await guarded.fetch("INSERT INTO users (name) VALUES ('late')")
    await task


@pytest.fixture
async def service(resources: Roles) -> AsyncIterator[None]:
    async def show(_: web.Request) -> web.Response:
        return web.json_response({"version": "v1"})

    app = web.Application()
    app.router.add_get("/version", show)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    target = HttpTarget("service", HttpOptions(url=f"http://127.0.0.1:{runner.addresses[0][1]}"))
    resources.targets["service"] = target
    yield
    await target.close()
    await runner.cleanup()


@pytest.mark.usefixtures("service")
async def test_a_service_is_asked_by_path(resources: Roles, context: Contexts) -> None:
    await step(resources, "service", path="/version", contains='"v1"').execute(context())
    with pytest.raises(StepError, match="does not answer with"):
        await step(resources, "service", path="/version", contains='"v2"').execute(context())
    with pytest.raises(StepError, match="GET /nothing answers 404"):
        await step(resources, "service", path="/nothing").execute(context())


async def test_a_graph_is_asked_by_cypher(neo4j_clean: Neo4jServer, resources: Roles, context: Contexts) -> None:
    user, password = neo4j_clean.auth
    target = Neo4jTarget("graph", Neo4jOptions(url=neo4j_clean.url, user=user, password=Plain(password)))
    resources.targets["graph"] = target
    try:
        await step(resources, "graph", query="MATCH (n) RETURN count(n);", expect="0").execute(context())
        with pytest.raises(StepError, match="AccessMode"):
            await step(resources, "graph", query="CREATE (n:A) RETURN 1", expect="1").execute(context())
    finally:
        await target.close()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"query": Script("SELECT 1"), "path": "/x"},
        {"path": "x"},
        {"path": "/{nobody}"},
        {"query": Script(" ;")},
        {"path": "/x", "interval": Duration(0)},
    ],
)
def test_a_question_that_makes_no_sense_is_refused(options: dict[str, object]) -> None:
    assert list(KIND.complaints(VerifyOptions(**options)))  # type: ignore[arg-type]
