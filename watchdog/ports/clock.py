"""Time comes from here and nowhere else."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from watchdog.model.time import Span, Time


class Clock(Protocol):
    """A steady clock that reads as UTC: wall clock at start plus monotonic time since."""

    def now(self) -> Time:
        """Nanoseconds UTC; never goes back."""
        ...

    def wall_offset(self) -> Span:
        """How far the wall clock has been stepped against this one since start."""
        ...

    async def sleep(self, length: Span) -> None:
        """Waits so long on this clock; returns at once for zero or less."""
        ...


class Ticker(Protocol):
    """Calls jobs at their intervals."""

    def every(self, name: str, interval: Span, call: Callable[[], Awaitable[None]], *, jitter: Span = 0) -> None:
        """Calls a job every `interval`; a call that is still running swallows the next ones."""
        ...

    async def run(self) -> None:
        """Ticks until it is cancelled."""
        ...
