"""What a validation compares with: how a guard's databases were used before the migration, in a file of its own."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import cattrs

from watchdog.ports.errors import WatchdogError

VERSION: Final = 1


class SnapshotError(WatchdogError):
    """A file holds no snapshot, or one of something else."""

    exit_status = 2


@dataclass(frozen=True)
class Statement:
    """A query as pg_stat_statements counts it.

    Attributes:
        text: Its beginning, without any value.
        milliseconds: In all.
    """

    text: str
    calls: int
    milliseconds: float


@dataclass(frozen=True)
class Scans:
    """How a table is read: scans of the whole, and by an index; `rows` as the server estimates them."""

    whole: int
    index: int
    rows: int


@dataclass(frozen=True)
class Usage:
    """How a database is used, counted since its statistics were reset.

    Attributes:
        rows: By table, counted.
        indexes: Names with how many scans there were.
        statements: By query id; None when nobody counts them, and `no_statements` says why.
        since: When the statistics were reset, as the server says it.
    """

    rows: Mapping[str, int]
    indexes: Mapping[str, int]
    scans: Mapping[str, Scans]
    statements: Mapping[str, Statement] | None
    no_statements: str = ""
    since: str = ""


@dataclass(frozen=True)
class Snapshot:
    """A guard at one moment.

    Attributes:
        taken_at: ISO 8601.
        databases: By the name of the target.
        checks: What the guard's checks answered.
    """

    guard: str
    taken_at: str
    databases: Mapping[str, Usage]
    checks: Mapping[str, float] = field(default_factory=dict)


def save(snapshot: Snapshot, path: Path) -> None:
    """Writes it as JSON; no value of a row is in it.

    Raises:
        SnapshotError: The file cannot be written.
    """
    try:
        path.write_text(json.dumps({"version": VERSION, **asdict(snapshot)}, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise SnapshotError(f"{path} cannot be written ({error.strerror})") from error


def read(path: Path, guard: str) -> Snapshot:
    """What `save` wrote.

    Raises:
        SnapshotError: It cannot be read, is no snapshot, or is one of another guard.
    """
    try:
        said: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SnapshotError(f"{path} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise SnapshotError(f"{path} is no snapshot: {_MAKE}") from error
    if not isinstance(said, dict) or said.pop("version", None) != VERSION:
        raise SnapshotError(f"{path} is no snapshot of version {VERSION}: {_MAKE}")
    try:
        snapshot = cattrs.structure(said, Snapshot)
    except (cattrs.BaseValidationError, KeyError, TypeError, ValueError) as error:
        raise SnapshotError(f"{path} is no snapshot: {_MAKE}") from error
    if snapshot.guard != guard:
        raise SnapshotError(f"{path} is a snapshot of guard {snapshot.guard}, not of {guard}")
    return snapshot


_MAKE = "make one before the migration by `watchdog validate --guard … --save FILE`"
