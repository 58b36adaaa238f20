import asyncio

import pytest

from tests.migrations.safe.replica import now, replica
from tests.support.archives import open_to, sql
from watchdog.migrations.safe.limits import Limits
from watchdog.migrations.safe.throttle import Pressure, pressure, sees_replicas, wait
from watchdog.ports.errors import WatchdogError

TABLE = ("public", "t")
SCHEMA = "CREATE TABLE t (id int PRIMARY KEY, v int) WITH (autovacuum_enabled = off)"


async def test_a_batch_waits_for_a_replica_and_goes_on_when_it_has_caught_up(pg_database: str) -> None:
    await sql(pg_database, SCHEMA)
    heard: list[str] = []
    limits = Limits(replica_bytes=2**20, pause_seconds=0.05, patience_seconds=60)
    async with replica(pg_database) as lagging, open_to(pg_database) as connection:
        await sql(pg_database, "INSERT INTO t SELECT n, n FROM generate_series(1, 50000) n")
        assert (await pressure(connection, TABLE)).replica_bytes > 2**20
        waiting = asyncio.create_task(wait(connection, TABLE, limits, heard.append))
        async with asyncio.timeout(10):
            while not heard:  # noqa: ASYNC110 - the condition is in the server
                await asyncio.sleep(0.02)
        assert not waiting.done()
        lagging.replayed(await now(pg_database))
        await asyncio.wait_for(waiting, 10)
    assert len(heard) == 1
    assert "MiB of write-ahead log to replay: waiting" in heard[0]


async def test_patience_ends(pg_database: str) -> None:
    await sql(pg_database, SCHEMA)
    limits = Limits(replica_bytes=2**20, pause_seconds=0.01, patience_seconds=0.05)
    async with replica(pg_database), open_to(pg_database) as connection:
        await sql(pg_database, "INSERT INTO t SELECT n, n FROM generate_series(1, 50000) n")
        with pytest.raises(WatchdogError, match="apply again when it has caught up"):
            await wait(connection, TABLE, limits, lambda _: None)


async def test_a_bloated_table_is_vacuumed_first(pg_database: str) -> None:
    await sql(pg_database, SCHEMA)
    heard: list[str] = []
    async with open_to(pg_database) as connection:
        await connection.execute("INSERT INTO t SELECT n, n FROM generate_series(1, 5000) n")
        await connection.execute("UPDATE t SET v = 0")
        await connection.execute("SELECT pg_stat_force_next_flush()")
        limits = Limits(dead_rows=1_000)
        assert (await pressure(connection, TABLE)).dead == 5000
        await wait(connection, TABLE, limits, heard.append)
        await connection.execute("SELECT pg_stat_force_next_flush()")
        assert (await pressure(connection, TABLE)).dead == 0
        await wait(connection, TABLE, limits, heard.append)
    assert heard == ["5,000 dead rows in public.t: it is vacuumed"]


async def test_who_may_not_see_replicas_is_known(pg_database: str, owner: str) -> None:
    async with open_to(pg_database) as connection:
        assert await sees_replicas(connection)
    async with open_to(owner) as connection:
        assert not await sees_replicas(connection)


def test_pressure_is_judged_by_limits() -> None:
    limits = Limits()
    assert Pressure().behind(limits) == ""
    assert Pressure(replica_seconds=11).behind(limits) == "a replica is 11 s behind"
    assert not Pressure(dead=50_000, live=0).bloated(limits)
    assert Pressure(dead=50_001, live=10_000).bloated(limits)
    assert not Pressure(dead=60_000, live=1_000_000).bloated(limits)
