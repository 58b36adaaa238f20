"""What the page and the control paths may do with a double."""

from typing import Protocol

from watchdog.doubles.slack.faults import Faults
from watchdog.doubles.slack.socket_mode import Ack
from watchdog.doubles.slack.state import Message, Workspace


class Double(Protocol):
    """A running double; see `SlackDouble` for what its methods do and raise."""

    workspace: Workspace
    faults: Faults

    @property
    def connections(self) -> int:
        """How many Socket Mode connections take envelopes now."""
        ...

    async def press(self, channel: str, ts: str, action_id: str, user: str, value: str | None = None) -> Ack:
        """Presses a button."""
        ...

    async def slash(self, command: str, text: str, user: str, channel: str) -> Ack:
        """Types a command."""
        ...

    def say(self, channel: str, user: str, text: str, *, thread_ts: str | None = None) -> Message:
        """Writes a message as a person."""
        ...

    def delete(self, channel: str, ts: str) -> None:
        """Deletes a message."""
        ...

    def archive(self, channel: str, *, archived: bool = True) -> None:
        """Archives a channel, or opens it again."""
        ...
