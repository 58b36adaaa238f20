"""`watchdog version`."""

import platform

from watchdog import __version__
from watchdog.cli.options import Json
from watchdog.cli.output import emit, say


def version(as_json: Json = False) -> None:
    """Print the version."""
    if as_json:
        emit({"version": __version__, "python": platform.python_version()})
    else:
        say(f"migration-watchdog {__version__}")
