import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import pytest

from tests.migrations.safe.test_apply import LIMITS, SCHEMA, leftovers
from tests.migrations.safe.test_kill import holding
from tests.migrations.tools.plain import until
from tests.support.archives import open_to, sql
from watchdog.migrations.rollback import rollback
from watchdog.migrations.safe.apply import SafelyApplied, apply_safe
from watchdog.migrations.safe.facts import facts_about
from watchdog.migrations.safe.forms import safe_forms
from watchdog.migrations.safe.limits import Limits
from watchdog.migrations.safe.progress import Progress
from watchdog.migrations.safe.run import Runner, StepError
from watchdog.migrations.safe.values import Kind
from watchdog.ports.errors import WatchdogError

HAS_X = "SELECT 1 FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'x'"


async def alone(url: str, script: str, limits: Limits = LIMITS) -> list[Progress]:
    """Runs the steps of a script with nothing around them; what was told."""
    heard: list[Progress] = []
    async with open_to(url) as connection:
        forms = safe_forms(script, await facts_about(connection, script))
        await Runner(connection, 0, limits, heard.append).go(forms)
    return heard


async def while_in_a_batch(
    url: str, scratch: str, script: str, act: Callable[[], Awaitable[None]], after: str = "SELECT 1",
    started: list[asyncio.Task[SafelyApplied]] | None = None,
) -> SafelyApplied:  # fmt: skip
    """Applies a script; somebody acts while a batch waits for a row near the end.

    Args:
        after: Answers with a row when that row may be held: a lock of a row keeps a table from being altered.
    """
    limits = Limits(batch_rows=50, batch_seconds=0.001, pause_seconds=0.05, tries=1000)
    work = asyncio.create_task(apply_safe(url, script, scratch_url=scratch, limits=limits))
    if started is not None:
        started.append(work)
    try:
        await until(url, after, rows=1)
        async with holding(url, "SELECT FROM t WHERE id = 2950 FOR UPDATE"):
            waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE t%'"
            await until(url, f"{waits} AND datname = current_database()", rows=1)
            await act()
        return await asyncio.wait_for(asyncio.shield(work), 60)
    finally:
        work.cancel()


async def test_what_users_write_meanwhile_stays(pg_database: str, scratch: str) -> None:
    await sql(pg_database, SCHEMA)

    async def act() -> None:
        # A row that is done, one that is not, a new one behind and one ahead, and one that goes.
        await sql(pg_database, "UPDATE t SET v = 'mine' WHERE id IN (5, 2970)")
        await sql(pg_database, "UPDATE t SET w = 1000 WHERE id IN (6, 2971)")
        await sql(pg_database, "INSERT INTO t VALUES (-1, 'behind', 1), (9000, 'ahead', 1)")
        await sql(pg_database, "DELETE FROM t WHERE id IN (7, 2972)")

    script = "ALTER TABLE t ADD COLUMN x int;\nUPDATE t SET w = w + 1, x = w;\nCREATE INDEX i ON t (x)"
    done = await while_in_a_batch(pg_database, scratch, script, act, HAS_X)
    assert done.reversible, done.lowered
    written = "SELECT id, v, w, x FROM t WHERE id IN (-1, 5, 6, 7, 8, 2970, 2971, 2972, 9000) ORDER BY id"
    assert await sql(pg_database, written) == [
        (-1, "behind", 1, None), (5, "mine", 7, 6), (6, "Name 6", 1000, 7), (8, "Name 8", 10, 9),
        (2970, "mine", 2, 1), (2971, "Name 2971", 1001, 1000), (9000, "ahead", 2, 1),
    ]  # fmt: skip
    await rollback(pg_database, done.run)
    back = "SELECT id, v, w FROM t WHERE id IN (-1, 5, 6, 7, 8, 2970, 2971, 2972, 9000) ORDER BY id"
    assert await sql(pg_database, back) == [
        (-1, "behind", 1), (5, "mine", 6), (6, "Name 6", 1000), (8, "Name 8", 9), (2970, "mine", 1),
        (2971, "Name 2971", 1000), (9000, "ahead", 1),
    ]  # fmt: skip
    assert await leftovers(pg_database) == []


async def test_rows_that_came_meanwhile_are_filled_before_they_must_be(pg_database: str, scratch: str) -> None:
    await sql(pg_database, SCHEMA)

    async def act() -> None:
        await sql(pg_database, "INSERT INTO t VALUES (-1, 'BEHIND', 1)")

    script = "ALTER TABLE t ADD x text; UPDATE t SET x = lower(v); ALTER TABLE t ALTER x SET NOT NULL"
    done = await while_in_a_batch(pg_database, scratch, script, act, HAS_X)
    assert done.steps
    assert await sql(pg_database, "SELECT x FROM t WHERE id = -1") == [("behind",)]


