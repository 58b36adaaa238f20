"""Runs the steps of a script one by one, so that what is done stays done and nothing is done twice."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

import psycopg

from watchdog.migrations.rehearse.errors import plain
from watchdog.migrations.safe import journal
from watchdog.migrations.safe.fill import Filling
from watchdog.migrations.safe.journal import Entry
from watchdog.migrations.safe.limits import Limits
from watchdog.migrations.safe.progress import Progress, Tell
from watchdog.migrations.safe.values import Forms, Kind
from watchdog.migrations.shape import Connection
from watchdog.ports.errors import WatchdogError

HELD: Final = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)
DEFAULTS: Final = Limits()
_VALID: Final = "SELECT i.indisvalid AND i.indisready FROM pg_index i WHERE i.indexrelid = to_regclass(%s)"


class StepError(WatchdogError):
    """A step failed; those before it are done."""


def unheard(_: Progress) -> None:
    """Nobody listens."""


@dataclass(frozen=True)
class Runner:
    """Runs steps in one session.

    Attributes:
        connection: In autocommit mode.
        run: Whose journal is written; 0 on a copy, where there is none and nothing waits.
    """

    connection: Connection
    run: int = 0
    limits: Limits = DEFAULTS
    tell: Tell = unheard

    async def go(self, forms: Forms) -> None:
        """Runs a script's steps, the first one first.

        Raises:
            StepError: One failed; the line is said.
        """
        if self.run:
            await journal.enter(self.connection, self.run, forms)
            await self.go_on()
            return
        steps = tuple(Entry(number, step, "waiting", None, 0) for number, step in enumerate(forms.steps, 1))
        await self._all(forms.settings, steps)

    async def go_on(self) -> None:
        """Runs what is left of a run whose steps stand in its journal; raises StepError."""
        settings, entries = await journal.load(self.connection, self.run)
        if not entries:
            raise StepError(f"Run {self.run} was not applied in steps, so there is nothing to go on with.")
        await self._all(settings, entries)

    async def _all(self, settings: tuple[str, ...], entries: tuple[Entry, ...]) -> None:
        for setting in settings:
            await self.connection.execute(setting.encode())
        own = any("lock_timeout" in setting.lower() for setting in settings)
        for entry in entries:
            if entry.state == "done":
                continue
            self.tell(_progress(entry, len(entries)))
            try:
                await self._step(entry, len(entries), own_timeout=own)
            except psycopg.Error as error:
                raise StepError(f"line {entry.step.line}: {plain(error)}") from error

    async def _step(self, entry: Entry, of: int, *, own_timeout: bool) -> None:
        seconds = 0.0 if own_timeout else self.limits.lock_seconds
        match entry.step.kind:
            case Kind.BLOCK | Kind.VALIDATE:
                await self.patiently(entry, lambda: self._block(entry, seconds))
            case Kind.INDEX:
                if entry.state == "waiting" and await self._valid(entry.step.index) is False:
                    raise StepError(
                        f"line {entry.step.line}: an INVALID index {entry.step.index} is there from before;"
                        " drop it first."
                    )
                await self._begin(entry)
                await self.patiently(entry, lambda: self._build(entry))
            case Kind.DROP_INDEX:
                await self._begin(entry)
                await self.patiently(entry, lambda: self._drop(entry))
            case Kind.BACKFILL:
                await self._begin(entry)
                await Filling(self.connection, self.run, self.limits, entry, self._hear(entry, of)).go()
                await self._done(entry)

    def _hear(self, entry: Entry, of: int) -> Callable[[int, int, str], None]:
        def hear(rows: int, expected: int, note: str) -> None:
            self.tell(replace(_progress(entry, of), rows=rows, expected=expected, note=note))

        return hear

    async def patiently(self, entry: Entry, work: Callable[[], Awaitable[None]]) -> None:
        """Tries again while somebody holds a lock; raises StepError when that lasts."""
        why = ""
        for _ in range(self.limits.tries):
            try:
                await work()
            except HELD as error:
                why = error.diag.message_primary or ""
                await asyncio.sleep(self.limits.pause_seconds)
            else:
                return
        raise StepError(
            f"line {entry.step.line}: {why}, {self.limits.tries} times; find who holds it in pg_stat_activity."
        )

    async def _block(self, entry: Entry, lock_seconds: float) -> None:
        async with self.connection.transaction():
            if lock_seconds:
                await self._timeout(lock_seconds, local=True)
            for statement in entry.step.statements:
                await self.connection.execute(statement.encode())
            await self.connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
            await self._done(entry)

    async def _build(self, entry: Entry) -> None:
        """Builds an index; what an earlier try left INVALID goes first."""
        [statement] = entry.step.statements
        name = entry.step.index
        valid = await self._valid(name)
        await self._timeout(self.limits.build_seconds)
        try:
            # A valid one of this name was finished just before we died.
            if not (valid and entry.state == "begun"):
                await self._take_away(name)
                await self.connection.execute(statement.encode())
        except psycopg.Error:
            if not self.connection.closed:
                await self._take_away(name)
            raise
        finally:
            if not self.connection.closed:
                await self.connection.execute("RESET lock_timeout")
        await self._done(entry)

    async def _valid(self, index: str) -> bool | None:
        """Whether an index can be used; None when there is none."""
        row = await (await self.connection.execute(_VALID, (index or None,))).fetchone()
        return bool(row[0]) if row else None

    async def _take_away(self, index: str) -> None:
        if await self._valid(index) is False:
            await self.connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {index}".encode())

    async def _drop(self, entry: Entry) -> None:
        [statement] = entry.step.statements
        gone = await self._valid(entry.step.index) is None
        await self._timeout(self.limits.build_seconds)
        try:
            if not (gone and entry.state == "begun"):
                await self.connection.execute(statement.encode())
        finally:
            if not self.connection.closed:
                await self.connection.execute("RESET lock_timeout")
        await self._done(entry)

    async def _timeout(self, seconds: float, *, local: bool = False) -> None:
        await self.connection.execute("SELECT set_config('lock_timeout', %s, %s)", (f"{int(seconds * 1000)}ms", local))

    async def _begin(self, entry: Entry) -> None:
        if self.run:
            await journal.begun(self.connection, self.run, entry.number)

    async def _done(self, entry: Entry) -> None:
        if self.run:
            await journal.done(self.connection, self.run, entry.number)


def _progress(entry: Entry, of: int) -> Progress:
    return Progress(entry.number, of, entry.step.line, entry.step.kind)
