"""Looks at one target again and again, and tells what is new."""

from collections.abc import Mapping
from typing import Protocol

from watchdog.discovery.changes import Discovered, Reading, carry, compare, settled


class Discoverer(Protocol):
    """Reads one target."""

    async def read(self) -> Reading:
        """One look.

        Raises:
            TargetError: The target cannot be reached or refuses.
        """
        ...


class Watch:
    """Compares every look with the one before.

    Attributes:
        last: The newest look, with what is known of places that could not be read then; None before the first.
    """

    def __init__(self, discoverer: Discoverer, last: Reading | None = None) -> None:
        """`last` is what an earlier process saw; without it the first look only says what is under way."""
        self._discoverer = discoverer
        self.last = last

    @property
    def unread(self) -> Mapping[str, str]:
        """Places that are there and cannot be read, with why and what to do."""
        return self.last.unread if self.last else {}

    async def look(self) -> tuple[Discovered, ...]:
        """What has changed since the last look that the target answered.

        Raises:
            TargetError: The target cannot be reached or refuses; nothing is forgotten.
        """
        reading = settled(self.last, await self._discoverer.read())
        found = compare(self.last, reading)
        self.last = carry(self.last, reading)
        return found
