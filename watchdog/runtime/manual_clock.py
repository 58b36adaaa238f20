"""A clock that a test or a simulation turns by hand."""

import asyncio
import heapq
from itertools import count

from watchdog.model.time import Span, Time


class ManualClock:
    """Time stands still until `advance`; sleepers wake in the order of their times."""

    def __init__(self, now: Time = 0) -> None:
        self._now = now
        self._offset: Span = 0
        self._sleepers: list[tuple[Time, int, asyncio.Future[None]]] = []
        self._numbers = count()

    def now(self) -> Time:
        """The time that was set."""
        return self._now

    def wall_offset(self) -> Span:
        """The offset that was set by `step_wall`."""
        return self._offset

    def step_wall(self, by: Span) -> None:
        """Steps the wall clock against this one."""
        self._offset += by

    async def sleep(self, length: Span) -> None:
        """Waits until the time has been advanced so far."""
        if length <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + length, next(self._numbers), future))
        await future

    async def advance(self, length: Span) -> None:
        """Turns the clock on, waking sleepers on the way and letting each run before the next."""
        end = self._now + length
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, future = heapq.heappop(self._sleepers)
            self._now = max(self._now, at)
            if not future.done():
                future.set_result(None)
            await _breathe()
        self._now = end
        await _breathe()


async def _breathe() -> None:
    """Lets everything that is ready run."""
    for _ in range(10):
        await asyncio.sleep(0)
