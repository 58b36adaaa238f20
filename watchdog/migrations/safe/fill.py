# ruff: noqa: S608 - statements come from the script itself; the only name in SQL here is ours, with a number in it
"""Fills a table in batches along its primary key; the position is saved in the transaction of each batch."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

from watchdog.migrations.safe import journal
from watchdog.migrations.safe.journal import Entry
from watchdog.migrations.safe.limits import Limits
from watchdog.migrations.safe.throttle import sees_replicas, wait
from watchdog.migrations.safe.values import Backfill
from watchdog.migrations.shape import Connection
from watchdog.migrations.tools.capture import log
from watchdog.migrations.tools.texts import values
from watchdog.ports.errors import WatchdogError

Hear = Callable[[int, int, str], None]
_SMALLEST: Final = 50
_LARGEST: Final = 50_000
_HELD: Final = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)
_TREE: Final = "SELECT relid FROM pg_partition_tree(%(table)s::regclass) UNION SELECT %(table)s::regclass"


class FillError(WatchdogError):
    """A backfill cannot go on."""


@dataclass(frozen=True)
class Filling:
    """One backfill.

    Attributes:
        run: Whose journal is written; 0 on a copy, where nothing waits.
        hear: Hears rows so far, rows expected, and notes.
    """

    connection: Connection
    run: int
    limits: Limits
    entry: Entry
    hear: Hear

    @property
    def _backfill(self) -> Backfill:
        assert self.entry.step.backfill is not None  # noqa: S101 - a step of this kind has one
        return self.entry.step.backfill

    async def go(self) -> None:
        """Walks along the key from where it stopped.

        Raises:
            FillError: Keys changed meanwhile, somebody holds rows for too long, or replicas stay behind.
        """
        position, walked = self.entry.position, 0
        size, held = self.limits.batch_rows, 0
        expected = await self._expected()
        if self.run and not await sees_replicas(self.connection):
            self.hear(0, expected, "this user is not told how far replicas are behind (GRANT pg_read_all_stats)")
        while True:
            await self._wait(walked, expected)
            began = time.monotonic()
            try:
                upper, count = await self._batch(position, size)
            except _HELD as error:
                held += 1
                if held == self.limits.tries:
                    said = error.diag.message_primary
                    raise FillError(f"line {self.entry.step.line}: {said}, {held} times in a row") from error
                size = max(_SMALLEST, size // 2)
                await asyncio.sleep(self.limits.pause_seconds)
                continue
            if upper is None:
                break
            held, position, walked = 0, upper, walked + count
            took = time.monotonic() - began
            self.hear(walked, expected, "")
            if count < size:
                break
            size = _fitting(size, took, self.limits.batch_seconds)
            await asyncio.sleep(took * self.limits.rest if self.run else 0)
        if self.run and await self._keys_changed():
            raise FillError(
                f"line {self.entry.step.line}: users changed primary keys of {'.'.join(self._backfill.table)}"
                " meanwhile, so rows may have been left out or changed twice; apply the script without --safe."
            )

    async def _batch(self, position: tuple[str, ...] | None, size: int) -> tuple[tuple[str, ...] | None, int]:
        fill = self._backfill
        async with self.connection.transaction():
            milliseconds = f"{int(self.limits.batch_lock_seconds * 1000)}ms"
            await self.connection.execute("SELECT set_config('lock_timeout', %s, true)", (milliseconds,))
            bound = fill.bound if position is None else fill.bound_after
            row = await (await self._raw(bound, (size, *(position or ())))).fetchone()
            if row is None:
                return None, 0
            *upper, count = row
            cursor = await self._raw(fill.first if position is None else fill.following, (*(position or ()), *upper))
            await self.connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
            if self.run:
                await journal.moved(self.connection, self.run, self.entry.number, tuple(upper), cursor.rowcount)
            return tuple(upper), count

    async def _raw(self, query: str, parameters: Sequence[Any]) -> psycopg.AsyncRawCursor[Any]:
        cursor = psycopg.AsyncRawCursor(self.connection)
        return await cursor.execute(query.encode(), parameters)

    async def _wait(self, walked: int, expected: int) -> None:
        if self.run:
            await wait(self.connection, self._backfill.table, self.limits, lambda why: self.hear(walked, expected, why))

    async def _expected(self) -> int:
        query = f"SELECT coalesce(sum(greatest(reltuples, 0)), 0)::bigint FROM pg_class WHERE oid IN ({_TREE})"
        row = await (await self.connection.execute(query.encode(), {"table": self._name})).fetchone()
        return int(row[0]) if row else 0

    @property
    def _name(self) -> str:
        return sql.Identifier(*self._backfill.table).as_string(self.connection)

    async def _keys_changed(self) -> bool:
        """Whether users gave rows another key while the run lasted, as the log of their writes says."""
        numbers = await (
            await self.connection.execute(
                "SELECT attrelid::bigint, attnum FROM pg_attribute WHERE attname = ANY (%(key)s)"
                f" AND attrelid IN ({_TREE})".encode(),
                {"table": self._name, "key": list(self._backfill.key)},
            )
        ).fetchall()
        keys = {str(number) for _, number in numbers}
        query = f"SELECT shape, old, new FROM {log(self.run)} WHERE op = 'U' AND NOT tool AND relid = ANY (%s::oid[])"
        async with self.connection.transaction(), self.connection.cursor(f"keys_{self.run}") as cursor:
            await cursor.execute(query.encode(), (sorted({relation for relation, _ in numbers}),))
            async for shape, old, new in cursor:
                places = [place for place, one in enumerate(shape) if one.split(":", 1)[0] in keys]
                was, now = values(old), values(new)
                if any(was[place] != now[place] for place in places):
                    return True
        return False


def _fitting(size: int, took: float, wanted: float) -> int:
    """Rows of the next batch: at most twice or half as many, so that it takes about as long as wanted."""
    factor = min(2.0, max(0.5, wanted / max(took, 0.001)))
    return min(_LARGEST, max(_SMALLEST, int(size * factor)))
