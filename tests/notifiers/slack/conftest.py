"""A Slack double, and notifiers that talk to it by a clock that runs twenty times as fast."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest

from watchdog.doubles.slack import SlackDouble
from watchdog.model.communication import Audience
from watchdog.model.time import SECOND, Span, Time
from watchdog.notifiers.slack import SlackNotifier, SlackOptions
from watchdog.ports.kinds import Duration
from watchdog.ports.notifiers import Message
from watchdog.ports.secrets import Secret

FACTOR = 20


class FastClock:
    """Sleeps a twentieth of what it is asked to, and remembers what that was."""

    def __init__(self, sleeps: list[Span]) -> None:
        self._sleeps = sleeps

    def now(self) -> Time:
        return time.monotonic_ns() * FACTOR

    def wall_offset(self) -> Span:
        return 0

    async def sleep(self, length: Span) -> None:
        self._sleeps.append(length)
        await asyncio.sleep(max(0, length) / FACTOR / SECOND)


@dataclass(frozen=True)
class Token:
    """A secret that hides nothing."""

    text: str

    def reveal(self) -> str:
        return self.text


BOT_TOKEN = Token("xoxb-right")
APP_TOKEN = Token("xapp-right")


@pytest.fixture
def sleeps() -> list[Span]:
    """What was slept, in the notifier's own time."""
    return []


@pytest.fixture
async def double() -> AsyncIterator[SlackDouble]:
    running = await SlackDouble.start(
        bot_token="xoxb-right", app_token="xapp-right", channels=("incidents", "stakeholders"), ack_seconds=3.0
    )
    yield running
    await running.stop()


@pytest.fixture
async def connect(sleeps: list[Span]) -> AsyncIterator[Callable[..., SlackNotifier]]:
    """Makes notifiers, each as a new process would, and closes them."""
    made: list[SlackNotifier] = []

    def new(api_url: str, bot_token: Secret = BOT_TOKEN, app_token: Secret = APP_TOKEN) -> SlackNotifier:
        options = SlackOptions(bot_token, app_token, api_url, Duration(2 * SECOND))
        made.append(SlackNotifier(options, FastClock(sleeps)))
        return made[-1]

    yield new
    for notifier in made:
        await notifier.close()


@pytest.fixture
def slack(double: SlackDouble, connect: Callable[..., SlackNotifier]) -> SlackNotifier:
    return connect(double.api_url)


@pytest.fixture
def message() -> Callable[..., Message]:
    """Makes messages that are due now, in the incident's thread unless told otherwise."""
    serial = iter(range(1, 10_000))

    def new(text: str, **rest: object) -> Message:
        values: dict[str, object] = {
            "key": f"notice-{next(serial)}",
            "guard": "compliance",
            "incident": "incident-7",
            "audience": Audience.RESPONDERS,
            "channel": "incidents",
            "due_at": time.clock_gettime_ns(time.CLOCK_REALTIME),
            "thread": "incident-7",
        }
        return Message(text=text, **{**values, **rest})  # type: ignore[arg-type]  # by name, from the test

    return new
