"""The process is killed in the middle of a run in steps: it can be finished, and it can be taken back."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest

from tests.migrations.safe.test_apply import LIMITS, SCHEMA, leftovers
from tests.migrations.tools.plain import nobody_is_there, until
from tests.support.archives import sql
from watchdog.migrations.rollback import rollback
from watchdog.migrations.safe.apply import resume_safe
from watchdog.migrations.tools.finish import resume
from watchdog.ports.errors import WatchdogError

SCRIPT = """UPDATE t SET w = w + 1;
CREATE INDEX by_w ON t (w);
ALTER TABLE t ADD CONSTRAINT positive CHECK (w > 1)"""
PROGRAM = """
import asyncio, sys
from watchdog.migrations.safe.apply import apply_safe
from watchdog.migrations.safe.limits import Limits
limits = Limits(batch_rows=500, pause_seconds=0.05, tries=10_000)
asyncio.run(apply_safe(sys.argv[1], sys.argv[3], scratch_url=sys.argv[2], limits=limits))
"""
WAITS = (
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'watchdog tool%'"
    " AND wait_event_type = 'Lock' AND query LIKE "
)
# What somebody holds, and what the database shows when the moment has come.
POINTS = {
    "in a batch": ("SELECT FROM t WHERE id = 2500 FOR UPDATE", f"{WAITS} 'UPDATE%'"),
    "while the index is built": (
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT FROM owner",
        f"{WAITS} 'CREATE INDEX%'",
    ),
    "before the constraint": ("SELECT FROM t LIMIT 1", f"{WAITS} 'ALTER%'"),
}


@asynccontextmanager
async def holding(url: str, what: str) -> AsyncIterator[None]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute(what.encode())
        yield


async def killed(url: str, scratch: str, point: str, script: str = SCRIPT) -> None:
    """Applies the script in a process of its own, which is killed at a point; then its session ends too."""
    hold, shows = POINTS[point]
    async with holding(url, hold):
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, url, scratch, script)
        try:
            await until(url, shows, rows=1)
        finally:
            process.kill()
            await asyncio.wait_for(process.wait(), 10)
        mine = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'watchdog%'"
        await sql(url, f"{mine} AND datname = current_database()")
    await nobody_is_there(url)


async def state(url: str) -> list[tuple[Any, ...]]:
    return await sql(url, "SELECT count(*), sum(w), count(*) FILTER (WHERE w = 2 + id % 10) FROM t")


BEFORE = [(3000, 16500, 0)]
AFTER = [(3000, 19500, 3000)]


@asynccontextmanager
async def twin(url: str, scratch: str) -> AsyncIterator[str]:
    """The same database once more."""
    name = url.rsplit("/", 1)[1]
    await sql(scratch, f"CREATE DATABASE {name}_twin TEMPLATE {name}")
    try:
        yield f"{url}_twin"
    finally:
        await sql(scratch, f"DROP DATABASE {name}_twin WITH (FORCE)")


@pytest.mark.parametrize("point", POINTS)
async def test_a_run_that_was_killed_is_finished_or_taken_back(pg_database: str, scratch: str, point: str) -> None:
    await sql(pg_database, SCHEMA)
    await killed(pg_database, scratch, point)
    async with twin(pg_database, scratch) as other:
        await is_taken_back(other)
    done = await resume_safe(pg_database, 1, limits=LIMITS)
    assert done.reversible, done.lowered
    assert await state(pg_database) == AFTER
    assert await sql(pg_database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'by_w'::regclass") == [(True,)]
    assert await sql(pg_database, "SELECT convalidated FROM pg_constraint WHERE conname = 'positive'") == [(True,)]
    assert await leftovers(pg_database) == []
    await rollback(pg_database, 1)
    assert await state(pg_database) == BEFORE


async def is_taken_back(url: str) -> None:
    await sql(url, "INSERT INTO t VALUES (9000, 'later', 1)")
    finished = await resume(url, 1)
    assert finished is not None
    assert finished.reversible, finished.lowered
    await rollback(url, 1)
    await sql(url, "DELETE FROM t WHERE id = 9000 AND v = 'later'")
    assert await state(url) == BEFORE
    assert await sql(url, "SELECT to_regclass('by_w')") == [(None,)]
    assert await sql(url, "SELECT FROM pg_constraint WHERE conname = 'positive'") == []
    assert await leftovers(url) == []


async def test_an_index_half_built_goes_although_its_table_stays(pg_database: str, scratch: str) -> None:
    await sql(pg_database, SCHEMA)
    script = "CREATE INDEX by_w ON t (w); ALTER TABLE owner ADD COLUMN x int"
    await killed(pg_database, scratch, "while the index is built", script)
    assert ("by_w",) in await leftovers(pg_database)
    finished = await resume(pg_database, 1)
    assert finished is not None
    assert finished.reversible, finished.lowered
    await rollback(pg_database, 1)
    assert await leftovers(pg_database) == []


async def test_a_run_that_is_over_or_unknown_is_not_gone_on_with(pg_database: str, scratch: str) -> None:
    await sql(pg_database, SCHEMA)
    with pytest.raises(WatchdogError, match="none that stopped half way"):
        await resume_safe(pg_database, 7)


async def test_a_run_that_still_works_is_left_alone(pg_database: str, scratch: str) -> None:
    await sql(pg_database, SCHEMA)
    async with holding(pg_database, POINTS["in a batch"][0]):
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, pg_database, scratch, SCRIPT)
        try:
            await until(pg_database, POINTS["in a batch"][1], rows=1)
            with pytest.raises(WatchdogError, match="still being applied"):
                await resume_safe(pg_database, 1)
        finally:
            process.kill()
            await asyncio.wait_for(process.wait(), 10)
    await nobody_is_there(pg_database)
