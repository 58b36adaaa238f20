"""Time comes from here and nowhere else."""

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
