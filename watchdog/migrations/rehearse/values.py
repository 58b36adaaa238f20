"""What is rehearsed, and what comes of it."""

from dataclasses import dataclass, field
from enum import StrEnum

from watchdog.migrations.assess.locks import LockMode
from watchdog.migrations.rehearsal import RecordedWrite
from watchdog.model.releases import Certificate


class Data(StrEnum):
    """What the copy holds."""

    NONE = "none"
    SAMPLE = "sample"
    FULL = "full"


@dataclass(frozen=True)
class Statement:
    """A statement that production really runs.

    Attributes:
        name: What it is called in findings: its query id, or the place in a list.
        text: With `$1` for values.
    """

    name: str
    text: str


@dataclass(frozen=True)
class Given:
    """What is rehearsed.

    Attributes:
        down: The author's own way back.
        rows: Of each table, for a sample.
        masked: Whether text, JSON and binary values are masked on the way to the copy.
        writes: Recorded writes of the old version.
        generated: Whether rows of every table are written besides.
        statements: What the old version runs.
        statistics: Whether the statements are read from pg_stat_statements too.
    """

    script: str
    down: str | None = None
    data: Data = Data.SAMPLE
    rows: int = 1_000
    masked: bool = True
    writes: tuple[RecordedWrite, ...] = ()
    generated: bool = True
    statements: tuple[Statement, ...] = ()
    statistics: bool = False


class DownOutcome(StrEnum):
    """What became of the author's own way back."""

    PROVEN = "proven"
    LOSES = "loses data"
    OTHER_SCHEMA = "leaves another schema"
    FAILS = "fails"


@dataclass(frozen=True)
class Down:
    """The author's own way back, tried on a copy of its own; up to three findings."""

    outcome: DownOutcome
    findings: tuple[str, ...] = ()


@dataclass(frozen=True)
class HeldLock:
    """A lock that the script's transaction held on something of production, from a statement to its end.

    Attributes:
        line: Of the statement that took it, counted from 1.
        relation: `schema.name`, as it was called before.
        rows: As the planner of production estimates them; None when it never looked.
        bytes: On production's disk, with indexes.
    """

    line: int
    relation: str
    mode: LockMode
    rows: int | None
    bytes: int

    @property
    def waits(self) -> tuple[str, ...]:
        """Who waits for it: reads, writes, other DDL."""
        found = ["reads"] if self.mode is LockMode.ACCESS_EXCLUSIVE else []
        found += ["writes"] if self.mode.blocks_writes else []
        return (*found, "other DDL") if self.mode.rank >= LockMode.SHARE_UPDATE_EXCLUSIVE.rank else tuple(found)


@dataclass(frozen=True)
class Trace:
    """The locks of the script, as they were held on a copy.

    Attributes:
        untraced: Why there are none, or not all; empty when the trace is whole.
        differences: Where the assessment predicted something else, as sentences.
    """

    locks: tuple[HeldLock, ...] = ()
    untraced: str = ""
    differences: tuple[str, ...] = ()


@dataclass(frozen=True)
class Written:
    """What a live application wrote between up and down, in rows; what the schema refused is counted apart."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    refused: int = 0


@dataclass(frozen=True)
class Rehearsal:
    """What came of it.

    Attributes:
        certificate: Holds only when `restored` says so.
        loaded: Rows on the copy, by table.
        written: What was written between up and down.
        quarantined: Rows in quarantine after the rollback.
        predicted_rollback_seconds: At production's size; None when it cannot be predicted.
        old_code: Why the old code is said to work on the new schema, or not to.
        down: None when the author gave none.
    """

    certificate: Certificate
    loaded: dict[str, int]
    written: Written
    quarantined: int
    predicted_rollback_seconds: float | None
    old_code: tuple[str, ...]
    trace: Trace = field(default_factory=Trace)
    down: Down | None = None
