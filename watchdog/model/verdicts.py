"""What a rule answers: never a bare bool."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from watchdog.model.signals import Cause
from watchdog.model.time import Time


class Basis(StrEnum):
    """What a breach rests on: the rule as written, or the test."""

    LITERAL = "literal"
    CONFIDENT = "confident"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a verdict is what it is, with every number a person needs to compute it again.

    Attributes:
        sentence: One plain sentence.
        numbers: Named figures: counts, windows in seconds, bounds, thresholds.
    """

    rule: str
    at: Time
    sentence: str
    basis: Basis
    numbers: tuple[tuple[str, float], ...] = ()

    def number(self, name: str) -> float | None:
        """The figure of this name, if there is one."""
        return dict(self.numbers).get(name)


@dataclass(frozen=True, slots=True)
class Ok:
    """The condition does not hold.

    Attributes:
        near: It is not well enough either to say that it is over, as the rule's `clear` has it.
    """

    evidence: Evidence
    near: bool = False


@dataclass(frozen=True, slots=True)
class Breach:
    """The condition holds. A confident breach acts at once, a literal one after the rule's hold."""

    evidence: Evidence


@dataclass(frozen=True, slots=True)
class NoData:
    """Neither good nor bad news."""

    cause: Cause
    detail: str


@dataclass(frozen=True, slots=True)
class ProbeFailed:
    """The probe itself is broken: its answer is not about the service."""

    error: str


Verdict: TypeAlias = Ok | Breach | NoData | ProbeFailed


class Recovery(StrEnum):
    """A rule judged again after a rung, on samples since the rung only."""

    RECOVERED = "recovered"
    STILL_BROKEN = "still broken"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Recheck:
    """A two-sided judgement with its sentence."""

    rule: str
    outcome: Recovery
    sentence: str
