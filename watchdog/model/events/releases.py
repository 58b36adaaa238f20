"""Events of a release: from T-0 until it is settled."""

from dataclasses import dataclass

from watchdog.model.guards import Baseline
from watchdog.model.releases import Release
from watchdog.model.time import Time
from watchdog.model.verdicts import Evidence


@dataclass(frozen=True, slots=True)
class ReleaseStarted:
    """T-0: the first change is about to begin.

    Attributes:
        since: T-0 of a release that was only seen afterwards; None when it is the event's own time.
    """

    release: Release
    since: Time | None = None


@dataclass(frozen=True, slots=True)
class BaselineFrozen:
    """What signals looked like before T-0."""

    baseline: Baseline


@dataclass(frozen=True, slots=True)
class BaselineRefused:
    """There is no usable baseline; rules that need one answer NoData."""

    reason: str


@dataclass(frozen=True, slots=True)
class RuleUnarmed:
    """A rule was in breach before T-0: it opens nothing until it has been well once."""

    rule: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class RuleArmed:
    """A rule that was unarmed has been well."""

    rule: str


@dataclass(frozen=True, slots=True)
class Armed:
    """Every change is out; automatic reversal stays armed until `bake_until`."""

    bake_until: Time


@dataclass(frozen=True, slots=True)
class BakeEnded:
    """The release baked without harm; from here on a rollback is by hand."""


@dataclass(frozen=True, slots=True)
class Settled:
    """Archives may go."""

    who: str


@dataclass(frozen=True, slots=True)
class Disarmed:
    """The release is no longer watched."""

    who: str
    reason: str
