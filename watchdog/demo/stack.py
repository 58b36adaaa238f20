"""Everything the demo stands on: three real servers with data in them, the rating service, the sample service.

Loading takes a while, so loaded data directories are kept in the cache and copied for each run.
"""

import asyncio
import hashlib
import os
import secrets
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TypeVar

import aiohttp
import psycopg
from neo4j import AsyncDriver, AsyncGraphDatabase
from psycopg import sql
from redis.asyncio import Redis

from watchdog.demo import fill
from watchdog.demo.data import DEMO, Sizes
from watchdog.demo.dependency import Rating
from watchdog.demo.gateway import Gateway
from watchdog.demo.release import Fault, ReleaseSteps, graph_target
from watchdog.demo.service.stores import Version
from watchdog.migrations.clone import scratch
from watchdog.servers.errors import ServerError
from watchdog.servers.neo4j import Neo4jServer
from watchdog.servers.paths import cache_dir
from watchdog.servers.postgres import PostgresServer
from watchdog.servers.process import Process, free_port, is_alive
from watchdog.servers.redis import RedisServer
from watchdog.targets.neo4j import Neo4jTarget

DATABASE = "compliance"
POSTGRES_MAJOR = 18
LOGINS = ("compliance_app", "compliance_migrator", "watchdog_agent")
HEALTHY_WITHIN_S = 30.0
STOPPED_WITHIN_S = 8.0

POSTGRES_SETTINGS = {
    "shared_preload_libraries": "pg_stat_statements",
    "max_connections": "60",
    "shared_buffers": "256MB",
    "max_wal_size": "1GB",
    "min_wal_size": "80MB",
    "checkpoint_timeout": "15min",
    # Small statements on a small machine: planning for parallel workers and code generation would only cost.
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
}

Say = Callable[[str], None]
T = TypeVar("T")


class StackError(RuntimeError):
    """The sample service did not come up or go down; the message says where its log is."""


@dataclass
class Stack:
    """A running stack.

    `timings` holds seconds by what took them; `scratch_url` is a server on which to learn what scripts do. Addresses
    hold passwords: do not print them.
    """

    run_dir: Path
    sizes: Sizes
    fault: Fault
    postgres: PostgresServer
    redis: RedisServer
    neo4j: Neo4jServer
    rating: Rating
    port: int
    passwords: dict[str, str] = field(repr=False)
    timings: dict[str, float]
    scratch_url: str = field(repr=False)
    database: str = DATABASE
    gateway: Gateway | None = None
    _service: Process | None = field(default=None)
    _canary: Process | None = field(default=None)

    @property
    def service_url(self) -> str:
        """Base address of the sample service, the same for every version."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def entrance(self) -> str:
        """Where users go: a gateway where a canary runs beside the old version, else the service itself."""
        return self.gateway.url if self.gateway is not None else self.service_url

    @property
    def pid_file(self) -> Path:
        """Holds the process id of the sample service while it runs, whoever started it."""
        return self.run_dir / "service.pid"

    @property
    def admin_url(self) -> str:
        """The database, as superuser: for the demo's own checks, never for the daemon."""
        return self.postgres.url(self.database)

    def url(self, user: str, database: str | None = None) -> str:
        """The database (or another one on the same server), as one of `LOGINS`."""
        return self.postgres.url(database or self.database, user, self.passwords[user])

    def driver(self) -> AsyncDriver:
        """A driver of the graph; the caller closes it."""
        return AsyncGraphDatabase.driver(
            self.neo4j.url, auth=self.neo4j.auth, notifications_min_severity="OFF", telemetry_disabled=True
        )

    def client(self) -> Redis:
        """A client of Redis; the caller closes it."""
        return Redis.from_url(self.redis.url(), decode_responses=True)

    def graph(self) -> Neo4jTarget:
        """The graph, as migrations want it; the caller closes it."""
        return graph_target(self.neo4j.url, self.neo4j.auth[1])

    def release(self, graph: Neo4jTarget) -> ReleaseSteps:
        """The release with this stack's fault, run by the service team's account."""
        return ReleaseSteps(self.url("compliance_migrator"), graph, self.scratch_url, self.fault)

    def service_argv(self, version: Version) -> list[str]:
        """What starts the sample service, for whoever starts it: no shell, absolute paths."""
        return [
            sys.executable,
            "-m",
            "watchdog.demo.service",
            "--version",
            version,
            "--port",
            str(self.port),
            "--pid-file",
            str(self.pid_file),
        ]

    def service_environment(self) -> dict[str, str]:
        """What the sample service needs in its environment; holds passwords."""
        return {
            "COMPLIANCE_DB_URL": self.url("compliance_app"),
            "COMPLIANCE_REDIS_URL": self.redis.url(),
            "COMPLIANCE_NEO4J_URL": self.neo4j.url,
            "COMPLIANCE_NEO4J_PASSWORD": self.neo4j.auth[1],
            "COMPLIANCE_DEPENDENCY_URL": self.rating.url,
            "COMPLIANCE_FAULT": self.fault,
        }

    async def start_service(self, version: Version) -> None:
        """Starts the sample service and waits until it is healthy.

        Raises:
            StackError: it ended, or was not healthy within `HEALTHY_WITHIN_S`.
        """
        self._service = Process.start(
            f"compliance {version}",
            self.service_argv(version),
            log=self.run_dir / "service.log",
            env=self.service_environment(),
            death_signal=signal.SIGTERM,
        )
        await self.wait_healthy(version)

    async def start_canary(self, version: Version, share: float) -> None:
        """Starts another version beside the one that runs, and gives it a share of the traffic (0.0 to 1.0).

        Raises:
            StackError: there is no gateway, or it was not healthy within `HEALTHY_WITHIN_S`.
        """
        if self.gateway is None:
            raise StackError("a canary needs the gateway of its own fault")
        port = free_port()
        self._canary = Process.start(
            f"compliance {version} canary",
            [sys.executable, "-m", "watchdog.demo.service", "--version", version, "--port", str(port)],
            log=self.run_dir / "canary.log",
            env=self.service_environment(),
            death_signal=signal.SIGTERM,
        )
        await self.wait_healthy(version, f"http://127.0.0.1:{port}")
        self.gateway.begin_canary(f"http://127.0.0.1:{port}", share)

    async def wait_healthy(self, version: Version, url: str = "") -> None:
        """Waits until /health says 200 with this version; raises StackError."""
        deadline = time.monotonic() + HEALTHY_WITHIN_S
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as http:
            while time.monotonic() < deadline:
                if self._service is not None and self._service.returncode is not None:
                    break
                with suppress(aiohttp.ClientError, TimeoutError):
                    async with http.get(f"{url or self.service_url}/health") as response:
                        if response.status == 200 and (await response.json())["version"] == version:
                            return
                await asyncio.sleep(0.05)
        log = self.run_dir / "service.log"
        raise StackError(f"compliance {version} is not healthy; its log is {log} and ends with:\n{tail(log)}")

    async def stop_service(self) -> None:
        """Stops the sample service, also one that the daemon started; idempotent."""
        if self._canary is not None:
            await self._canary.stop(grace=STOPPED_WITHIN_S)
            self._canary = None
        pid = self.service_pid()
        if pid is not None:
            await _end(pid)
        if self._service is not None:
            await self._service.stop(grace=STOPPED_WITHIN_S)
            self._service = None
        self.pid_file.unlink(missing_ok=True)

    def service_pid(self) -> int | None:
        """The process id of the running sample service, checked to be one: numbers are used again."""
        with suppress(FileNotFoundError, ProcessLookupError, ValueError):
            pid = int(self.pid_file.read_text())
            if is_alive(pid) and b"watchdog.demo.service" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        return None


