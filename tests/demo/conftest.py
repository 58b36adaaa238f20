"""A small compliance service on the session's real servers, with fresh data for each test."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer
from psycopg import sql

from watchdog.demo import fill, stack
from watchdog.demo.before import Systems
from watchdog.demo.data import SMALL
from watchdog.demo.dependency import Rating
from watchdog.demo.service import app
from watchdog.demo.service.stores import Settings, Version
from watchdog.demo.stack import Stack
from watchdog.servers.neo4j import Neo4jServer
from watchdog.servers.postgres import PostgresServer
from watchdog.servers.process import free_port
from watchdog.servers.redis import RedisServer
from watchdog.targets.neo4j import Neo4jTarget

_TEMPLATE = "compliance_template"
_numbers = itertools.count(1)

Send = Callable[..., Awaitable[tuple[int, Any]]]


async def _statement(server: PostgresServer, statement: str, *names: str) -> None:
    async with await psycopg.AsyncConnection.connect(server.url("postgres"), autocommit=True) as admin:
        await admin.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def compliance_template(postgres_server: PostgresServer) -> str:
    """A loaded database to copy, which is faster than loading it for each test."""
    await _statement(postgres_server, "CREATE DATABASE {}", _TEMPLATE)
    await fill.postgres(postgres_server.url(_TEMPLATE), SMALL)
    return _TEMPLATE


@pytest_asyncio.fixture
async def compliance(
    compliance_template: str,
    postgres_server: PostgresServer,
    redis_server: RedisServer,
    neo4j_clean: Neo4jServer,
    tmp_path: Path,
) -> AsyncIterator[Stack]:
    """All stores with the small data set, and the rating service; the sample service is not started."""
    database = f"compliance_{next(_numbers)}"
    await _statement(postgres_server, "CREATE DATABASE {} TEMPLATE {}", database, compliance_template)
    await fill.roles(postgres_server.url(database))
    passwords = await stack.set_passwords(postgres_server)
    rating = Rating()
    await rating.start()
    made = Stack(
        run_dir=tmp_path,
        sizes=SMALL,
        fault="none",
        postgres=postgres_server,
        redis=redis_server,
        neo4j=neo4j_clean,
        rating=rating,
        port=free_port(),
        passwords=passwords,
        timings={},
        scratch_url=postgres_server.url("postgres"),
        database=database,
    )
    try:
        await _fill_others(made)
        yield made
    finally:
        await made.stop_service()
        await rating.stop()
        await _statement(postgres_server, "DROP DATABASE {} WITH (FORCE)", database)


async def _fill_others(made: Stack) -> None:
    async with made.driver() as graph:
        await fill.graph(graph, SMALL)
    async with made.client() as cache:
        await cache.flushdb()
        await fill.cache(cache, SMALL)


@pytest_asyncio.fixture
async def graph(compliance: Stack) -> AsyncIterator[Neo4jTarget]:
    """The graph, as migrations want it."""
    target = compliance.graph()
    yield target
    await target.close()


@pytest_asyncio.fixture
async def systems(compliance: Stack) -> AsyncIterator[Systems]:
    async with compliance.driver() as graph, compliance.client() as cache:
        yield Systems(compliance.admin_url, graph, cache)


@asynccontextmanager
async def _serving(made: Stack, version: Version) -> AsyncIterator[Send]:
    settings = Settings.from_environment(made.service_environment())
    async with TestClient(TestServer(app.create(settings, version))) as client:

        async def send(method: str, path: str, **options: Any) -> tuple[int, Any]:
            async with client.request(method, path, **options) as response:
                json = response.content_type == "application/json"
                return response.status, await (response.json() if json else response.text())

        yield send


@pytest.fixture
def serve() -> Callable[[Stack, Version], AbstractAsyncContextManager[Send]]:
    """`async with serve(compliance, "v1") as send: status, body = await send("GET", "/users/1")`."""
    return _serving
