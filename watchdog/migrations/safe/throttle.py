"""Waits until replicas have caught up and dead rows are cleaned away: between batches, and parts of an archive."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import psycopg
from psycopg import sql

from watchdog.migrations.safe.limits import Limits
from watchdog.migrations.shape import Connection
from watchdog.migrations.sql import Table
from watchdog.ports.errors import WatchdogError

_REPLICAS = """
    SELECT coalesce(max(extract(epoch FROM replay_lag)), 0)::float8,
           coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), coalesce(replay_lsn, flush_lsn, sent_lsn))), 0)::bigint
      FROM pg_stat_replication WHERE state = 'streaming'
"""
_DEAD = """
    SELECT coalesce(sum(n_dead_tup), 0)::bigint, coalesce(sum(n_live_tup), 0)::bigint
      FROM pg_stat_user_tables WHERE relid IN (SELECT relid FROM pg_partition_tree(%(table)s::regclass)
                                               UNION SELECT %(table)s::regclass)
"""
_SEES_REPLICAS = "SELECT pg_has_role('pg_read_all_stats', 'USAGE')"


@dataclass(frozen=True)
class Pressure:
    """What a batch would add to.

    Attributes:
        replica_seconds, replica_bytes: How far the slowest replica is behind.
        dead, live: Rows of the table.
    """

    replica_seconds: float = 0.0
    replica_bytes: int = 0
    dead: int = 0
    live: int = 0

    def behind(self, limits: Limits) -> str:
        """What replicas suffer from, as a sentence; empty when they keep up."""
        if self.replica_seconds > limits.replica_seconds:
            return f"a replica is {self.replica_seconds:.0f} s behind"
        if self.replica_bytes > limits.replica_bytes:
            return f"a replica has {self.replica_bytes / 2**20:.0f} MiB of write-ahead log to replay"
        return ""

    def bloated(self, limits: Limits) -> bool:
        """Whether the table should be vacuumed first."""
        return self.dead > max(limits.dead_rows, limits.dead_ratio * (self.live + self.dead))


async def pressure(connection: Connection, table: Table) -> Pressure:
    """Measures it. Lag of replicas is only seen by who may read statistics of all sessions."""
    lag = await _lag(connection)
    name = sql.Identifier(*table).as_string(connection)
    rows = await (await connection.execute(_DEAD, {"table": name})).fetchone()
    assert rows is not None  # noqa: S101 - an aggregate answers
    return replace(lag, dead=rows[0], live=rows[1])


async def _lag(connection: Connection) -> Pressure:
    lag = await (await connection.execute(_REPLICAS)).fetchone()
    assert lag is not None  # noqa: S101 - an aggregate answers
    return Pressure(lag[0], lag[1])


async def sees_replicas(connection: Connection) -> bool:
    """Whether the connection's user is told how far replicas are behind."""
    row = await (await connection.execute(_SEES_REPLICAS)).fetchone()
    return bool(row and row[0])


async def wait(connection: Connection, table: Table, limits: Limits, say: Callable[[str], None]) -> None:
    """Returns when the next batch may go.

    Raises:
        WatchdogError: A replica has been behind for longer than the limit of patience.
    """
    now = await pressure(connection, table)
    if now.bloated(limits):
        say(f"{now.dead:,} dead rows in {'.'.join(table)}: it is vacuumed")
        await _vacuum(connection, table)
    await wait_for_replicas(connection, limits, say)


async def wait_for_replicas(connection: Connection, limits: Limits, say: Callable[[str], None]) -> None:
    """Returns when no replica is further behind than the limits say; it may be called within a transaction.

    Raises:
        WatchdogError: A replica has been behind for longer than the limit of patience.
    """
    began = time.monotonic()
    told = False
    while why := (await _lag(connection)).behind(limits):
        if time.monotonic() - began > limits.patience_seconds:
            raise WatchdogError(
                f"{why} for more than {limits.patience_seconds:.0f} s; apply again when it has caught up."
            )
        if not told:
            say(f"{why}: waiting")
            told = True
        await asyncio.sleep(limits.pause_seconds)


async def _vacuum(connection: Connection, table: Table) -> None:
    try:
        await connection.execute(sql.SQL("VACUUM (SKIP_LOCKED) {}").format(sql.Identifier(*table)))
    except psycopg.errors.LockNotAvailable:
        # Somebody else's vacuum is at work.
        await asyncio.sleep(0)
