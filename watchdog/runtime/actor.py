"""One actor a guard: the only writer of the guard's stream."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from watchdog.engine.decide import decide
from watchdog.engine.due import due, wake_at
from watchdog.engine.evolve import evolve, fold
from watchdog.engine.refused import RefusedError
from watchdog.model.commands import Command
from watchdog.model.events import Event
from watchdog.model.guards import Guard, GuardSettings
from watchdog.model.inputs import Claim, Input, Tick
from watchdog.model.time import SECOND, Time
from watchdog.ports.clock import Clock
from watchdog.ports.errors import FencedError, JournalConflictError, JournalError, WatchdogError
from watchdog.ports.journal import Journal

log = structlog.get_logger(__name__)


class ActorError(WatchdogError):
    """What was said to a guard was lost by a mistake of ours."""


@dataclass
class _Letter:
    given: Input
    answer: "asyncio.Future[tuple[Event, ...]] | None" = None

    def refuse(self, error: Exception) -> None:
        """Answers whoever waits, if somebody still does."""
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(error)


class Actor:
    """Decides on inputs one after the other; an event is in the journal before anything follows from it.

    Attributes:
        journal_error: Why the journal cannot be written, as the latest attempt says; empty when it can.
    """

    def __init__(
        self,
        settings: GuardSettings,
        journal: Journal,
        clock: Clock,
        holder: str,
        reconcile: Callable[[Guard, frozenset[Command]], None],
    ) -> None:
        self.guard = Guard(settings)
        self.seq = 0
        self.journal_error = ""
        self.append_seconds = 0.0
        self.fenced = False
        self._name = settings.name
        self._journal = journal
        self._clock = clock
        self._holder = holder
        self._reconcile = reconcile
        self._inbox: asyncio.Queue[_Letter] = asyncio.Queue()
        self._claimed = asyncio.Event()
        self._epoch = 0
        self._handled_at: Time = 0

    @property
    def claimed(self) -> bool:
        """Whether the guard is held and its journal has been read; before that `guard` is empty."""
        return self._claimed.is_set()

    async def claim(self) -> None:
        """Takes the guard over and brings its state up to date."""
        self._epoch = await self._journal.claim(self._name)
        await self._reload()
        await self._handle(Claim(self._epoch, self._holder))
        self._claimed.set()

    async def _reload(self) -> None:
        stored = await self._journal.read(self._name)
        self.guard = fold(Guard(self.guard.settings), stored)
        self.seq = stored[-1].seq if stored else 0

    def tell(self, given: Input) -> None:
        """Hands an input over and does not wait; for inputs that come again by themselves should this one be lost."""
        self._inbox.put_nowait(_Letter(given))

    async def ask(self, given: Input) -> tuple[Event, ...]:
        """Hands an input over and waits until its events are in the journal.

        Raises:
            RefusedError: The state does not allow it.
            FencedError: Another process holds the guard.
            JournalError: It could not be written; nothing was done.
        """
        if self.fenced:
            raise self._held_elsewhere()
        answer: asyncio.Future[tuple[Event, ...]] = asyncio.get_running_loop().create_future()
        self._inbox.put_nowait(_Letter(given, answer))
        return await answer

    async def run(self) -> None:
        """Works through the inbox until it is cancelled or fenced out."""
        if not self._claimed.is_set():
            await self.claim()
        self._reconcile(self.guard, due(self.guard, self._clock.now()))
        while not self.fenced:
            letter = await self._next()
            await self._deal(letter)
        while not self._inbox.empty():
            self._inbox.get_nowait().refuse(self._held_elsewhere())

    def _held_elsewhere(self) -> FencedError:
        return FencedError(f"guard {self._name} is held by another process")

    async def try_journal(self) -> None:
        """After the journal could not be written: finds out whether it can be now, and goes on if so."""
        try:
            await self._journal.try_write()
        except JournalError as error:
            self._note_journal(str(error))
        else:
            self._note_journal("")
            self._reconcile(self.guard, due(self.guard, self._clock.now()))

    def _note_journal(self, error: str) -> None:
        if error and not self.journal_error:
            log.error("the journal cannot be written: nothing new begins", guard=self._name, error=error)
        elif self.journal_error and not error:
            log.info("the journal can be written again", guard=self._name)
        self.journal_error = error

    async def _next(self) -> _Letter:
        """The next letter, or a tick when time alone makes something due."""
        wake = wake_at(self.guard, self._handled_at)
        if wake is None or not self._inbox.empty():
            return await self._inbox.get()
        getting = asyncio.ensure_future(self._inbox.get())
        sleeping = asyncio.ensure_future(self._clock.sleep(wake - self._clock.now()))
        try:
            await asyncio.wait({getting, sleeping}, return_when=asyncio.FIRST_COMPLETED)
            return getting.result() if getting.done() else _Letter(Tick())
        finally:
            sleeping.cancel()
            if not getting.done():
                getting.cancel()

    async def _deal(self, letter: _Letter) -> None:
        try:
            events = await self._handle(letter.given)
        except RefusedError as error:
            letter.refuse(error)
        except FencedError as error:
            self.fenced = True
            self._reconcile(self.guard, frozenset())
            letter.refuse(error)
            log.error("fenced out: another process holds this guard", guard=self._name)
        except JournalError as error:
            self._note_journal(str(error))
            letter.refuse(error)
        else:
            if letter.answer is not None and not letter.answer.done():
                letter.answer.set_result(events)
        finally:
            # Whoever asked is never left waiting, whatever went wrong.
            letter.refuse(ActorError(f"guard {self._name} could not take it; the daemon's log says why"))

    async def _handle(self, given: Input) -> tuple[Event, ...]:
        while True:
            now = self._handled_at = self._clock.now()
            events = decide(self.guard, given, now)
            if not events:
                break
            try:
                await self._append(events, now)
            except JournalConflictError:
                await self._reload()
                continue
            for event in events:
                self.guard = evolve(self.guard, event, now)
            break
        self._reconcile(self.guard, due(self.guard, self._clock.now()))
        return events

    async def _append(self, events: tuple[Event, ...], now: Time) -> None:
        began = self._clock.now()
        append = asyncio.ensure_future(self._journal.append(self._name, self.seq, events, epoch=self._epoch, at=now))
        # A cancelled daemon must know whether its last events are in the journal.
        try:
            self.seq = await asyncio.shield(append)
        except asyncio.CancelledError:
            await asyncio.wait({append})
            raise
        self.append_seconds = (self._clock.now() - began) / SECOND
        self._note_journal("")
        for event in events:
            log.info("event", guard=self._name, type=type(event).__name__)
