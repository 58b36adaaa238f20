"""The append-only log of events, one stream a guard."""

from collections.abc import Sequence
from typing import Protocol

from watchdog.model.events import Event, Stored
from watchdog.model.time import Time


class Journal(Protocol):
    """The only source of truth about what happened."""

    async def claim(self, stream: str) -> int:
        """Takes the stream over: returns a new epoch, higher than every earlier one; earlier holders are fenced."""
        ...

    async def streams(self) -> tuple[str, ...]:
        """Every stream that has an epoch or an event."""
        ...

    async def read(self, stream: str, after: int = 0, limit: int | None = None) -> Sequence[Stored]:
        """Events with a higher number than `after`, in order.

        Raises:
            JournalError: An event cannot be read; names its place.
        """
        ...

    async def append(self, stream: str, after: int, events: Sequence[Event], *, epoch: int, at: Time) -> int:
        """Adds events behind number `after`, all or none, durable on return.

        Returns:
            The number of the last event.

        Raises:
            FencedError: `epoch` is not the stream's.
            JournalConflictError: The stream does not end at `after`.
            JournalFullError: There is no room.
        """
        ...

    async def try_write(self) -> None:
        """Writes something without a meaning, to find out whether an append would have room now.

        Raises:
            JournalError: It would not; JournalFullError when there is no room.
        """
        ...

    async def close(self) -> None:
        """Releases the journal."""
        ...
