"""Trying again ends by number, unless the target is away."""

from collections.abc import Iterator

import pytest
import stamina

from watchdog.model.time import MINUTE
from watchdog.ports.actions import StepContext
from watchdog.ports.errors import TargetError
from watchdog.runtime.manual_clock import ManualClock
from watchdog.targets.retries import retried

CONTEXT = StepContext("shop", "run", "run/data/undo", 1, MINUTE, ManualClock(0), {})


@pytest.fixture(autouse=True)
def without_pauses() -> Iterator[None]:
    stamina.set_testing(True, attempts=50, cap=True)
    yield
    stamina.set_testing(False)


class Failing:
    """Fails so many times before it succeeds."""

    def __init__(self, error: TargetError, times: int) -> None:
        self.calls = 0
        self._error, self._times = error, times

    async def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self._times:
            raise self._error
        return "done"


async def test_a_server_that_comes_back_is_waited_for() -> None:
    call = Failing(TargetError("it does not answer", away=True), 20)
    assert await retried(CONTEXT, call) == "done"


async def test_a_lock_that_stays_is_given_up_after_a_few_tries() -> None:
    call = Failing(TargetError("locked", retryable=True), 20)
    with pytest.raises(TargetError, match="locked"):
        await retried(CONTEXT, call)
    assert call.calls == 6


async def test_what_cannot_succeed_is_tried_once() -> None:
    call = Failing(TargetError("no such table"), 1)
    with pytest.raises(TargetError, match="no such table"):
        await retried(CONTEXT, call)
    assert call.calls == 1
