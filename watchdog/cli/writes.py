"""Recorded writes of an application, from a file."""

import json
from pathlib import Path

from watchdog.migrations.rehearsal import RecordedWrite
from watchdog.ports.errors import WatchdogError


class WritesError(WatchdogError):
    """The file of recorded writes cannot be used."""

    exit_status = 2


def read_writes(path: Path) -> list[RecordedWrite]:
    """What the file holds; raises WritesError."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return [RecordedWrite(one["name"], one["statement"], dict(one["values"])) for one in said]
    except OSError as error:
        raise WritesError(f"{path} cannot be read ({error.strerror})") from error
    except (ValueError, TypeError, KeyError) as error:
        raise WritesError(
            f"{path} holds no recorded writes: a JSON list of objects with name, statement and values"
        ) from error
