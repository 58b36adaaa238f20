"""A Slack workspace on loopback, for the unmodified slack-sdk client and for a person with a browser."""

from watchdog.doubles.slack.errors import NotAcknowledgedError, NotThereError
from watchdog.doubles.slack.faults import Fault, Faults, Kind
from watchdog.doubles.slack.server import DEFAULT_USERS, SlackDouble, serve
from watchdog.doubles.slack.socket_mode import Ack
from watchdog.doubles.slack.state import Message

__all__ = [
    "DEFAULT_USERS",
    "Ack",
    "Fault",
    "Faults",
    "Kind",
    "Message",
    "NotAcknowledgedError",
    "NotThereError",
    "SlackDouble",
    "serve",
]
