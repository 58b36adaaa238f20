"""A notifier for set-ups without Slack: every notice is a line in the daemon's log."""

from dataclasses import dataclass
from typing import Final

import structlog

from watchdog.ports.clock import Clock
from watchdog.ports.kinds import NotifierKind
from watchdog.ports.notifiers import Inbox, Message

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class LogOptions:
    """There is nothing to configure."""


class LogNotifier:
    """Writes notices to the log. A log cannot be read back, so what an earlier process wrote is not found."""

    def __init__(self, _options: LogOptions, _clock: Clock) -> None:
        self._written: set[str] = set()

    async def send(self, message: Message) -> str:
        """Writes it; the receipt is `log`."""
        _log.info(
            "notice",
            key=message.key,
            guard=message.guard,
            incident=message.incident,
            audience=message.audience.value,
            channel=message.channel,
            text=message.text,
            fields=dict(message.fields),
        )
        self._written.add(message.key)
        return "log"

    async def find(self, message: Message) -> str | None:
        """`log` if this process wrote it."""
        return "log" if message.key in self._written else None

    async def start(self, inbox: Inbox) -> None:
        """Nobody answers in a log."""

    async def close(self) -> None:
        """There is nothing to close."""


KIND: Final = NotifierKind("log", LogOptions, LogNotifier)
