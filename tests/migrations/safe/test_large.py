"""Large tables of a run in steps: made beside when it is taken back, also when the process died."""

import asyncio
import sys

import pytest

from tests.migrations.safe.test_apply import LIMITS, SCHEMA, applied, leftovers
from tests.migrations.safe.test_kill import WAITS, holding, twin
from tests.migrations.tools.plain import nobody_is_there, until
from tests.migrations.tools.test_large import large_tables
from tests.support.archives import sql
from watchdog.migrations.options import Options
from watchdog.migrations.outlook import outlooks
from watchdog.migrations.policies import Policy
from watchdog.migrations.rollback import rollback
from watchdog.migrations.runs import runs
from watchdog.migrations.safe.apply import resume_safe
from watchdog.migrations.shadow import built
from watchdog.migrations.shape import Connection
from watchdog.migrations.undo import Plan

FILLED = """
UPDATE t SET w = w + 1;
ALTER TABLE t ADD COLUMN lowered text;
UPDATE t SET lowered = lower(v);
ALTER TABLE t ALTER COLUMN lowered SET NOT NULL;
CREATE INDEX by_lowered ON t (lowered);
ALTER TABLE t ADD CHECK (w > 0);
"""
PROGRAM = """
import asyncio, sys
from watchdog.migrations.options import Options
from watchdog.migrations.safe.apply import apply_safe
from watchdog.migrations.safe.limits import Limits
limits = Limits(batch_rows=500, pause_seconds=0.05, tries=10_000)
options = Options(online_rows=1)
asyncio.run(apply_safe(sys.argv[1], sys.argv[3], scratch_url=sys.argv[2], options=options, limits=limits))
"""
FINISHING = (
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    " AND query LIKE 'ALTER TABLE watchdog.run_1_%%_before%%'"
).replace("%%", "%")


async def test_a_filled_table_comes_back_beside_the_live_one(
    pg_database: str, scratch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside: list[int] = []

    async def looked(connection: Connection, number: int, plan: Plan) -> frozenset[int]:
        found = await built(connection, number, plan)
        beside.append(len(found))
        return found

    monkeypatch.setattr("watchdog.migrations.rollback.built", looked)
    await sql(pg_database, SCHEMA)
    wanted = {n: (v, w) for n, v, w in await sql(pg_database, "TABLE t")}
    async with holding(pg_database, "SELECT FROM t WHERE id = 2500 FOR UPDATE"):
        options = Options(online_rows=1, log_bytes=2**30, policies={"public.t": Policy.EARLIER})
        work = asyncio.create_task(applied(pg_database, FILLED, scratch, options=options))
        await until(pg_database, f"{WAITS} 'UPDATE%'", rows=1)
        # Of 1 the batch is done, of 3000 it is not.
        await sql(pg_database, "UPDATE t SET v = 'mine' WHERE id IN (1, 3000); DELETE FROM t WHERE id IN (2, 2999)")
        await sql(pg_database, "INSERT INTO t VALUES (4000, 'while', 5)")
    done = await work
    assert done.reversible, done.lowered
    assert await large_tables(pg_database, done.run) == ["t"]
    await sql(pg_database, "UPDATE t SET w = 70 WHERE id = 5; UPDATE t SET v = 'later' WHERE id = 6")
    await sql(pg_database, "INSERT INTO t VALUES (4001, 'later', 5, 'x')")
    (ahead,) = (await outlooks(pg_database, await runs(pg_database))).values()
    assert ahead.log is not None
    assert ahead.log.entries >= 3
    report = await rollback(pg_database, done.run)
    assert beside == [1, 1]
    wanted |= {1: ("mine", 2), 3000: ("mine", 1), 6: ("later", 7), 4000: ("while", 5), 4001: ("later", 5)}
    wanted = {n: row for n, row in wanted.items() if n not in {2, 2999}}
    assert {n: (v, w) for n, v, w in await sql(pg_database, "TABLE t")} == wanted
    assert report.conflicts == 1  # of 5, where the earlier value wins, as was said when it was applied
    assert await leftovers(pg_database) == []


async def test_a_process_that_died_while_it_finished_the_run_loses_nothing(pg_database: str, scratch: str) -> None:
    await sql(pg_database, SCHEMA)
    words = (sys.executable, "-c", PROGRAM, pg_database, scratch, "UPDATE t SET w = w + 1; CREATE INDEX by_w ON t (w)")
    async with holding(pg_database, "SELECT FROM t WHERE id = 2500 FOR UPDATE"):
        process = await asyncio.create_subprocess_exec(*words)
        await until(pg_database, f"{WAITS} 'UPDATE%'", rows=1)
        await sql(pg_database, "UPDATE t SET w = 70 WHERE id = 1; UPDATE t SET v = 'while' WHERE id = 2")
        [(image,)] = await sql(pg_database, "SELECT name FROM watchdog.migration_archives")
        reading = holding(pg_database, f"SELECT FROM {image}")
        await reading.__aenter__()
    try:
        await until(pg_database, FINISHING, rows=1)
        await sql(pg_database, "UPDATE t SET v = 'finishing' WHERE id = 3")
    finally:
        process.kill()
        await asyncio.wait_for(process.wait(), 10)
        mine = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'watchdog%'"
        await sql(pg_database, f"{mine} AND datname = current_database()")
        await reading.__aexit__(None, None, None)
    await nobody_is_there(pg_database)
    assert await sql(pg_database, "SELECT 1 FROM pg_trigger WHERE tgname = 'watchdog_log_1'") == [(1,)]
    await sql(pg_database, "UPDATE t SET v = 'dead' WHERE id IN (3, 4); DELETE FROM t WHERE id = 10")
    async with twin(pg_database, scratch) as other:
        await comes_back(other)
    done = await resume_safe(pg_database, 1, limits=LIMITS)
    assert done.reversible, done.lowered
    assert await large_tables(pg_database, 1) == ["t"]
    await comes_back(pg_database)


async def comes_back(url: str) -> None:
    await sql(url, "UPDATE t SET v = 'last' WHERE id = 5; INSERT INTO t VALUES (5000, 'last', 5)")
    await rollback(url, 1)
    assert await sql(url, "SELECT count(*), sum(w) FILTER (WHERE id > 1 AND id < 5000) FROM t") == [(3000, 16497)]
    assert await sql(url, "SELECT id, v, w FROM t WHERE v !~ '^Name' OR id = 1 ORDER BY id") == [
        (1, "Name 1", 70), (2, "while", 3), (3, "dead", 4), (4, "dead", 5), (5, "last", 6), (5000, "last", 5),
    ]  # fmt: skip
    assert await leftovers(url) == []
