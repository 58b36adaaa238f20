"""Where deferred destruction puts what a script drops."""

from typing import Final

ASIDE: Final = "watchdog_aside"
"""The schema of tables that were moved aside, and what the name of a column begins with that was."""