@asynccontextmanager
async def running(
    run_dir: Path,
    sizes: Sizes = DEMO,
    fault: Fault = "none",
    say: Say | None = None,
    scratch_url: str | None = None,
) -> AsyncIterator[Stack]:
    """Starts the servers with data and the rating service, and stops everything at the end, whatever happened.

    The sample service is not started yet: see `Stack.start_service`.

    Args:
        run_dir: an existing directory for this run that everybody may enter (`servers.paths.scratch_dir`).
        sizes: how much data.
        fault: what will go wrong.
        say: is told what is being done, for people who wait.
        scratch_url: a server to learn on, as superuser; one more is started without it.
    """
    tell = say or (lambda _text: None)
    timings: dict[str, float] = {}
    async with AsyncExitStack() as ending:
        postgres, graph, cache = await _start_servers(run_dir, sizes, tell, timings, ending)
        passwords = await set_passwords(postgres)
        scratch_url = await ending.enter_async_context(scratch(POSTGRES_MAJOR, scratch_url))
        rating = Rating()
        ending.push_async_callback(rating.stop)
        await rating.start()
        servers = (postgres, cache, graph, rating)
        stack = Stack(run_dir, sizes, fault, *servers, free_port(), passwords, timings, scratch_url)
        if fault == "canary":
            stack.gateway = Gateway(stack.service_url)
            ending.push_async_callback(stack.gateway.stop)
            await stack.gateway.start()
        ending.push_async_callback(stack.stop_service)
        yield stack


