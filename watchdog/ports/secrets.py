"""Secrets: `${env:NAME}` and `${file:/path}` in a configured value, resolved at each connect and never shown."""

from dataclasses import dataclass, field
from typing import Protocol


class Secret(Protocol):
    """A configured text that may hold secret parts."""

    def reveal(self) -> str:
        """The text with every reference resolved now.

        Raises:
            WatchdogError: A variable is not set or a file cannot be read; names it, not its value.
        """
        ...


@dataclass(frozen=True)
class KnownSecret:
    """A secret that is at hand already: out of an address on the command line, or made a moment ago."""

    value: str = field(repr=False)

    def reveal(self) -> str:
        """The secret."""
        return self.value
