"""The journal in a SQLite file."""

import secrets
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from watchdog.journals.codec import FORMAT, decode, encode
from watchdog.journals.database import Database, Layout, transaction
from watchdog.journals.refusals import refuse_conflict, refuse_stale
from watchdog.model.events import Event, Stored
from watchdog.model.time import Time
from watchdog.ports.errors import JournalError

LAYOUT: Final = Layout(what="journal", statements="journal", application=0x57444A4C, version=1)

_PAGE: Final = 1_000
"""Events read in one go; appends come in between, so that a long read does not hold up a guard."""


class SqliteJournal:
    """A `Journal` in one file (mode 0600), durable at each append: write-ahead log, synchronous at every commit.

    All work runs in one thread, in the order it was asked for, and to its end. So an append whose task is cancelled
    still happens, and a `read` behind it sees it; the append that follows, at the old number, is a conflict. A caller
    that must know the outcome awaits the append under `asyncio.shield`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = database.sql

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Opens the journal or makes a new one, and its directory if need be.

        Raises:
            JournalVersionError: Another version wrote it.
            JournalError: It is not a journal, or cannot be opened.
        """
        return cls(await Database.open(path, LAYOUT))

    async def claim(self, stream: str) -> int:
        """Takes the stream over: a new epoch, higher than every earlier one, which fences its holder out."""

        def work(connection: sqlite3.Connection) -> int:
            with transaction(connection):
                connection.execute(self._sql["claim"], {"stream": stream})
                return self._number(connection, "epoch", stream)

        return await self._database.run(work)

    async def streams(self) -> tuple[str, ...]:
        """Every stream that has an epoch or an event, sorted."""
        return await self._database.run(lambda c: tuple(name for (name,) in c.execute(self._sql["streams"])))

    async def read(self, stream: str, after: int = 0, limit: int | None = None) -> Sequence[Stored]:
        """Events with a higher number than `after`, in order, at most `limit`.

        Raises:
            JournalVersionError: An event is of another version; names its place.
            JournalError: An event cannot be read; names its place.
        """
        events: list[Stored] = []
        while limit is None or len(events) < limit:
            last = events[-1].seq if events else after
            page = await self._page(stream, last, _PAGE if limit is None else min(_PAGE, limit - len(events)))
            events.extend(page)
            if len(page) < _PAGE:
                break
        return tuple(events)

    async def append(self, stream: str, after: int, events: Sequence[Event], *, epoch: int, at: Time) -> int:
        """Adds events behind number `after`, all or none, durable on return; returns the last number.

        Raises:
            FencedError: `epoch` is not the stream's.
            JournalConflictError: The stream does not end at `after`.
            JournalFullError: There is no room; nothing was added.
            JournalError: Nothing was added, unless it says that this is not known.
        """
        batch = secrets.token_hex(8)
        rows = [
            {
                "stream": stream,
                "seq": seq,
                "at": at,
                "epoch": epoch,
                "batch": batch,
                "version": FORMAT,
                "type": type(event).__name__,
                "body": encode(event),
            }
            for seq, event in enumerate(events, after + 1)
        ]

        def work(connection: sqlite3.Connection) -> int:
            try:
                with transaction(connection):
                    self._check(connection, stream, after, epoch)
                    connection.executemany(self._sql["append"], rows)
            except sqlite3.Error:
                last = after + len(rows)
                if not self._is_there({"stream": stream, "first": after + 1, "last": last, "batch": batch}):
                    raise
            return after + len(rows)

        return await self._database.run(work)

    async def try_write(self) -> None:
        """Writes a page without changing anything, to find out whether an append would have room now.

        Raises:
            JournalFullError: It would not.
            JournalError: The file cannot be written.
        """

        def work(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                connection.execute(self._sql["try_write"])

        await self._database.run(work)

    async def close(self) -> None:
        """Finishes what was begun and closes the file."""
        await self._database.close()

    async def _page(self, stream: str, after: int, limit: int) -> list[Stored]:
        def work(connection: sqlite3.Connection) -> list[Stored]:
            asked = {"stream": stream, "after": after, "limit": limit}
            return [self._stored(stream, *row) for row in connection.execute(self._sql["read"], asked)]

        return await self._database.run(work)

    def _check(self, connection: sqlite3.Connection, stream: str, after: int, epoch: int) -> None:
        held = self._number(connection, "epoch", stream)
        refuse_stale(f'Stream "{stream}" in {self._database.path}', held=held, epoch=epoch)
        last = self._number(connection, "last", stream)
        refuse_conflict(f'Stream "{stream}" in {self._database.path}', last=last, after=after)

    def _is_there(self, batch: dict[str, str | int]) -> bool:
        """Whether a batch is in the journal although its transaction reported an error."""
        try:
            found: int = self._database.connection.execute(self._sql["read_back"], batch).fetchone()[0]
        except sqlite3.Error:
            # The connection is of no more use: ask the file through a new one.
            try:
                self._database.disconnect()
                found = self._database.connection.execute(self._sql["read_back"], batch).fetchone()[0]
            except (sqlite3.Error, OSError, JournalError) as error:
                raise JournalError(
                    f'It is not known whether events {batch["first"]} to {batch["last"]} of stream "{batch["stream"]}" '
                    f"are in {self._database.path}, which cannot be read ({error}): repair its disk; a reload tells."
                ) from error
        return found > 0

    def _number(self, connection: sqlite3.Connection, query: str, stream: str) -> int:
        row: tuple[int] | None = connection.execute(self._sql[query], {"stream": stream}).fetchone()
        return row[0] if row else 0

    def _stored(self, stream: str, seq: int, at: int, epoch: int, version: int, body: str) -> Stored:
        place = f'Event {seq} of stream "{stream}" in {self._database.path}'
        return Stored(stream, seq, at, epoch, version, decode(body, version, place=place))
