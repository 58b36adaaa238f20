"""A large table, with one client that writes: how long it is locked when a run is taken back, and what that takes."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final

import psycopg

from benchmarks.rollback.clients import Seen, clients
from watchdog.migrations.apply import apply
from watchdog.migrations.options import Options
from watchdog.migrations.rollback import rollback
from watchdog.migrations.safe.apply import apply_safe
from watchdog.migrations.tools.address import Command
from watchdog.migrations.tools.apply import apply_tool
from watchdog.servers.postgres import PostgresServer

HEAD: Final = (
    "| way | apply (s) | longest wait (s) | taken back (s) | longest wait (s) | exclusive lock (s) | writes lost |",
    "|---|---:|---:|---:|---:|---:|---:|",
)
_SEED: Final = """
CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, abalance int NOT NULL, name text NOT NULL);
INSERT INTO pgbench_accounts SELECT n, 0, 'Name ' || n FROM generate_series(1, {rows}) n;
ANALYZE pgbench_accounts;
"""
_STATEMENTS: Final = (
    "ALTER TABLE pgbench_accounts ADD COLUMN lowered text",
    "UPDATE pgbench_accounts SET lowered = lower(name)",
    "ALTER TABLE pgbench_accounts ALTER COLUMN lowered SET NOT NULL",
    "CREATE INDEX by_lowered ON pgbench_accounts (lowered)",
    "ALTER TABLE pgbench_accounts ADD CHECK (aid > 0)",
)
_TOOL: Final = """\
import json, os, psycopg
with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
    for statement in json.loads({statements!r}):
        connection.execute(statement)
"""
_RATE: Final = 50.0
_WHOLE: Final = 10**12
"""A table of fewer rows is kept as two whole images."""


@dataclass(frozen=True)
class Way:
    """How the statements are applied; `online` as it is by default, else with whole images."""

    name: str
    how: str
    online: bool = True


WAYS: Final = (
    Way("script", "script"),
    Way("tool", "tool"),
    Way("--safe", "safe"),
    Way("tool, whole images", "tool", online=False),
    Way("--safe, whole images", "safe", online=False),
)


async def measure(way: Way, server: PostgresServer, place: Path, rows: int) -> str:
    """One line of the table."""
    scratch = server.url("postgres")
    name = f"large_{WAYS.index(way)}"
    await _sql(scratch, f"CREATE DATABASE {name}")
    url = server.url(name)
    await _sql(url, _SEED.format(rows=rows))
    async with _timed(url, rows, 1) as (there, going):
        run = await _apply(way, url, scratch, place)
    async with _timed(url, rows, 2) as (back, coming):
        await rollback(url, run)
    added = going.added + coming.added
    lost = abs(sum(added.values()) - (await _sql(url, "SELECT sum(abalance) FROM pgbench_accounts"))[0][0])
    cells = (there[0], going.stall, back[0], coming.stall, coming.locked)
    return f"| {way.name} | {' | '.join(f'{cell:.2f}' for cell in cells)} | {lost} |"


@asynccontextmanager
async def _timed(url: str, rows: int, seed: int) -> AsyncIterator[tuple[list[float], Seen]]:
    """Seconds of the body, and what one client saw meanwhile."""
    seconds: list[float] = []
    async with clients(url, rows, seed=seed, rate=_RATE, count=1) as seen:
        began = monotonic()
        yield seconds, seen
        seconds.append(monotonic() - began)


async def _apply(way: Way, url: str, scratch: str, place: Path) -> int:
    options = Options() if way.online else Options(online_rows=_WHOLE)
    script = ";\n".join(_STATEMENTS)
    if way.how == "script":
        return (await apply(url, script, scratch_url=scratch, options=options)).run
    if way.how == "safe":
        return (await apply_safe(url, script, scratch_url=scratch, options=options)).run
    done = await apply_tool(url, _tool(place), scratch_url=scratch, options=options)
    assert done is not None  # noqa: S101 - it has something to do
    return done.run


def _tool(place: Path) -> Command:
    place.mkdir(parents=True)
    script = place / "tool.py"
    script.write_text(_TOOL.format(statements=json.dumps(_STATEMENTS)), encoding="utf-8")
    return Command("other", (sys.executable, str(script)), ("DATABASE_URL",))


async def _sql(url: str, query: str) -> list[tuple[int, ...]]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        cursor = await connection.execute(query.encode())
        return await cursor.fetchall() if cursor.description else []
