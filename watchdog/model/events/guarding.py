"""Events of a guard: who holds it, whether it may act, what it sees."""

from dataclasses import dataclass

from watchdog.model.time import Span, Time
from watchdog.model.verdicts import Evidence


@dataclass(frozen=True, slots=True)
class EpochClaimed:
    """A process took over; every earlier holder is fenced out."""

    epoch: int
    holder: str


@dataclass(frozen=True, slots=True)
class Frozen:
    """Nothing acts until a person thaws it."""

    who: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unfrozen:
    """Acting is allowed again."""

    who: str


@dataclass(frozen=True, slots=True)
class ClockStepped:
    """The wall clock jumped."""

    by: Span


@dataclass(frozen=True, slots=True)
class PendingBegan:
    """A literal breach began to hold."""

    rule: str
    since: Time
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class PendingEnded:
    """It no longer holds."""

    rule: str


@dataclass(frozen=True, slots=True)
class PendingEased:
    """Its readings are fine again, for less than its `keep` so far."""

    rule: str


@dataclass(frozen=True, slots=True)
class PendingResumed:
    """It is in breach again before its `keep` was over."""

    rule: str


@dataclass(frozen=True, slots=True)
class PendingShifted:
    """Nobody looked for a while: that time does not count as held."""

    by: Span


@dataclass(frozen=True, slots=True)
class SightLost:
    """A rule has no data, and why; `at_start` when it had none at T-0 already."""

    rule: str
    reason: str
    at_start: bool = False


@dataclass(frozen=True, slots=True)
class SightMissed:
    """A rule has had no data for so long that a person must know; it never rolls anything back."""

    rule: str
    reason: str
    missing_for: Span


@dataclass(frozen=True, slots=True)
class SightRegained:
    """A rule has data again."""

    rule: str
