"""The brake, for a command line that has no daemon to talk to."""

from pathlib import Path

from watchdog.leases.freeze import FileFreezeSwitch
from watchdog.ports.leases import FreezeSwitch


def switch(state: Path) -> FreezeSwitch:
    """The freeze switch of a state directory."""
    return FileFreezeSwitch(state)
