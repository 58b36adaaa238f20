"""Scripts that are named on the command line."""

from pathlib import Path

from watchdog.ports.errors import WatchdogError


class ScriptError(WatchdogError):
    """A script cannot be read."""

    exit_status = 2


def read_script(path: Path) -> str:
    """The text of a script, without a byte order mark; raises ScriptError."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ScriptError(f"{path} cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ScriptError(f"{path} is not UTF-8") from error
