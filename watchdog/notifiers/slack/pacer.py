"""Slack takes about one message a second in a channel: whoever has something to say waits here for a turn."""

import asyncio
import heapq
import itertools
from dataclasses import dataclass, field

from watchdog.model.time import SECOND, Span, Time
from watchdog.ports.clock import Clock

Ticket = tuple[int, int]


@dataclass
class _Lane:
    free_at: Time = 0
    waiting: list[Ticket] = field(default_factory=list)
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    def move(self) -> None:
        """Wake everybody who waits behind another."""
        moved, self.moved = self.moved, asyncio.Event()
        moved.set()


class Pacer:
    """Gives turns, one per channel and interval: lowest priority number first, then in the order of asking."""

    def __init__(self, clock: Clock, interval: Span = SECOND) -> None:
        self._clock = clock
        self._interval = interval
        self._lanes: dict[str, _Lane] = {}
        self._numbers = itertools.count()

    async def turn(self, channel: str, priority: int) -> None:
        """Waits for the turn."""
        lane = self._lanes.setdefault(channel, _Lane())
        ticket = (priority, next(self._numbers))
        heapq.heappush(lane.waiting, ticket)
        try:
            while lane.waiting[0] != ticket or self._clock.now() < lane.free_at:
                if lane.waiting[0] == ticket:
                    await self._clock.sleep(lane.free_at - self._clock.now())
                else:
                    await lane.moved.wait()
            lane.free_at = self._clock.now() + self._interval
        finally:
            lane.waiting.remove(ticket)
            heapq.heapify(lane.waiting)
            lane.move()

    def hold(self, channel: str, length: Span) -> None:
        """Gives no turn in this channel for so long: Slack has asked for it."""
        lane = self._lanes.setdefault(channel, _Lane())
        lane.free_at = max(lane.free_at, self._clock.now() + length)
