"""The observer: ticks a guard's probes, keeps their samples, and hands the actor one evaluation after the other."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from watchdog.engine.assess import assess
from watchdog.engine.baseline import freeze
from watchdog.engine.doubts import Neighbour
from watchdog.engine.seasons import with_days
from watchdog.engine.windows import Windows, empty, observe_all
from watchdog.model.events import Event
from watchdog.model.guards import Guard
from watchdog.model.inputs import ClockStep, Gap, StartRelease
from watchdog.model.releases import Release
from watchdog.model.signals import Cause, Missing, Sample, SignalId
from watchdog.model.time import MINUTE, SECOND, Span, Time, in_seconds, say_span
from watchdog.model.verdicts import Verdict
from watchdog.ports.clock import Clock
from watchdog.ports.errors import JournalError, ProbeError, TargetError
from watchdog.ports.probes import Probe, Readings
from watchdog.ports.samples import SampleStore
from watchdog.runtime.bounded import within
from watchdog.runtime.executor import Teller
from watchdog.runtime.hindsight import as_of, in_hindsight
from watchdog.runtime.history import days_before

log = structlog.get_logger(__name__)

CLOCK_STEP: Span = 2 * SECOND
"""A wall clock that moved by more than this against the steady one has been stepped."""


@dataclass(frozen=True)
class WatchedProbe:
    """A probe with its schedule and the signals it answers for."""

    name: str
    probe: Probe
    every: Span
    timeout: Span
    signals: tuple[str, ...]


class Observer:
    """Reads, keeps and judges for one guard.

    Attributes:
        troubles: Why a probe has no answer, by the probe's name; one that has answered is not in it.
        judged_at: When the guard was judged last.
    """

    def __init__(
        self,
        actor: Teller,
        clock: Clock,
        store: SampleStore,
        probes: Sequence[WatchedProbe],
        neighbours: Callable[[], Iterable[Neighbour]] = tuple,
    ) -> None:
        """Reads nothing yet; `neighbours` are the other guards, as they stand."""
        settings = actor.guard.settings
        self.probes = tuple(probes)
        self.every = min((probe.every for probe in probes), default=5 * SECOND)
        self.verdicts: Mapping[str, Verdict] = {}
        self.probe_seconds: dict[str, float] = {}
        self.probe_failures: dict[str, int] = {}
        self.troubles: dict[str, str] = {}
        self.judged_at: Time | None = None
        self.tick_lag: Span = 0
        self.windows: Windows = empty(settings.signals, keep=max(15 * MINUTE, settings.baseline + 10 * MINUTE))
        self._actor = actor
        self._neighbours = neighbours
        self._clock = clock
        self._store = store
        self._name = settings.name
        self._fresh: list[Sample] = []
        self._last_tick: Time | None = None
        self._offset = clock.wall_offset()

    async def restore(self) -> None:
        """Rebuilds the windows from the samples that an earlier process kept."""
        kept = await self._store.read(self._name, self._clock.now() - self.windows.keep)
        self.windows = observe_all(self.windows, kept)
        if kept:
            self._last_tick = kept[-1].at
        elif pending := self._actor.guard.pending:
            # Down for longer than samples are kept: nothing of that time was seen to hold.
            self._last_tick = min(one.since for one in pending.values())

    async def read(self, watched: WatchedProbe) -> None:
        """One reading of one probe."""
        began = self._clock.now()
        task = await within(self._clock, watched.probe.read(), began + watched.timeout)
        at = self._clock.now()
        self.probe_seconds[watched.name] = in_seconds(at - began)
        samples = self._samples(watched, task, at)
        self._note_trouble(watched.name, samples)
        self._fresh += samples

    def _note_trouble(self, probe: str, samples: Sequence[Sample]) -> None:
        troubles = (
            sample.value.detail or str(sample.value.cause)
            for sample in samples
            if isinstance(sample.value, Missing) and sample.value.cause in {Cause.UNREACHABLE, Cause.PROBE_BROKEN}
        )
        trouble = next(troubles, None)
        if trouble is None:
            if self.troubles.pop(probe, None) is not None:
                log.info("a probe has answers again", guard=self._name, probe=probe)
            return
        if probe not in self.troubles:
            log.warning("a probe has no answer", guard=self._name, probe=probe, error=trouble)
        self.troubles[probe] = trouble

    def _samples(self, watched: WatchedProbe, task: "asyncio.Task[Readings]", at: Time) -> list[Sample]:
        if task.cancelled():
            missing = Missing(Cause.UNREACHABLE, f"{watched.name}: no answer in {in_seconds(watched.timeout):g} s")
        elif (error := task.exception()) is not None:
            missing = self._missing(watched, error)
        else:
            readings = task.result()
            return [
                Sample(SignalId(name, labels), at, value)
                for name, group in readings.items()
                for labels, value in group.items()
            ]
        self.probe_failures[watched.name] = self.probe_failures.get(watched.name, 0) + 1
        return [Sample(SignalId(name), at, missing) for name in watched.signals]

    @staticmethod
    def _missing(watched: WatchedProbe, error: BaseException) -> Missing:
        if isinstance(error, ProbeError):
            return Missing(error.cause, str(error))
        if isinstance(error, TargetError):
            return Missing(Cause.UNREACHABLE if error.retryable else Cause.PROBE_BROKEN, str(error))
        log.error("a probe raised an error that it does not declare", probe=watched.name, exc_info=error)
        return Missing(Cause.PROBE_BROKEN, f"{watched.name}: {type(error).__name__}; the log says more")

    async def evaluate(self) -> None:
        """Keeps what was read since the last time, then judges."""
        now = self._clock.now()
        self._notice_gaps(now)
        fresh, self._fresh = self._fresh, []
        if fresh:
            try:
                await self._store.write(self._name, fresh)
            except JournalError as error:
                log.error("samples were not kept; judging goes on", guard=self._name, error=str(error))
            self.windows = observe_all(self.windows, fresh)
        judged = assess(self._actor.guard, self.windows, self._clock.now(), self._neighbours())
        self.verdicts, self.judged_at = judged.verdicts, self._clock.now()
        self._actor.tell(judged)

    def _notice_gaps(self, now: Time) -> None:
        if self._last_tick is not None:
            self.tick_lag = max(0, now - self._last_tick - self.every)
            if now - self._last_tick > 2 * self.every + SECOND:
                self._actor.tell(Gap(now - self._last_tick - self.every))
        self._last_tick = now
        offset = self._clock.wall_offset()
        if abs(offset - self._offset) > CLOCK_STEP:
            self._actor.tell(ClockStep(offset - self._offset))
            self._offset = offset

    async def start_release(self, release: Release, began_at: Time | None = None) -> tuple[Event, ...]:
        """Freezes the baseline at T-0 and starts the release.

        Args:
            began_at: T-0 of a release that was only seen afterwards; without it T-0 is now.
        """
        settings = self._actor.guard.settings
        days = await days_before(self._clock, self.probes, settings, began_at)
        now = self._clock.now()
        t0 = now if began_at is None else min(began_at, now)
        windows = self.windows if began_at is None else as_of(self.windows, t0)
        baseline, refusal = freeze(windows, t0, settings.baseline, settings.min_baseline, settings.rules)
        if baseline is not None and days:
            # In a thread, since days of many series take a while.
            more = (windows, days, settings.min_baseline, settings.rules)
            baseline = await asyncio.to_thread(with_days, baseline, *more)
        verdicts = assess(Guard(settings), windows, t0).verdicts
        if began_at is None:
            return tuple(await self._actor.ask(StartRelease(release, baseline, refusal, verdicts)))
        if refusal:
            refusal = f"{refusal}; T-0 was {say_span(now - t0)} ago, when nobody had announced it"
        verdicts = in_hindsight(verdicts, assess(Guard(settings), self.windows, now).verdicts)
        return tuple(await self._actor.ask(StartRelease(release, baseline, refusal, verdicts, t0)))
