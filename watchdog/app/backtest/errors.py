"""What a person handed in and cannot be used."""

from watchdog.ports.errors import WatchdogError


class InputError(WatchdogError):
    """A file or an option makes no sense; names the place, and what to do about it."""

    exit_status = 2
