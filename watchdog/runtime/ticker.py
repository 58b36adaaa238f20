"""The ticker: APScheduler calls jobs at their intervals. No deadline lives in it.

APScheduler keeps its times by the wall clock: set back an hour, it would not tick until the clock has caught up. So a
watch on the monotonic clock looks at every job, and one that is overdue is run at once and scheduled anew.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from watchdog.model.time import SECOND, Span, Time, in_seconds
from watchdog.ports.clock import Clock

log = structlog.get_logger(__name__)

WATCH_EVERY: Span = SECOND
OVERDUE_INTERVALS = 3

LET_GO_SECONDS = 5.0
"""How long calls that are cancelled at the end may take."""


@dataclass
class _Job:
    every: Span
    call: Callable[[], Awaitable[None]]
    last: Time
    running: bool = False


class SchedulerTicker:
    """Calls jobs at their intervals until it is stopped."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._jobs: dict[str, _Job] = {}
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self._calls: set[asyncio.Task[None] | None] = set()
        self._ended = False

    def every(self, name: str, interval: Span, call: Callable[[], Awaitable[None]], *, jitter: Span = 0) -> None:
        """Calls a job every `interval`; a call that is still running swallows the next ones."""
        self._jobs[name] = _Job(interval, call, self._clock.now())
        self._scheduler.add_job(
            self._call,
            "interval",
            args=(name,),
            id=name,
            seconds=in_seconds(interval),
            jitter=in_seconds(jitter) or None,
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
            next_run_time=datetime.fromtimestamp(in_seconds(self._clock.now() + self._clock.wall_offset()), UTC),
        )

    async def run(self) -> None:
        """Ticks until it is cancelled."""
        self._scheduler.start()
        try:
            while True:
                await self._clock.sleep(WATCH_EVERY)
                self._wake_overdue()
        finally:
            self._ended = True
            self._scheduler.shutdown(wait=False)
            # APScheduler cancels its calls and does not wait; what they use is about to be closed.
            if calls := {call for call in self._calls if call is not None}:
                await asyncio.wait(calls, timeout=LET_GO_SECONDS)

    async def _call(self, name: str) -> None:
        job = self._jobs[name]
        job.running = True
        call = asyncio.current_task()
        self._calls.add(call)
        try:
            await job.call()
        except asyncio.CancelledError:
            # APScheduler would log its own cancelling as an error.
            if not self._ended:
                raise
        finally:
            job.running, job.last = False, self._clock.now()
            self._calls.discard(call)

    def _wake_overdue(self) -> None:
        for name, job in self._jobs.items():
            late = self._clock.now() - job.last - job.every
            if not job.running and late > max(OVERDUE_INTERVALS * job.every, 2 * SECOND):
                log.warning("tick overdue, scheduled anew", job=name, late_seconds=round(in_seconds(late), 1))
                job.last = self._clock.now()
                wall = in_seconds(self._clock.now() + self._clock.wall_offset())
                self._scheduler.modify_job(name, next_run_time=datetime.fromtimestamp(wall, UTC))
