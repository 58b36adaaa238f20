"""What every run starts from: a small data set whose release has gone out and hurts, and a daemon that has seen it.

It is made once: a database to copy, a graph to write again, the state directory of a daemon with its baseline, and
what an undisturbed run leaves behind. So one point costs seconds.
"""

import asyncio
import hashlib
import itertools
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import aiohttp
import neo4j
import psycopg
from psycopg import sql

from watchdog.app.registries import registries
from watchdog.config import load
from watchdog.demo import fill, stack
from watchdog.demo.acts import FLAG
from watchdog.demo.daemon import DemoDaemon, environment, shipped, slack_double
from watchdog.demo.data import SMALL, Sizes
from watchdog.demo.dependency import Rating
from watchdog.demo.release import GRAPH_MIGRATION, RELEASE, SCRIPTS, ReleaseSteps, script
from watchdog.demo.stack import Stack
from watchdog.doubles.slack import SlackDouble
from watchdog.migrations.catalog import surroundings
from watchdog.servers.neo4j import Neo4jServer
from watchdog.servers.postgres import PostgresServer
from watchdog.servers.process import free_port
from watchdog.servers.redis import RedisServer
from watchdog.targets.neo4j import Neo4jTarget

SHORTER: Final = {
    "config.yaml": (
        ("clock: 120 ", "clock: 1800 "),
        ("every: 1s", "every: 400ms"),
        ("baseline: 20s\n    min_baseline: 15s", "baseline: 4s\n    min_baseline: 2s"),
        ("resolve_after: 10s", "resolve_after: 1s"),
    ),
    "rules/automatic.yaml": (
        # Judging that nothing fails any more takes longer the less may fail.
        ("above: 10\n", "above: 200\n"),
        # Two processors share servers, service, daemon and requests: nothing may hang on how fast they are.
        ("floor: 0.1\n", "floor: 3\n"),
    ),
}
"""What differs from the shipped configuration: waiting times and thresholds of judging. Playbook and scripts do not."""

CACHED: Final = 20
_EMPTY: Final = Sizes(users=0, assessments=0, documents=0, controls=0, risks=0, sessions=0, billing_keys=0)
_NODES: Final = "MATCH (n) RETURN elementId(n) AS id, labels(n) AS labels, properties(n) AS properties"
_RELATIONS: Final = """
MATCH (a)-[r]->(b)
RETURN elementId(a) AS from, elementId(b) AS to, type(r) AS type, properties(r) AS properties
"""
_WRITE_NODES: Final = """
UNWIND $rows AS row
CALL apoc.create.node(row.labels, row.properties) YIELD node
RETURN row.id AS was, elementId(node) AS is
"""
_WRITE_RELATIONS: Final = """
UNWIND $rows AS row
MATCH (a) WHERE elementId(a) = row.from
MATCH (b) WHERE elementId(b) = row.to
CALL apoc.create.relationship(a, row.type, row.properties, b) YIELD rel
RETURN count(rel)
"""


@dataclass(frozen=True)
class Servers:
    """The stores, running."""

    postgres: PostgresServer
    redis: RedisServer
    neo4j: Neo4jServer


@dataclass(frozen=True)
class Graph:
    """A whole graph, to be written again."""

    nodes: list[dict[str, Any]]
    relations: list[dict[str, Any]]


