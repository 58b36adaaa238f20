"""The clock: wall time at start plus monotonic time since, so that it never goes back."""

import asyncio
import time

from watchdog.model.time import SECOND, Span, Time


class SystemClock:
    """The machine's clock, made steady."""

    def __init__(self) -> None:
        # The one place that reads the wall clock.
        self._wall = time.time_ns()  # noqa: TID251  # this is the clock
        self._monotonic = time.monotonic_ns()

    def now(self) -> Time:
        """Nanoseconds UTC; never goes back."""
        return self._wall + time.monotonic_ns() - self._monotonic

    def wall_offset(self) -> Span:
        """How far the wall clock has been stepped since start."""
        return time.time_ns() - self.now()  # noqa: TID251  # this is the clock

    async def sleep(self, length: Span) -> None:
        """Waits so long; returns at once for zero or less."""
        await asyncio.sleep(max(0, length) / SECOND)
