"""Waiting for a change of state without polling."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Bell:
    """Rings at every change; whoever waits looks again at each ring."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def ring(self) -> None:
        """Wake everybody who waits."""
        rung, self._next = self._next, asyncio.Event()
        rung.set()

    async def wait_for(self, look: Callable[[], T | None], seconds: float) -> T:
        """What `look` finds, as soon as it is neither None nor False.

        Raises:
            TimeoutError: nothing was found within `seconds`.
        """
        async with asyncio.timeout(seconds):
            while True:
                # Taken before looking: a change in between then still wakes us.
                ring = self._next
                found = look()
                if found is not None and found is not False:
                    return found
                await ring.wait()
