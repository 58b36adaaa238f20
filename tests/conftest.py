"""Real servers for the tests, each started at first use and once a session.

They are not tied to an event loop, so a test in its own loop uses what the session's loop started.
"""

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import neo4j
import psycopg
import pytest
import pytest_asyncio
import redis.asyncio
from psycopg import sql

from watchdog.servers.neo4j import Neo4jServer
from watchdog.servers.paths import scratch_dir
from watchdog.servers.postgres import PostgresServer
from watchdog.servers.redis import RedisServer

_numbers = itertools.count(1)
_redis_numbers = itertools.cycle(range(1, 16))


@pytest.fixture
def server_dir() -> Iterator[Path]:
    """Where a test puts the data of servers of its own (pytest's tmp_path is closed to a server that root starts)."""
    with scratch_dir("test") as path:
        yield path


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres_server() -> AsyncIterator[PostgresServer]:
    """The session's PostgreSQL 18; use `pg_database` unless the server itself matters."""
    settings = {"fsync": "off", "max_connections": "200", "shared_preload_libraries": "pg_stat_statements"}
    with scratch_dir("tests-pg") as directory:
        async with await PostgresServer.start(directory / "data", settings=settings) as server:
            yield server


@pytest_asyncio.fixture
async def pg_database(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """The URL of an empty database of the test's own, as superuser."""
    name = f"test_{next(_numbers)}"
    admin = await psycopg.AsyncConnection.connect(postgres_server.url("postgres"), autocommit=True)
    async with admin:
        await admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE template0 STRATEGY FILE_COPY").format(sql.Identifier(name))
        )
        try:
            yield postgres_server.url(name)
        finally:
            await admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def redis_server() -> AsyncIterator[RedisServer]:
    """The session's Redis; use `redis_url` unless the server itself matters."""
    with scratch_dir("tests-redis") as directory:
        async with await RedisServer.start(directory) as server:
            yield server


@pytest_asyncio.fixture
async def redis_url(redis_server: RedisServer) -> str:
    """The URL of an empty numbered database of the test's own; the others stay as they are."""
    url = redis_server.url(next(_redis_numbers))
    async with redis.asyncio.Redis.from_url(url) as client:
        await client.flushdb()
    return url


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def neo4j_server() -> AsyncIterator[Neo4jServer]:
    """The session's Neo4j; use `neo4j_clean` unless nothing in it matters."""
    with scratch_dir("tests-neo4j") as directory:
        async with await Neo4jServer.start(directory, "neo4j-for-tests") as server:
            yield server


@pytest_asyncio.fixture
async def neo4j_clean(neo4j_server: Neo4jServer) -> Neo4jServer:
    """The session's Neo4j without nodes, constraints and indexes."""
    async with neo4j.AsyncGraphDatabase.driver(neo4j_server.url, auth=neo4j_server.auth) as driver:
        await driver.execute_query("CALL apoc.schema.assert({}, {})")
        await driver.execute_query("MATCH (n) DETACH DELETE n")
    return neo4j_server
