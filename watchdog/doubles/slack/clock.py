"""The double's only clock."""

import time
from collections.abc import Callable


def steady_clock() -> Callable[[], int]:
    """A clock in nanoseconds UTC: the wall clock now, carried on by the monotonic clock, so it never goes back."""
    start = time.clock_gettime_ns(time.CLOCK_REALTIME) - time.monotonic_ns()
    return lambda: start + time.monotonic_ns()