@dataclass
class Rig:
    """What every run starts from. Holds nothing open; the servers are somebody else's.

    Attributes:
        directory: Everything that runs write is below it.
        token: Makes names of databases on the server our own.
    """

    servers: Servers
    directory: Path
    token: str
    graph: Graph = field(default_factory=lambda: Graph([], []))
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def config(self) -> Path:
        """The daemon's configuration."""
        return self.directory / "project" / "config.yaml"

    @property
    def state(self) -> Path:
        """The state directory of a daemon that has seen the release go out."""
        return self.directory / "state"

    @property
    def released(self) -> str:
        """The database to copy: the release has been applied."""
        return f"{self.token}_released"

    async def prepare(self) -> None:
        """Makes all of it: takes about fifteen seconds."""
        write_project(self.directory / "project")
        before = f"{self.token}_before"
        await self.statement("CREATE DATABASE {}", before)
        await fill.postgres(self.servers.postgres.url(before), SMALL)
        async with AsyncExitStack() as ending:
            made = await ending.enter_async_context(self._stack(before))
            async with made.driver() as driver:
                await _empty(driver)
                await fill.graph(driver, SMALL)
            await _fill_cache(made)
            slack = await slack_double()
            ending.push_async_callback(slack.stop)
            async with made.driver() as driver:
                self.graph = await _read_graph(driver)
            await self._release(made, slack)
        await self.statement("ALTER DATABASE {} RENAME TO {}", before, self.released)

    async def _release(self, made: Stack, slack: SlackDouble) -> None:
        """Baseline, T-0, every change; the daemon watches, and is then stopped in good order."""
        await made.start_service("v1")
        daemon = DemoDaemon(made.run_dir, environment(made, slack.api_url, self.state))
        daemon.config = self.config
        daemon.start()
        try:
            async with requests(made), opened(made) as graph:
                await daemon.until("every rule is judged", _judged, 40)
                await asyncio.sleep(4)  # the baseline
                release = made.release(graph)
                names = [change.name for change in release.changes()]
                certificate = await self._certificate(made, release)
                await daemon.post("release", self._announcement(names) | {"certificate": certificate})
                await replace(release, pause_s=0).apply_all()
                await made.stop_service()
                await replace(release, pause_s=0).enable_flag()
            await daemon.until("every notice is settled", lambda view: not owed(view), 30)
        finally:
            await daemon.stop()

    @staticmethod
    def _announcement(migrations: list[str]) -> dict[str, object]:
        return {
            "id": RELEASE,
            "migrations": migrations,
            "flags": [FLAG],
            "old_version": "v1",
            "new_version": "v2",
            "protection": "full",
        }

    async def _certificate(self, made: Stack, release: ReleaseSteps) -> dict[str, object]:
        """What a rehearsal here would certify: the same scripts, server and schema; none is held."""
        scripts = await asyncio.to_thread(self._playbook_hash, made)
        async with await psycopg.AsyncConnection.connect(made.admin_url) as connection:
            here = await surroundings(connection)
        return {
            "id": "kill",
            "issued_at": "2025-01-08T00:00:00+00:00",
            "surroundings": {
                "server": here.server,
                "extensions": here.extensions,
                "collation": here.collation,
                "schema_hash": here.schema_hash,
            },
            "rollback_hash": scripts,
            "scripts": [
                *(hashlib.sha256(release.sql(name).encode()).hexdigest() for name in SCRIPTS),
                hashlib.sha256(script(f"003_{GRAPH_MIGRATION}.cypher").encode()).hexdigest(),
            ],
            "restored": True,
            "old_code": "incompatible",
            "measured_seconds": 5.0,
        }

    def _playbook_hash(self, made: Stack) -> str:
        environ = environment(made, "http://127.0.0.1:9/", self.state)
        loaded = load(self.config, registries(), environ=environ)
        return loaded.guards[0].settings.playbook.hash

    @asynccontextmanager
    async def fresh(self) -> AsyncIterator[Stack]:
        """Every store as it was when the release had gone out, and a directory of its own; all of it goes again."""
        database = f"{self.token}_{next(self._numbers)}"
        await self.statement("CREATE DATABASE {} TEMPLATE {}", database, self.released)
        try:
            await fill.roles(self.servers.postgres.url(database))
            async with self._stack(database) as made:
                async with made.driver() as driver:
                    await _write_graph(driver, self.graph)
                async with opened(made) as graph:
                    await made.release(graph).migrate_graph()
                await _fill_cache(made)
                shutil.copytree(self.state, made.run_dir / "state")
                (made.run_dir / "state" / "watchdog.sock").unlink(missing_ok=True)
                yield made
        finally:
            await self.statement("DROP DATABASE {} WITH (FORCE)", database)

    @asynccontextmanager
    async def _stack(self, database: str) -> AsyncIterator[Stack]:
        run_dir = self.directory / database
        run_dir.mkdir()
        rating = Rating()
        await rating.start()
        made = Stack(
            run_dir=run_dir,
            sizes=SMALL,
            fault="schema",
            postgres=self.servers.postgres,
            redis=self.servers.redis,
            neo4j=self.servers.neo4j,
            rating=rating,
            port=free_port(),
            passwords=await stack.set_passwords(self.servers.postgres),
            timings={},
            scratch_url=self.servers.postgres.url("postgres"),
            database=database,
        )
        try:
            yield made
        finally:
            await made.stop_service()
            await rating.stop()

    async def statement(self, statement: str, *names: str) -> None:
        """A statement about whole databases."""
        admin = await psycopg.AsyncConnection.connect(self.servers.postgres.url("postgres"), autocommit=True)
        async with admin:
            await admin.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    async def drop(self) -> None:
        """Takes the databases off the server."""
        for name in (self.released, f"{self.token}_before"):
            await self.statement("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


@asynccontextmanager
async def opened(made: Stack) -> AsyncIterator[Neo4jTarget]:
    """The graph, as migrations want it."""
    target = made.graph()
    try:
        yield target
    finally:
        await target.close()


def write_project(to: Path) -> None:
    """The shipped configuration, rules and playbook, with shorter times.

    Raises:
        ValueError: The shipped files no longer say what is to be shortened.
    """
    to.mkdir()
    shutil.copy(shipped() / "config.yaml", to)
    for directory in ("rules", "rollbacks"):
        shutil.copytree(shipped() / directory, to / directory)
    for name, changes in SHORTER.items():
        text = (to / name).read_text(encoding="utf-8")
        for old, new in changes:
            if text.count(old) != 1:
                raise ValueError(
                    f"{name} says {old!r} {text.count(old)} times, not once: correct benchmarks/kill/rig.py"
                )
            text = text.replace(old, new)
        (to / name).write_text(text, encoding="utf-8")


def owed(view: dict[str, Any]) -> list[str]:
    """Notices without an outcome."""
    return [notice["id"] for notice in view["notices"] if notice["outcome"] == "owed"]


def _judged(view: dict[str, Any]) -> bool:
    return all(rule["verdict"] != "not judged yet" for rule in view["rules"])


@asynccontextmanager
async def requests(made: Stack) -> AsyncIterator[None]:
    """Users who only read, about a hundred times a second: judging needs traffic, comparing needs rows that rest."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
        reading = asyncio.create_task(_read(http, made.service_url))
        try:
            yield
        finally:
            reading.cancel()
            await asyncio.wait({reading})


async def _read(http: aiohttp.ClientSession, url: str) -> None:
    for user in itertools.cycle(range(1, SMALL.users + 1)):
        pause = 0.008
        try:
            async with http.get(f"{url}/users/{user}") as response:
                await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError):
            pause = 0.05
        await asyncio.sleep(pause)


async def _fill_cache(made: Stack) -> None:
    async with made.client() as client:
        await client.flushdb()
        await fill.cache(client, SMALL)
        for number in range(CACHED):
            await client.set(f"compliance:cache:assessment:{number}", f"value {number}")


async def _empty(driver: neo4j.AsyncDriver) -> None:
    await driver.execute_query("MATCH (n) DETACH DELETE n", database_="neo4j")


async def _read_graph(driver: neo4j.AsyncDriver) -> Graph:
    nodes = await driver.execute_query(_NODES, database_="neo4j")
    relations = await driver.execute_query(_RELATIONS, database_="neo4j")
    return Graph([record.data() for record in nodes.records], [record.data() for record in relations.records])


async def _write_graph(driver: neo4j.AsyncDriver, graph: Graph) -> None:
    await _empty(driver)
    await fill.graph(driver, _EMPTY)  # the constraints, should somebody have taken them away
    written = await driver.execute_query(_WRITE_NODES, rows=graph.nodes, database_="neo4j")
    now = {record["was"]: record["is"] for record in written.records}
    rows = [relation | {"from": now[relation["from"]], "to": now[relation["to"]]} for relation in graph.relations]
    await driver.execute_query(_WRITE_RELATIONS, rows=rows, database_="neo4j")