async def _start_servers(
    run_dir: Path, sizes: Sizes, say: Say, timings: dict[str, float], ending: AsyncExitStack
) -> tuple[PostgresServer, Neo4jServer, RedisServer]:
    started = time.monotonic()
    try:
        async with asyncio.TaskGroup() as tasks:
            postgres = tasks.create_task(_timed("postgres", timings, start_postgres(run_dir, sizes, say, ending)))
            graph = tasks.create_task(_timed("neo4j", timings, start_neo4j(run_dir, sizes, say, ending)))
            cache = tasks.create_task(_timed("redis", timings, start_redis(run_dir, sizes, say, ending)))
    except ExceptionGroup as failed:
        told = failed.subgroup((ServerError, StackError))
        if told is None:
            raise
        raise told.exceptions[0] from None
    timings["servers"] = time.monotonic() - started
    return postgres.result(), graph.result(), cache.result()


async def _timed(what: str, timings: dict[str, float], work: Awaitable[T]) -> T:
    started = time.monotonic()
    result = await work
    timings[what] = time.monotonic() - started
    return result


async def start_postgres(run_dir: Path, sizes: Sizes, say: Say, ending: AsyncExitStack) -> PostgresServer:
    """PostgreSQL with its data in `run_dir`; `ending` stops it. `say` is told when loading begins."""
    place, data_dir = kept(sizes, "postgres"), run_dir / "postgres"

    async def start() -> PostgresServer:
        return await PostgresServer.start(data_dir, settings=POSTGRES_SETTINGS, progress=say)

    if place.exists():
        await _cp(place, data_dir)
        server = await start()
        ending.push_async_callback(server.stop)
        return server
    server = await start()
    ending.push_async_callback(server.stop)
    say(f"PostgreSQL: loading {sizes.assessments:,} assessments and {sizes.documents:,} embeddings")
    async with await psycopg.AsyncConnection.connect(server.url("postgres"), autocommit=True) as admin:
        await admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
    await fill.postgres(server.url(DATABASE), sizes)
    await server.stop()
    await _keep(data_dir, place)
    await server.restart()
    return server


async def start_neo4j(run_dir: Path, sizes: Sizes, say: Say, ending: AsyncExitStack) -> Neo4jServer:
    """Neo4j with its data in `run_dir`; `ending` stops it. `say` is told when loading begins."""
    place, home = kept(sizes, "neo4j"), run_dir / "neo4j"
    password_file = home / "demo.password"
    if place.exists():
        await _cp(place, home)
        server = await Neo4jServer.start(home, password_file.read_text())
        ending.push_async_callback(server.stop)
        return server
    password = secrets.token_urlsafe(18)
    server = await Neo4jServer.start(home, password, progress=say)
    ending.push_async_callback(server.stop)
    say(f"Neo4j: loading {sizes.controls:,} controls and {sizes.documents:,} documents")
    async with AsyncGraphDatabase.driver(server.url, auth=server.auth) as driver:
        await fill.graph(driver, sizes)
    await server.stop()
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    await _keep(home, place)
    await server.restart()
    return server


async def start_redis(run_dir: Path, sizes: Sizes, say: Say, ending: AsyncExitStack) -> RedisServer:
    """Redis with its data in `run_dir`; `ending` stops it."""
    server = await RedisServer.start(run_dir / "redis", progress=say)
    ending.push_async_callback(server.stop)
    async with Redis.from_url(server.url()) as client:
        await fill.cache(client, sizes)
    return server


async def set_passwords(server: PostgresServer) -> dict[str, str]:
    """New passwords for each run: the kept data directory holds none that works."""
    passwords = {login: secrets.token_urlsafe(18) for login in LOGINS}
    async with await psycopg.AsyncConnection.connect(server.url("postgres")) as admin:
        for login, password in passwords.items():
            await admin.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(login), sql.Literal(password))
            )
    return passwords


def kept(sizes: Sizes, store: str) -> Path:
    """Where the loaded data directory is kept; another place whenever what makes the data changes."""
    made_by = hashlib.blake2b(repr(sizes).encode(), digest_size=8)
    for name in ("data.py", "embedding.py", "fill.py", "roles.sql", "schema.sql"):
        made_by.update(resources.files("watchdog.demo").joinpath(name).read_bytes())
    return cache_dir() / "demo" / made_by.hexdigest() / store


async def _keep(data_dir: Path, place: Path) -> None:
    """Copies a loaded directory to its place in one rename; somebody else may have been faster."""
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        await _cp(data_dir, partial)
        with suppress(OSError):
            partial.rename(place)
    finally:
        await asyncio.to_thread(shutil.rmtree, partial, ignore_errors=True)


async def _cp(source: Path, to: Path) -> None:
    """Copies a tree with owners and modes, sharing blocks where the file system can."""
    command = ("cp", "-a", "--reflink=auto", str(source), str(to))
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, errors = await process.communicate()
    if process.returncode != 0:
        raise StackError(f"Cannot copy {source} to {to}: {errors.decode().strip()}; make room or delete {source}.")


async def _end(pid: int) -> None:
    deadline = time.monotonic() + STOPPED_WITHIN_S
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        while is_alive(pid):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.05)


def tail(log: Path) -> str:
    """The last lines of a log file; empty if there is none."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else ""
