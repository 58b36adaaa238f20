"""Probes on real targets."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import neo4j
import psycopg
import pytest
from aiohttp import web

from watchdog.model.time import SECOND, Span, Time, in_seconds
from watchdog.ports.clock import Clock
from watchdog.ports.kinds import Duration, ProbeKind, Target
from watchdog.ports.probes import Probe
from watchdog.servers.neo4j import Neo4jServer
from watchdog.targets.http import HttpOptions, HttpTarget
from watchdog.targets.neo4j import Neo4jOptions, Neo4jTarget
from watchdog.targets.postgres import PostgresOptions, PostgresTarget


@dataclass(frozen=True)
class Plain:
    """A secret without references."""

    text: str

    def reveal(self) -> str:
        return self.text


class SteadyClock:
    """The machine's own."""

    def now(self) -> Time:
        return time.monotonic_ns()

    def wall_offset(self) -> Span:
        return 0

    async def sleep(self, length: Span) -> None:
        await asyncio.sleep(in_seconds(length))


@dataclass
class Resources:
    """What a composition root would hand out."""

    clock: Clock
    targets: Mapping[str, Target]

    def target(self, role: str) -> Target:
        return self.targets[role]


@pytest.fixture
def secret() -> Callable[[str], Plain]:
    return Plain


@pytest.fixture
def build() -> Callable[..., Probe]:
    """Builds a probe of a kind on a target, as the composition root does."""

    def make(
        kind: ProbeKind[Any, Any],
        target: Target,
        reads: Mapping[str, Any],
        *,
        clock: Clock | None = None,
        others: Mapping[str, Target] | None = None,
        **options: Any,
    ) -> Probe:
        resources = Resources(clock or SteadyClock(), {"main": target, **(others or {})})
        return kind.build("main", kind.options(**options), reads, resources)

    return make


@pytest.fixture
async def pg_target(pg_database: str) -> AsyncIterator[PostgresTarget]:
    """The test's own database as a target, as superuser."""
    target = PostgresTarget("main-db", PostgresOptions(url=Plain(pg_database), statement_timeout=Duration(2 * SECOND)))
    yield target
    await target.close()


@pytest.fixture
async def admin(pg_database: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """A session that may do anything in the test's database."""
    async with await psycopg.AsyncConnection.connect(pg_database, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def graph_target(neo4j_clean: Neo4jServer) -> AsyncIterator[Neo4jTarget]:
    """The session's empty graph as a target."""
    user, password = neo4j_clean.auth
    target = Neo4jTarget("graph", Neo4jOptions(url=neo4j_clean.url, user=user, password=Plain(password)))
    yield target
    await target.close()


@pytest.fixture
async def cypher(neo4j_clean: Neo4jServer) -> AsyncIterator[Callable[[str], Any]]:
    """Runs a statement that may write; answers with the rows."""
    async with neo4j.AsyncGraphDatabase.driver(neo4j_clean.url, auth=neo4j_clean.auth) as driver:

        async def run(text: str) -> list[list[Any]]:
            records, _, _ = await driver.execute_query(neo4j.Query(text))
            return [list(record.values()) for record in records]

        yield run


Handler = Callable[[Any], Any]


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Handler], Any]]:
    """Serves every path with one handler on loopback; answers with the service as a target."""
    async with AsyncExitStack() as stack:

        async def start(handler: Handler) -> HttpTarget:
            runner = web.ServerRunner(web.Server(handler, handler_cancellation=True), shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            options = HttpOptions(
                url=f"http://127.0.0.1:{port}",
                timeout=Duration(SECOND // 2),
                headers={"Authorization": Plain("Bearer hush-hush")},
            )
            target = HttpTarget("api", options)
            stack.push_async_callback(target.close)
            return target

        yield start
