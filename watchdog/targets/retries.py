"""Trying again: bounded by the step's deadline, and by number unless the target is away."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import stamina

from watchdog.model.time import SECOND, Span, in_seconds
from watchdog.ports.actions import StepContext
from watchdog.ports.errors import TargetError

_T = TypeVar("_T")

_ATTEMPTS = 6
_LEAST_TIME: Span = 10 * SECOND


def time_left(context: StepContext) -> Span:
    """How long a step has; never less than a verification needs after a step that ran out of time."""
    return max(_LEAST_TIME, context.deadline - context.clock.now())


async def retried(
    context: StepContext, call: Callable[[], Awaitable[_T]], *, unless: Callable[[], bool] = lambda: False
) -> _T:
    """Calls until it succeeds, fails for good, or the step's time is up; `unless` stops it earlier.

    A target that does not answer is waited for as long as the step has: a server that restarts must not leave a
    rollback half done.
    """
    failures = 0

    def again(error: Exception) -> bool:
        nonlocal failures
        if not isinstance(error, TargetError) or not error.retryable or unless():
            return False
        failures += not error.away
        return failures < _ATTEMPTS

    caller = stamina.AsyncRetryingCaller(
        attempts=None, timeout=in_seconds(time_left(context)), wait_initial=0.1, wait_max=2.0, wait_jitter=0.2
    )
    return await caller(again, call)