async def test_a_key_that_users_change_meanwhile_ends_the_run(pg_database: str, scratch: str) -> None:
    await sql(pg_database, SCHEMA)
    before = await sql(pg_database, "SELECT v, w FROM t WHERE id < 2999 ORDER BY id")

    async def act() -> None:
        await sql(pg_database, "UPDATE t SET id = -3000 WHERE id = 3000")

    with pytest.raises(WatchdogError, match=r"(?s)changed primary keys of public.t.*taken back"):
        await while_in_a_batch(pg_database, scratch, "UPDATE t SET w = w + 1", act)
    assert await sql(pg_database, "SELECT v, w FROM t WHERE id BETWEEN 0 AND 2998 ORDER BY id") == before
    assert await sql(pg_database, "SELECT v, w FROM t WHERE id < 0") == [("Name 3000", 1)]


async def test_a_run_that_is_told_to_stop_is_taken_back(pg_database: str, scratch: str) -> None:
    await sql(pg_database, SCHEMA)
    before = await sql(pg_database, "TABLE t ORDER BY id")
    work: list[asyncio.Task[SafelyApplied]] = []

    async def act() -> None:
        work[0].cancel()

    with pytest.raises(WatchdogError, match="was taken back"):
        await while_in_a_batch(pg_database, scratch, "UPDATE t SET w = w + 1", act, started=work)
    assert await sql(pg_database, "TABLE t ORDER BY id") == before
    assert await sql(pg_database, "SELECT position FROM watchdog.migration_steps WHERE position IS NOT NULL") == []
    assert await leftovers(pg_database) == []


async def test_a_batch_gives_up_when_a_row_is_held_for_ever(pg_database: str) -> None:
    await sql(pg_database, SCHEMA)
    limits = Limits(batch_rows=500, batch_lock_seconds=0.05, pause_seconds=0.01, tries=3)
    async with holding(pg_database, "SELECT FROM t WHERE id = 1400 FOR UPDATE"):
        with pytest.raises(WatchdogError, match=r"line 1: .*lock timeout, 3 times in a row"):
            await alone(pg_database, "UPDATE t SET w = 0", limits)
    assert await sql(pg_database, "SELECT min(id) > 500 FROM t WHERE w > 0") == [(True,)]


async def test_a_block_waits_for_its_lock_and_lets_others_by(pg_database: str) -> None:
    await sql(pg_database, SCHEMA)
    limits = Limits(lock_seconds=0.05, pause_seconds=0.01, tries=2)
    script = "ALTER TABLE t ADD COLUMN x int; CREATE INDEX i ON t (x)"
    async with holding(pg_database, "SELECT FROM t LIMIT 1"):
        with pytest.raises(StepError, match=r"line 1: .*lock timeout, 2 times; find who holds it"):
            await alone(pg_database, script, limits)
    heard = await alone(pg_database, script, limits)
    assert [one.kind for one in heard] == [Kind.BLOCK, Kind.INDEX]


async def test_an_index_that_waits_too_long_leaves_nothing(pg_database: str) -> None:
    await sql(pg_database, SCHEMA)
    limits = Limits(build_seconds=0.1, pause_seconds=0.01, tries=2)
    # Whoever reads an old snapshot keeps an index from being finished, but not from being dropped.
    async with holding(pg_database, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT FROM owner"):
        with pytest.raises(StepError, match="2 times"):
            await alone(pg_database, "CREATE INDEX i ON t (w)", limits)
        assert await invalid(pg_database) == []
    await alone(pg_database, "CREATE INDEX i ON t (w)", limits)
    assert await sql(pg_database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass") == [(True,)]


async def invalid(url: str) -> list[tuple[str]]:
    return await sql(url, "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid")


async def test_an_invalid_index_of_somebody_else_is_not_touched(pg_database: str) -> None:
    await sql(pg_database, SCHEMA + "UPDATE t SET v = 'same'")
    with pytest.raises(psycopg.errors.UniqueViolation):
        await sql(pg_database, "CREATE UNIQUE INDEX CONCURRENTLY i ON t (v)")
    with pytest.raises(StepError, match=r"an INVALID index public.i is there from before; drop it first"):
        await alone(pg_database, "CREATE INDEX i ON t (w)")
    assert await invalid(pg_database) == [("i",)]


async def test_a_key_of_several_columns_and_of_odd_types_is_walked_along(pg_database: str) -> None:
    await sql(
        pg_database,
        """CREATE TABLE "Odd" (k text COLLATE "C", "At Time" timestamptz, n int NOT NULL, PRIMARY KEY (k, "At Time"));
        INSERT INTO "Odd" SELECT 'k' || n % 7, '2026-01-01'::timestamptz + n * interval '1 h', 0
          FROM generate_series(1, 1000) n""",
    )
    await alone(pg_database, 'UPDATE "Odd" SET n = n + 1', Limits(batch_rows=64))
    assert await sql(pg_database, 'SELECT n, count(*) FROM "Odd" GROUP BY n') == [(1, 1000)]


async def test_no_value_of_a_row_is_in_a_message(pg_database: str) -> None:
    await sql(pg_database, SCHEMA + "UPDATE t SET v = 'planted' WHERE id < 3")
    for script in (
        "CREATE UNIQUE INDEX i ON t (v)",
        "ALTER TABLE t ADD CONSTRAINT c CHECK (v <> 'pl' || 'anted')",
        "UPDATE t SET w = v::int",
    ):
        with pytest.raises(WatchdogError) as error:
            await alone(pg_database, script)
        assert "planted" not in str(error.value)
        assert "line 1" in str(error.value)
