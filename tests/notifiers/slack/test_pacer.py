import asyncio

import pytest

from watchdog.model.time import SECOND, Span, Time
from watchdog.notifiers.slack.pacer import Pacer


class ManualClock:
    """Stands still until somebody sleeps, and then jumps to when the first sleeper is due."""

    def __init__(self) -> None:
        self._now: Time = 1_000 * SECOND

    def now(self) -> Time:
        return self._now

    def wall_offset(self) -> Span:
        return 0

    async def sleep(self, length: Span) -> None:
        until = self._now + length
        for _ in range(10):
            await asyncio.sleep(0)
        self._now = max(self._now, until)


class Channel:
    """Notes who got a turn when."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.pacer = Pacer(self.clock)
        self.turns: list[tuple[str, int]] = []

    async def say(self, name: str, priority: int, channel: str = "incidents") -> None:
        await self.pacer.turn(channel, priority)
        self.turns.append((name, (self.clock.now() - 1_000 * SECOND) // SECOND))


@pytest.fixture
def channel() -> Channel:
    return Channel()


async def test_turns_of_one_channel_are_a_second_apart(channel: Channel) -> None:
    await asyncio.gather(*(channel.say(name, 2) for name in "abc"))

    assert channel.turns == [("a", 0), ("b", 1), ("c", 2)]


async def test_an_alarm_overtakes_chatter(channel: Channel) -> None:
    await asyncio.gather(*(channel.say(name, 2) for name in "abc"), channel.say("alarm", 0))

    assert channel.turns == [("a", 0), ("alarm", 1), ("b", 2), ("c", 3)]


async def test_an_alarm_overtakes_one_that_is_already_waiting_for_its_second(channel: Channel) -> None:
    await channel.say("a", 2)
    waiting = asyncio.create_task(channel.say("b", 2))
    for _ in range(3):
        await asyncio.sleep(0)
    await asyncio.gather(channel.say("alarm", 0), waiting)

    assert channel.turns == [("a", 0), ("alarm", 1), ("b", 2)]


async def test_channels_do_not_wait_for_each_other(channel: Channel) -> None:
    await asyncio.gather(channel.say("a", 2), channel.say("b", 2, "stakeholders"))

    assert channel.turns == [("a", 0), ("b", 0)]


async def test_a_hold_makes_everybody_wait(channel: Channel) -> None:
    channel.pacer.hold("incidents", 30 * SECOND)
    await asyncio.gather(channel.say("a", 2), channel.say("alarm", 0))

    assert channel.turns == [("alarm", 30), ("a", 31)]


async def test_one_that_is_cancelled_does_not_hold_up_the_others(channel: Channel) -> None:
    await channel.say("a", 2)
    first, second = (asyncio.create_task(channel.say(name, 2)) for name in "bc")
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(second, asyncio.gather(first, return_exceptions=True))

    assert channel.turns == [("a", 0), ("c", 1)]
