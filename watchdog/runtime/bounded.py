"""Work that ends by a given time."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from watchdog.model.time import Time
from watchdog.ports.clock import Clock

T = TypeVar("T")


async def within(clock: Clock, work: Coroutine[Any, Any, T], deadline: Time) -> "asyncio.Task[T]":
    """Lets work run up to a time, then cancels it; the finished task is returned, whatever became of it.

    Cancelled from outside, it waits for the work to end before it is.
    """
    task = asyncio.create_task(work)
    timer = asyncio.ensure_future(clock.sleep(deadline - clock.now()))
    try:
        await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait({task})
        raise
    finally:
        timer.cancel()
    return task
