"""What probes know of the days before."""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol, runtime_checkable

import structlog

from watchdog.engine.seasons import Day, stretches
from watchdog.engine.windows import empty, observe_all
from watchdog.model.guards import GuardSettings
from watchdog.model.signals import Sample
from watchdog.model.time import MINUTE, SECOND, Span, Time, say_span
from watchdog.ports.clock import Clock
from watchdog.ports.errors import ProbeError, TargetError
from watchdog.ports.probes import Probe
from watchdog.runtime.bounded import within

log = structlog.get_logger(__name__)

PATIENCE: Final[Span] = 20 * SECOND
"""How long all days together may take: a release waits for it."""
AT_ONCE: Final = 3
"""Questions at the same time; a target has four connections, and its probe goes on reading."""
POINTS: Final = 240
"""Readings of a day at most."""


@runtime_checkable
class Remembers(Protocol):
    """A probe that can be asked for the past."""

    async def history(self, signal: str, start: Time, end: Time, step: Span) -> tuple[Sample, ...]:
        """A signal's samples from `start` to `end`, one every `step`, in the order of time.

        Raises:
            ProbeError: They cannot be had.
        """
        ...


class Watched(Protocol):
    """A probe with its schedule."""

    @property
    def probe(self) -> Probe:
        """The probe itself."""
        ...

    @property
    def every(self) -> Span:
        """Its interval."""
        ...

    @property
    def signals(self) -> tuple[str, ...]:
        """The signals that it answers for."""
        ...


async def days_before(
    clock: Clock, probes: Sequence[Watched], settings: GuardSettings, t0: Time | None = None
) -> tuple[Day, ...]:
    """The time of the baseline on each of the days before, newest first; a day that cannot be had says why.

    Args:
        t0: Without it T-0 is now.
    """
    free = asyncio.Semaphore(AT_ONCE)
    wanted = stretches(clock.now() if t0 is None else t0, settings.baseline, settings.baseline_days)
    work = [_day(clock, free, probes, settings, since, until) for since, until in wanted]
    return tuple(await asyncio.gather(*work))


async def _day(
    clock: Clock, free: asyncio.Semaphore, probes: Sequence[Watched], settings: GuardSettings, since: Time, until: Time
) -> Day:
    asked = _samples(free, probes, since, until)
    task = await within(clock, asked, clock.now() + PATIENCE)
    if task.cancelled():
        return Day(since, until, None, f"no answer in {say_span(PATIENCE)}")
    if (error := task.exception()) is not None:
        if not isinstance(error, ProbeError | TargetError):
            log.error("a probe raised an error that it does not declare", guard=settings.name, exc_info=error)
        return Day(since, until, None, str(error) or type(error).__name__)
    windows = empty(settings.signals, keep=until - since + MINUTE)
    return Day(since, until, await asyncio.to_thread(observe_all, windows, task.result()))


async def _samples(free: asyncio.Semaphore, probes: Sequence[Watched], since: Time, until: Time) -> list[Sample]:
    found: list[Sample] = []
    for watched in probes:
        probe = watched.probe
        if isinstance(probe, Remembers):
            step = max(watched.every, (until - since) // POINTS)
            for signal in watched.signals:
                async with free:
                    found += await probe.history(signal, since, until, step)
    return found
