"""`python -m benchmarks.rollback.stores`: migrations of a graph in batches and of Redis keys, there and back.

Prints how long each takes, the longest wait of another client meanwhile, and whether everything was as before.
"""

import argparse
import asyncio
import secrets
import sys
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from redis.asyncio import Redis

from watchdog.demo.release import graph_target
from watchdog.migrations.cache.apply import apply
from watchdog.migrations.cache.rollback import rollback
from watchdog.migrations.graph.apply import apply_cypher
from watchdog.migrations.graph.rollback import rollback_graph
from watchdog.servers.neo4j import Neo4jServer
from watchdog.servers.paths import scratch_dir
from watchdog.servers.redis import RedisServer
from watchdog.targets.neo4j import Neo4jTarget

T = TypeVar("T")
_FILL = """
UNWIND range(1, $nodes) AS id CALL (id) { CREATE (:Item {id: id, a: id % 7, b: toString(id)}) } IN TRANSACTIONS
"""
_INDEX = "CREATE INDEX item_id IF NOT EXISTS FOR (i:Item) ON (i.id)"
_TIE = """
MATCH (i:Item) CALL (i) {
    UNWIND [1, 2] AS step MATCH (o:Item {id: i.id + step}) CREATE (i)-[:NEXT {step: step}]->(o)
} IN TRANSACTIONS
"""
_SHOWN = (
    "MATCH (i:Item) RETURN i.id AS id, i.a AS a, i.b AS b, COUNT { (i)-[:NEXT]->() } AS out ORDER BY id",
    "MATCH (a:Item)-[r:NEXT]->(b:Item) RETURN a.id AS a, r.step AS step, b.id AS b ORDER BY a, step",
)
SCRIPTS = {
    "two properties of every node set": (
        "MATCH (i:Item) CALL (i) {{ SET i.a = 0, i.b = 'x' }} IN TRANSACTIONS OF {rows} ROWS;"
    ),
    "every node deleted with its relationships": (
        "MATCH (i:Item) CALL (i) {{ DETACH DELETE i }} IN TRANSACTIONS OF {rows} ROWS;"
    ),
}
MIGRATION = """
version: 1
cap: {cap}
steps:
  - move: {{from: "app:v1:", to: "app:v2:"}}
"""


@dataclass
class Waits:
    """The longest answer that another client waited for, in seconds."""

    longest: float = 0.0


async def timed(work: Awaitable[T]) -> tuple[float, T]:
    """How long it takes, and its answer."""
    began = time.monotonic()
    answer = await work
    return time.monotonic() - began, answer


async def hashed(target: Neo4jTarget) -> str:
    """The whole graph as one hash."""
    digest = sha256()
    async with target.session() as session:
        for query in _SHOWN:
            async for record in await session.run(query):
                digest.update(repr(tuple(record.values())).encode())
    return digest.hexdigest()


async def graph(directory: Path, nodes: int, rows: int) -> int:
    """The table of the graph; how many scripts did not come back as they were."""
    wrong = 0
    async with await Neo4jServer.start(directory / "neo4j", secrets.token_urlsafe(18)) as server:
        target = graph_target(server.url, server.auth[1])
        async with target.session() as session:
            for statement in (_INDEX, _FILL, _TIE):
                await (await session.run(statement, nodes=nodes)).consume()
        before = await hashed(target)
        sys.stdout.write(
            f"| {nodes:,} nodes, {2 * nodes - 3:,} relationships | archived | apply | rollback | as before |\n"
        )
        sys.stdout.write("|---|---:|---:|---:|---|\n")
        for what, script in SCRIPTS.items():
            there, applied = await timed(apply_cypher(target, script.format(rows=rows), name=what))
            back, _ = await timed(rollback_graph(target, applied.run))
            same = await hashed(target) == before
            wrong += not same
            sys.stdout.write(
                f"| {what} | {applied.archived:,} | {there:.0f} s | {back:.0f} s | {'yes' if same else 'NO'} |\n"
            )
        await target.close()
    return wrong


@asynccontextmanager
async def watching(client: "Redis") -> AsyncIterator[Waits]:
    """Another client asks for one key after the other."""
    waits = Waits()

    async def ask() -> None:
        while True:
            took, _ = await timed(client.get("other:key"))
            waits.longest = max(waits.longest, took)
            await asyncio.sleep(0.002)

    asking = asyncio.create_task(ask())
    try:
        yield waits
    finally:
        asking.cancel()


async def cache(directory: Path, keys: int) -> int:
    """The table of Redis; 1 when its keys are not as before."""
    migration = directory / "cache.redis.yaml"
    migration.write_text(MIGRATION.format(cap=keys + 1), encoding="utf-8")
    async with await RedisServer.start(directory / "redis") as server, Redis.from_url(server.url()) as client:
        for first in range(0, keys, 1_000):
            await client.mset({f"app:v1:{n}": f"{n:0100}" for n in range(first, min(first + 1_000, keys))})
        async with watching(client) as waits:
            there, applied = await timed(apply(server.url(), migration))
            waited, waits.longest = waits.longest, 0.0
            held = await client.info("memory")
            back, _ = await timed(rollback(server.url(), applied.run))
        left = await client.info("memory")
        some = range(0, keys, max(1, keys // 1_000))
        found = await client.mget([f"app:v1:{n}" for n in some])
        same = found == [f"{n:0100}".encode() for n in some] and await client.dbsize() >= keys
        sys.stdout.write(
            f"\n| {keys:,} keys of 100 bytes | seconds | longest wait of another client | server's memory |\n"
        )
        sys.stdout.write("|---|---:|---:|---:|\n")
        sys.stdout.write(f"| moved | {there:.1f} | {waited * 1000:.0f} ms | {held['used_memory'] / 2**20:.0f} MiB |\n")
        sys.stdout.write(
            f"| taken back | {back:.1f} | {waits.longest * 1000:.0f} ms | {left['used_memory'] / 2**20:.0f} MiB |\n"
        )
        return 0 if same else 1


async def main(arguments: argparse.Namespace) -> int:
    """Both tables; status 1 when something is not as it was."""
    with scratch_dir("stores") as directory:
        wrong = await graph(directory, arguments.nodes, arguments.batch)
        return min(1, wrong + await cache(directory, arguments.keys))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rollback.stores", description=__doc__)
    parser.add_argument("--nodes", type=int, default=50_000)
    parser.add_argument("--batch", type=int, default=1_000, help="rows of a transaction of the graph")
    parser.add_argument("--keys", type=int, default=100_000)
    sys.exit(asyncio.run(main(parser.parse_args())))
