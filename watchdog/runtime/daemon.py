"""The daemon: every guard's actor, observer, executor and sender, under one supervisor."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from watchdog.engine.doubts import Neighbour
from watchdog.engine.refused import RefusedError
from watchdog.model.commands import Cancel, Command, Execute, Reconcile, Send, Verify
from watchdog.model.events import Event, Stored
from watchdog.model.guards import Guard, GuardSettings
from watchdog.model.inputs import Acknowledge, Approve, Deny, Freeze, Input, ReleaseHold, Resolve, SetHold, Unfreeze
from watchdog.model.playbooks import Step
from watchdog.model.releases import Release
from watchdog.model.time import SECOND, Span, Time, say_span
from watchdog.model.verdicts import Verdict
from watchdog.ports.actions import Action
from watchdog.ports.clock import Clock, Ticker
from watchdog.ports.control import DaemonHealth, UnknownGuardError
from watchdog.ports.errors import JournalError, WatchdogError
from watchdog.ports.journal import Journal
from watchdog.ports.kinds import Target
from watchdog.ports.leases import FreezeSwitch, Lease
from watchdog.ports.notifiers import Notifier
from watchdog.ports.samples import SampleStore
from watchdog.runtime.actor import Actor
from watchdog.runtime.executor import Executor
from watchdog.runtime.observer import Observer, WatchedProbe
from watchdog.runtime.sender import Channel, Sender
from watchdog.runtime.supervisor import Supervisor

log = structlog.get_logger(__name__)

DRAIN_SECONDS = 25.0
"""How long a stopping daemon waits for the step under way before it parks it."""

STALE: Span = 10 * SECOND
"""A guard that was not judged for so long beyond three of its intervals is not being watched."""


@dataclass(frozen=True)
class GuardParts:
    """What the composition root makes for one guard.

    Attributes:
        build: The action of a step.
        vouch: The release with its certificate struck down if that proves nothing here.
        targets: The names of all that it looks at or acts on.
    """

    settings: GuardSettings
    probes: tuple[WatchedProbe, ...]
    build: Callable[[Step], Action]
    vouch: Callable[[Release], Awaitable[Release]]
    targets: frozenset[str] = frozenset()


@dataclass(frozen=True)
class DaemonParts:
    """What the composition root makes for the daemon."""

    clock: Clock
    ticker: Ticker
    holder: str
    journal: Journal
    samples: SampleStore
    lease: Lease
    switch: FreezeSwitch
    guards: tuple[GuardParts, ...]
    channels: Mapping[str, Channel] = field(default_factory=dict)
    notifiers: Sequence[Notifier] = ()
    targets: Sequence[Target] = ()


class GuardRuntime:
    """One guard at work."""

    def __init__(self, parts: DaemonParts, guard: GuardParts) -> None:
        self.name = guard.settings.name
        self.actor = Actor(guard.settings, parts.journal, parts.clock, parts.holder, self._reconcile)
        self.executor = Executor(self.actor, parts.clock, guard.build, self._braked)
        self.sender = Sender(self.actor, parts.clock, parts.channels)
        self.targets = guard.targets
        self.others: tuple[GuardRuntime, ...] = ()
        self.observer = Observer(self.actor, parts.clock, parts.samples, guard.probes, self._neighbours)
        self.vouch = guard.vouch
        self._switch = parts.switch

    def _reconcile(self, _guard: Guard, commands: frozenset[Command]) -> None:
        self.executor.reconcile(frozenset(one for one in commands if isinstance(one, (Execute, Verify, Cancel))))
        self.sender.reconcile(frozenset(one for one in commands if isinstance(one, (Send, Reconcile))))

    def _neighbours(self) -> Iterator[Neighbour]:
        for other in self.others:
            yield Neighbour(other.actor.guard, bool(self.targets & other.targets))

    def _braked(self) -> bool:
        frozen = self._switch.frozen(self.name)
        if frozen is not None and self.actor.guard.frozen is None:
            # Now and not at the next tick: until the guard knows, the step that is held back is due again at once.
            self.actor.tell(Freeze(*frozen))
        return frozen is not None

    async def park(self) -> None:
        """Waits for the step under way as long as may be, then lets go of it; says nothing more."""
        if not await self.executor.drain(DRAIN_SECONDS):
            log.warning("a step is parked; it is verified at the next start", guard=self.name)
        await self.executor.stop()
        await self.sender.stop()

    def blindness(self, now: Time) -> str:
        """Why the guard is not being watched; empty when it is."""
        judged_at = self.observer.judged_at
        if self.actor.fenced:
            return f"guard {self.name} is held by another process"
        if self.actor.journal_error:
            return f"no new run can start: {self.actor.journal_error}"
        if judged_at is None:
            return f"guard {self.name} has not been judged yet"
        if now - judged_at > 3 * self.observer.every + STALE:
            return f"guard {self.name} was last judged {say_span(now - judged_at)} ago; the log says why"
        return ""

    async def tick(self) -> None:
        """Follows the freeze switch, then evaluates."""
        if self.actor.journal_error:
            await self.actor.try_journal()
        frozen = self._switch.frozen(self.name)
        known = self.actor.guard.frozen
        if frozen is not None and known is None:
            self.actor.tell(Freeze(*frozen))
        elif frozen is None and known is not None:
            who = self._switch.thawed_by(self.name, (known.who, known.reason))
            self.actor.tell(Unfreeze(who or "whoever took the freeze file away"))
        await self.observer.evaluate()


class Daemon:
    """Watches every guard until it is stopped. Implements `ports.control.Control`."""

    def __init__(self, parts: DaemonParts) -> None:
        self._parts = parts
        self._guards = {guard.settings.name: GuardRuntime(parts, guard) for guard in parts.guards}
        for runtime in self._guards.values():
            runtime.others = tuple(other for other in self._guards.values() if other is not runtime)
        self._supervisor = Supervisor(parts.clock)
        self._ticker = parts.ticker
        self._watching = False
        self._idle = "starting"

    async def start(self) -> None:
        """Takes the lease and every guard over, and begins to watch.

        Raises:
            JournalHeldError: Another process has the journal.
            JournalError: It cannot be read.
        """
        await self._parts.lease.acquire()
        for runtime in self._guards.values():
            await runtime.observer.restore()
            await runtime.actor.claim()
            self._supervisor.keep(f"guard {runtime.name}", runtime.actor.run)
            self._schedule(runtime)
        for number, notifier in enumerate(self._parts.notifiers):
            await notifier.start(self.hear)
            log.info("listening for answers", notifier=type(notifier).__name__, number=number)
        self._supervisor.keep("ticker", self._ticker.run)
        self._watching = True

    def _schedule(self, runtime: GuardRuntime) -> None:
        for watched in runtime.observer.probes:

            async def read(runtime: GuardRuntime = runtime, watched: WatchedProbe = watched) -> None:
                await runtime.observer.read(watched)

            self._ticker.every(f"{runtime.name}/{watched.name}", watched.every, read)
        self._ticker.every(f"{runtime.name}/evaluate", runtime.observer.every, runtime.tick)

    async def park(self) -> None:
        """Begins nothing new from here on; finishes the step under way, or parks it for the next start."""
        self._watching, self._idle = False, "stopping"
        await asyncio.gather(*(runtime.park() for runtime in self._guards.values()))

    async def stop(self) -> None:
        """Parks, then lets go of everything."""
        # Undone in reverse order, and all of it, also when one of them fails.
        async with contextlib.AsyncExitStack() as closing:
            for held in (self._parts.lease.release, self._parts.journal.close, self._parts.samples.close):
                closing.push_async_callback(held)
            for target in self._parts.targets:
                closing.push_async_callback(target.close)
            for notifier in self._parts.notifiers:
                closing.push_async_callback(notifier.close)
            closing.push_async_callback(self._supervisor.stop)
            await self.park()

    def guards(self) -> Sequence[str]:
        """Names of all guards that are held: while the daemon starts, one after the other."""
        return tuple(name for name, runtime in self._guards.items() if runtime.actor.claimed)

    def _runtime(self, name: str) -> GuardRuntime:
        if name not in self._guards:
            raise UnknownGuardError(f"no guard {name!r}; there are: {', '.join(self._guards)}")
        if not self._guards[name].actor.claimed:
            # Before its journal has been read, a guard looks as if nothing had ever happened.
            raise JournalError(f"guard {name} is still being read from the journal: ask again in a moment")
        return self._guards[name]

    def guard(self, name: str) -> Guard:
        """A guard as it stands."""
        return self._runtime(name).actor.guard

    def verdicts(self, name: str) -> Mapping[str, Verdict]:
        """The latest verdict of each of a guard's rules."""
        return self._runtime(name).observer.verdicts

    async def say(self, name: str, given: Input) -> tuple[Event, ...]:
        """Hands an input to a guard and waits until its events are in the journal."""
        return await self._runtime(name).actor.ask(given)

    async def start_release(self, name: str, release: Release, began_at: Time | None = None) -> tuple[Event, ...]:
        """Looks whether the release's certificate holds here, freezes the baseline and starts the release.

        Args:
            began_at: T-0 of a release that was only seen afterwards; without it T-0 is now.
        """
        runtime = self._runtime(name)
        return await runtime.observer.start_release(await runtime.vouch(release), began_at)

    async def events(self, name: str, after: int = 0) -> Sequence[Stored]:
        """A guard's journal behind a number."""
        self._runtime(name)
        return await self._parts.journal.read(name, after)

    async def hear(self, name: str, given: Input) -> str:
        """Takes a person's answer from a notifier; says in one sentence what became of it."""
        try:
            await self.say(name, given)
        except (RefusedError, UnknownGuardError, WatchdogError) as error:
            return f"Not done: {error}"
        return _thanks(given)

    def ready(self) -> tuple[bool, str]:
        """Whether every guard is being watched, and what is missing; a target that does not answer is waited for."""
        if not self._watching:
            return False, self._idle
        for runtime in self._guards.values():
            if blind := runtime.blindness(self.now()):
                return False, blind
        troubles = [
            f"{runtime.name}: {why}"
            for runtime in self._guards.values()
            for why in dict.fromkeys(runtime.observer.troubles.values())
        ]
        return True, "; ".join(["watching", *troubles])

    def now(self) -> Time:
        """The daemon's time."""
        return self._parts.clock.now()

    def gauges(self) -> DaemonHealth:
        """The daemon's own health."""
        runtimes = self._guards.values()
        return DaemonHealth(
            tick_lag={one.name: one.observer.tick_lag for one in runtimes},
            probe_seconds={
                (one.name, probe): took for one in runtimes for probe, took in one.observer.probe_seconds.items()
            },
            probe_failures={
                (one.name, probe): count for one in runtimes for probe, count in one.observer.probe_failures.items()
            },
            append_seconds=max((one.actor.append_seconds for one in runtimes), default=0.0),
        )


def _thanks(given: Input) -> str:
    match given:
        case Acknowledge():
            return "It is yours now."
        case Approve():
            return "Approved."
        case Deny():
            return "Denied; the rung is passed over."
        case SetHold():
            return "On hold: nothing new begins."
        case ReleaseHold():
            return "It goes on."
        case Resolve():
            return "Resolved."
        case _:
            return "Done."
