import asyncio

import pytest

from watchdog.model.time import SECOND
from watchdog.runtime.bounded import within
from watchdog.runtime.manual_clock import ManualClock


async def test_work_that_ends_in_time_keeps_its_result_and_its_error() -> None:
    clock = ManualClock(0)

    async def fail() -> None:
        raise ValueError("no")

    assert (await within(clock, asyncio.sleep(0, "done"), SECOND)).result() == "done"
    assert isinstance((await within(clock, fail(), SECOND)).exception(), ValueError)


async def test_work_that_does_not_end_is_cancelled_at_its_time() -> None:
    clock = ManualClock(0)
    waiting = asyncio.create_task(within(clock, asyncio.sleep(3600), 2 * SECOND))
    await clock.advance(SECOND)
    assert not waiting.done()
    await clock.advance(SECOND)
    assert (await waiting).cancelled()


async def test_whoever_is_cancelled_waits_for_the_work_to_let_go() -> None:
    let_go = False

    async def work() -> None:
        nonlocal let_go
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            let_go = True

    waiting = asyncio.create_task(within(ManualClock(0), work(), SECOND))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert let_go
