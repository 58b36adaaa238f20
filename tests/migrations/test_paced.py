"""An archive in parts is the same as one in one piece, and waits for replicas."""

import asyncio
from dataclasses import replace

import pytest

from tests.migrations.safe.replica import now, replica
from tests.support.archives import open_to, sql
from watchdog.migrations.images import image
from watchdog.migrations.paced import archive
from watchdog.migrations.runs import prepare
from watchdog.migrations.safe.limits import Limits
from watchdog.migrations.shape import Connection
from watchdog.migrations.table_plans import Kept, TablePlan
from watchdog.ports.errors import WatchdogError

ROWS = 20_000
FILL = f"""
    CREATE TABLE t (id int PRIMARY KEY, v text);
    INSERT INTO t SELECT n, repeat('x', n % 200) FROM generate_series(1, {ROWS}) n;
    DELETE FROM t WHERE id % 7 = 0;
"""
COLUMNS = (Kept("id", "id", "integer", True, False), Kept("v", "v", "text", True, False))  # noqa: FBT003 - as they stand
PLAN = TablePlan("rebuilt", ("public", "t"), ("public", "t"), COLUMNS, (), ("id",))
BEFORE = image(1, 0, "before")


async def rows(connection: Connection, query: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await (await connection.execute(query.encode())).fetchall()]


async def test_parts_hold_what_the_snapshot_sees_and_nothing_twice(pg_database: str) -> None:
    await sql(pg_database, FILL)
    async with open_to(pg_database) as connection:
        await prepare(connection)
        async with connection.transaction():
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            seen = await rows(connection, "SELECT id::text, v FROM t ORDER BY t.id")
            later = f"INSERT INTO t SELECT n, 'new' FROM generate_series({ROWS + 1}, {ROWS * 2}) n"
            await sql(pg_database, f"UPDATE t SET v = 'later'; {later}")
            assert await archive(connection, 1, 0, PLAN, pages=7) == len(seen)
            kept = await rows(connection, f"SELECT c0, c1 FROM {BEFORE} ORDER BY c0::int")
            numbers = await rows(connection, f"SELECT count(DISTINCT n), min(n), max(n) FROM {BEFORE}")
    assert kept == seen
    assert numbers == [(len(seen), 1, len(seen))]


async def test_it_waits_for_a_replica_and_gives_up_in_the_end(pg_database: str) -> None:
    await sql(pg_database, FILL)
    limits = Limits(replica_bytes=2**20, pause_seconds=0.02, patience_seconds=60)
    async with replica(pg_database) as lagging, open_to(pg_database) as connection:
        await prepare(connection)
        await sql(pg_database, "CREATE TABLE pressing AS SELECT generate_series(1, 50000) n")
        async with connection.transaction(force_rollback=True):
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            with pytest.raises(WatchdogError, match="apply again when it has caught up"):
                await archive(connection, 1, 0, PLAN, limits=replace(limits, patience_seconds=0.05), pages=7)
        async with connection.transaction():
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            waiting = asyncio.create_task(archive(connection, 1, 0, PLAN, limits=limits, pages=100))
            while not waiting.done():
                lagging.replayed(await now(pg_database))
                await asyncio.wait({waiting}, timeout=0.05)
            assert await waiting == ROWS - ROWS // 7
