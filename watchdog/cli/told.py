"""Commands that end in order when a Job or a pipeline tells them to stop."""

import asyncio
import signal
from collections.abc import Awaitable
from typing import TypeVar

from watchdog.ports.errors import WatchdogError

T = TypeVar("T")


async def until_told(work: Awaitable[T]) -> T:
    """Does the work; on SIGTERM it is cancelled, takes back what it had committed, and that is said.

    Raises:
        WatchdogError: It was told to stop.
    """
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        raise WatchdogError(
            "It was told to stop. What is not said above was not begun; `watchdog migration status` shows what is left."
        ) from None
