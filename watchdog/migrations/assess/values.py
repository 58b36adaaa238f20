"""What an assessment is made of."""

from dataclasses import dataclass
from enum import StrEnum

from watchdog.migrations.assess.locks import LockMode, Work
from watchdog.migrations.sql import Table


class Category(StrEnum):
    """What a change is a risk for."""

    SCHEMA = "schema"
    DATA = "data"
    INDEX = "index"
    RELATIONSHIP = "relationship"


class Severity(StrEnum):
    """How bad a finding is, from `info` to `critical`."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for `info` to 4 for `critical`."""
        return list(Severity).index(self)


class Undo(StrEnum):
    """Whether a statement can be taken back."""

    EXACTLY = "exactly"
    ARCHIVE = "from an archive"
    NO = "not"

    @property
    def rank(self) -> int:
        """0 when nothing is needed, 2 when there is no way back."""
        return list(Undo).index(self)


@dataclass(frozen=True)
class Lock:
    """A lock that a statement takes until its transaction ends.

    Attributes:
        relation: `schema.table`, or the index or view.
    """

    relation: str
    mode: LockMode


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing to know about one statement.

    Attributes:
        rule: Its stable name.
        line: Where the statement begins, counted from 1.
        statement: Its text.
        message: What happens, as a sentence.
        table: What it happens to; None when it is no table.
        locks: What the statement locks.
        work: Whether it reads or rewrites the whole table.
        seconds: How long that work is estimated to take on the real size; None when the size is not known.
        destroys: What is gone afterwards; empty when nothing is.
        safe: The statement's safe form as SQL; empty when there is none, or when it is safe.
    """

    rule: str
    line: int
    statement: str
    category: Category
    severity: Severity
    message: str
    table: Table | None = None
    locks: tuple[Lock, ...] = ()
    work: Work = Work.NONE
    seconds: float | None = 0.0
    destroys: str = ""
    undo: Undo = Undo.EXACTLY
    safe: str = ""


@dataclass(frozen=True)
class Assessment:
    """What a script does.

    Attributes:
        measured: Whether sizes and the catalog came from a database.
    """

    findings: tuple[Finding, ...]
    statements: int
    measured: bool

    @property
    def grade(self) -> Severity:
        """The severity of the worst finding."""
        return worst(self.findings)

    def of(self, category: Category) -> tuple[Finding, ...]:
        """The findings of one category."""
        return tuple(each for each in self.findings if each.category == category)

    @property
    def undo(self) -> Undo:
        """What it takes to undo the whole script."""
        return max((each.undo for each in self.findings), key=lambda undo: undo.rank, default=Undo.EXACTLY)


def worst(findings: tuple[Finding, ...]) -> Severity:
    """The highest severity; `info` when there is none."""
    return max((each.severity for each in findings), key=lambda severity: severity.rank, default=Severity.INFO)
