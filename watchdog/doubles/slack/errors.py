"""How Slack says no, and how the double says that a test or a person asked for something impossible."""

from collections.abc import Mapping, Sequence
from typing import Any


class SlackError(Exception):
    """An answer `{"ok": false, "error": code}`, as Slack documents it for the method."""

    def __init__(
        self, code: str, extra: Mapping[str, Any] | None = None, *, status: int = 200, retry_after: int | None = None
    ) -> None:
        """Answer `code` with the fields of `extra`; `retry_after` (seconds) becomes the header of that name."""
        super().__init__(code)
        self.code = code
        self.extra = dict(extra or {})
        self.status = status
        self.retry_after = retry_after


def invalid_arguments(message: str) -> SlackError:
    """The answer to a missing or malformed argument."""
    return SlackError("invalid_arguments", {"response_metadata": {"messages": [f"[ERROR] {message}"]}})


def invalid_blocks(problems: Sequence[str]) -> SlackError:
    """The answer to blocks that Slack refuses; each problem ends with a JSON pointer."""
    messages = [f"[ERROR] {problem}" for problem in problems]
    return SlackError("invalid_blocks", {"errors": list(problems), "response_metadata": {"messages": messages}})


class NotThereError(LookupError):
    """A channel, user, message or button that the double does not have; the message says what there is."""


class NotAcknowledgedError(TimeoutError):
    """The app answered no delivery of an envelope in time; a person in Slack would see a warning sign."""
