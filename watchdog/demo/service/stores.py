"""Connections of the service: opened lazily, bounded, and with short timeouts, so that a dead store fails fast."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp
import neo4j
import redis.asyncio
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

Version = Literal["v1", "v2"]
Connection = AsyncConnection[DictRow]
Pool = AsyncConnectionPool[Connection]

STATEMENT_TIMEOUT_MS = 5_000
ACQUIRE_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class Settings:
    """Where the stores are. `fault` is one of `release.FAULTS`."""

    db_url: str
    redis_url: str
    neo4j_url: str
    neo4j_password: str
    dependency_url: str
    fault: str

    @staticmethod
    def from_environment(environment: Mapping[str, str] = os.environ) -> "Settings":
        """Reads COMPLIANCE_*.

        Raises:
            KeyError: a variable is missing; the message names it.
        """
        return Settings(
            db_url=environment["COMPLIANCE_DB_URL"],
            redis_url=environment["COMPLIANCE_REDIS_URL"],
            neo4j_url=environment["COMPLIANCE_NEO4J_URL"],
            neo4j_password=environment["COMPLIANCE_NEO4J_PASSWORD"],
            dependency_url=environment["COMPLIANCE_DEPENDENCY_URL"],
            fault=environment.get("COMPLIANCE_FAULT", "none"),
        )


@dataclass(frozen=True)
class Stores:
    """The open clients of one process."""

    pool: Pool
    redis: redis.asyncio.Redis
    graph: neo4j.AsyncDriver
    http: aiohttp.ClientSession
    dependency_url: str

    async def rows(self, statement: str, values: Mapping[str, object] | None = None) -> list[DictRow]:
        """Runs one statement in its own transaction and returns its rows."""
        async with self.pool.connection(timeout=ACQUIRE_TIMEOUT_S) as connection:
            cursor = await connection.execute(statement, values)
            return await cursor.fetchall() if cursor.description else []

    async def nodes(self, query: str, values: dict[str, object] | None = None) -> list[dict[str, Any]]:
        """Runs one Cypher query and returns its records."""
        answer = await self.graph.execute_query(query, values or {}, database_="neo4j")
        return [record.data() for record in answer.records]


@asynccontextmanager
async def open_stores(settings: Settings, version: Version) -> AsyncIterator[Stores]:
    """Opens every client without waiting for its server: a service starts also when a store is down."""
    async with AsyncExitStack() as stack:
        pool = _pool(settings, version)
        await pool.open(wait=False)
        stack.push_async_callback(pool.close, timeout=2.0)
        cache = redis.asyncio.Redis.from_url(
            settings.redis_url, decode_responses=True, socket_timeout=2.0, socket_connect_timeout=2.0
        )
        stack.push_async_callback(cache.aclose)
        graph = neo4j.AsyncGraphDatabase.driver(
            settings.neo4j_url,
            auth=("neo4j", settings.neo4j_password),
            max_connection_pool_size=4,
            connection_timeout=2.0,
            connection_acquisition_timeout=3.0,
            max_transaction_retry_time=2.0,
            notifications_min_severity="OFF",
            telemetry_disabled=True,
        )
        stack.push_async_callback(graph.close)
        http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2.0))
        stack.push_async_callback(http.close)
        yield Stores(pool, cache, graph, http, settings.dependency_url)


def _pool(settings: Settings, version: Version) -> Pool:
    return AsyncConnectionPool(
        settings.db_url,
        connection_class=Connection,
        kwargs={
            "autocommit": True,
            "row_factory": dict_row,
            "application_name": f"compliance-{version}",
            "connect_timeout": 2,
            "options": f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c timezone=UTC",
        },
        min_size=2,
        max_size=8,
        timeout=ACQUIRE_TIMEOUT_S,
        # Give up early and try anew with the next request: waiting doubles otherwise, and recovery would look slow.
        reconnect_timeout=2.0,
        open=False,
    )
