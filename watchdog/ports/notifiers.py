"""A notifier says a notice once, and can tell afterwards whether it was said."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from watchdog.model.communication import Audience
from watchdog.model.inputs import Input
from watchdog.model.time import Time


@dataclass(frozen=True)
class Message:
    """What is to be said.

    Attributes:
        key: Sent along as metadata; `find` looks for it.
        also: Keys of further notices that this one message says; `find` finds it by each.
        thread: Key of the thread it belongs to (the incident's id); empty for none.
        header: It is the head of its thread, and rewrites it when that is there already.
        buttons: Offered actions: (action id, label, value).
    """

    key: str
    guard: str
    incident: str
    audience: Audience
    channel: str
    text: str
    due_at: Time
    thread: str = ""
    header: bool = False
    buttons: tuple[tuple[str, str, str], ...] = ()
    fields: tuple[tuple[str, str], ...] = ()
    also: tuple[str, ...] = ()


class Notifier(Protocol):
    """One receiver."""

    async def send(self, message: Message) -> str:
        """Says it.

        Returns:
            The receiver's receipt.

        Raises:
            NotifyError: It was not said, or nobody can tell; `uncertain` and `recoverable` say which.
        """
        ...

    async def find(self, message: Message) -> str | None:
        """The receipt of a message sent earlier with this key, or None if the receiver does not have it.

        Raises:
            NotifyError: The receiver cannot be read.
        """
        ...

    async def start(self, inbox: "Inbox") -> None:
        """Begins to listen for answers; each is handed to `inbox` before the receiver gets its reply."""
        ...

    async def close(self) -> None:
        """Stops listening and lets go of connections."""
        ...


Inbox = Callable[[str, Input], Awaitable[str]]
"""Takes a guard's name and an input; answers with one sentence for the person who pressed."""
