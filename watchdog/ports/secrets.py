"""Secrets: `${env:NAME}` and `${file:/path}` in a configured value, resolved at each connect and never shown."""

from typing import Protocol


class Secret(Protocol):
    """A configured text that may hold secret parts."""

    def reveal(self) -> str:
        """The text with every reference resolved now.

        Raises:
            WatchdogError: A variable is not set or a file cannot be read; names it, not its value.
        """
        ...
