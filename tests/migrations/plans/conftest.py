"""Three stores, each with something of a shop in it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest_asyncio
from redis.asyncio import Redis

from tests.support.archives import sql
from watchdog.migrations.plans.file import Plan, read_plan
from watchdog.migrations.plans.run import Stores
from watchdog.migrations.plans.stores import CacheStore, GraphStore, SqlStore
from watchdog.ports.secrets import KnownSecret
from watchdog.servers.neo4j import Neo4jServer
from watchdog.servers.postgres import PostgresServer
from watchdog.servers.redis import RedisServer
from watchdog.targets.neo4j import Neo4jOptions, Neo4jTarget

PLAN = """
version: 1
release: r1
migrations:
  - {name: cache, target: cache, script: cache.redis.yaml, after: [prices, graph]}
  - {name: prices, target: db, script: prices.sql}
  - {name: graph, target: graph, script: graph.cypher}
"""
SCRIPTS = {
    "prices.sql": "ALTER TABLE goods DROP COLUMN price;",
    "graph.cypher": "MATCH (g:Good) SET g.price = 0;",
    "cache.redis.yaml": 'version: 1\nsteps:\n  - clear: "shop:price:"\n',
}
SEED = """
CREATE TABLE goods (id int PRIMARY KEY, name text NOT NULL, price int NOT NULL);
INSERT INTO goods SELECT n, 'good ' || n, n * 10 FROM generate_series(1, 5) n;
"""


@dataclass
class Shop:
    """The shop's stores, and a plan in a folder."""

    url: str
    stores: dict[tuple[str, str], Any]
    folder: Path
    graph: Neo4jTarget
    redis: Redis

    def plan(self, text: str = PLAN, **scripts: str) -> Plan:
        for name, script in (SCRIPTS | {name.replace("__", "."): text for name, text in scripts.items()}).items():
            (self.folder / name).write_text(script)
        (self.folder / "release.yaml").write_text(text)
        return read_plan(self.folder / "release.yaml")

    async def state(self) -> tuple[Any, ...]:
        """All that a rollback must bring back."""
        columns = "SELECT column_name FROM information_schema.columns WHERE table_name = 'goods' ORDER BY 1"
        async with self.graph.session() as session:
            rows = await session.run("MATCH (g:Good) RETURN g.id, g.price ORDER BY g.id")
            goods = [record.values() async for record in rows]
        keys = {key: await self.redis.get(key) for key in await self.redis.keys("shop:*")}
        return await sql(self.url, columns), await sql(self.url, "SELECT * FROM goods ORDER BY id"), goods, keys


@pytest_asyncio.fixture
async def shop(
    pg_database: str,
    postgres_server: PostgresServer,
    neo4j_clean: Neo4jServer,
    redis_server: RedisServer,
    tmp_path: Path,
) -> AsyncIterator[Shop]:
    """Five goods with prices, in every store."""
    user, password = neo4j_clean.auth
    graph = Neo4jTarget("graph", Neo4jOptions(url=neo4j_clean.url, user=user, password=KnownSecret(password)))
    stores: Stores = {
        ("db", "sql"): SqlStore(pg_database, postgres_server.url("postgres")),
        ("graph", "cypher"): GraphStore(graph),
        ("cache", "redis"): CacheStore(redis_server.url()),
    }
    await sql(pg_database, SEED)
    async with Redis.from_url(redis_server.url(), decode_responses=True) as client, graph.session() as session:
        await client.flushdb()
        await client.mset({f"shop:price:{n}": n * 10 for n in range(1, 6)})
        await (await session.run("UNWIND range(1, 5) AS n CREATE (:Good {id: n, price: n * 10})")).consume()
        yield Shop(pg_database, dict(stores), tmp_path, graph, client)
    await graph.close()
