"""Events of an incident: from the first breach to resolution."""

from dataclasses import dataclass

from watchdog.model.attribution import Attribution
from watchdog.model.rules import RungKind
from watchdog.model.time import Time
from watchdog.model.verdicts import Basis, Evidence


@dataclass(frozen=True, slots=True)
class IncidentOpened:
    """The first breach, or a person's trigger."""

    incident: str
    opened_at: Time
    rules: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    basis: Basis
    enters: RungKind
    manual: bool = False
    opened_by: str = "watchdog"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RuleJoined:
    """Another rule breached while the incident was open."""

    rule: str
    evidence: Evidence
    enters: RungKind


@dataclass(frozen=True, slots=True)
class TriggerJoined:
    """A second trigger during an open incident joins it."""

    who: str
    reason: str
    enters: RungKind


@dataclass(frozen=True, slots=True)
class ProofFound:
    """Positive evidence that the release did it."""

    kind: str
    sentence: str


@dataclass(frozen=True, slots=True)
class DoubtFound:
    """Something else happens at the same time; data waits for a person."""

    kind: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Attributed:
    """What hurts, when that is known, or is seen otherwise than before."""

    attribution: Attribution


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A person has it."""

    who: str
    via: str = ""


@dataclass(frozen=True, slots=True)
class HoldSet:
    """A person said wait."""

    who: str
    reason: str
    until: Time | None = None


@dataclass(frozen=True, slots=True)
class HoldReleased:
    """A person said go on, or the hold expired."""

    who: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """The incident is over."""

    who: str
    reason: str = ""
