"""Events of a climb: rungs, steps, judgements."""

from dataclasses import dataclass

from watchdog.model.guards import RunOutcome
from watchdog.model.playbooks import Playbook
from watchdog.model.rules import RungKind
from watchdog.model.time import Span, Time
from watchdog.model.verdicts import Recheck, Recovery


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The climb begins, with the playbook as it was read: a file edited later changes nothing."""

    run: str
    playbook: Playbook
    playbook_hash: str


@dataclass(frozen=True, slots=True)
class RungEntered:
    """A rung acts."""

    rung: RungKind
    position: int
    predicted: Span
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RungSkipped:
    """A rung does not apply, and why."""

    rung: RungKind
    position: int
    reason: str


@dataclass(frozen=True, slots=True)
class RungObserved:
    """What the rung would have done."""

    rung: RungKind
    position: int
    would: str


@dataclass(frozen=True, slots=True)
class RungProposed:
    """The rung waits for a person, and why."""

    rung: RungKind
    position: int
    reason: str
    deadline: Time


@dataclass(frozen=True, slots=True)
class ProposalEscalated:
    """Nobody answered in time; it still does not act."""

    rung: RungKind


@dataclass(frozen=True, slots=True)
class Approved:
    """A person said yes."""

    rung: RungKind
    who: str


@dataclass(frozen=True, slots=True)
class Denied:
    """A person said no: the rung is passed over."""

    rung: RungKind
    who: str


@dataclass(frozen=True, slots=True)
class StepIntended:
    """A step is about to act; from here on its effect may be there."""

    step: str
    epoch: int


@dataclass(frozen=True, slots=True)
class StepSucceeded:
    """Its effect is there."""

    step: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class StepReset:
    """Verified: its effect is not there; it may be tried again."""

    step: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class StepFailed:
    """Verified: its effect is not there, and will not be tried again."""

    step: str
    error: str


@dataclass(frozen=True, slots=True)
class StepUnknown:
    """Nobody can tell whether its effect is there."""

    step: str
    error: str


@dataclass(frozen=True, slots=True)
class CompensationBegan:
    """The rung stops half way: what it declared for that case is done, then the run ends so."""

    rung: RungKind
    outcome: RunOutcome
    reason: str


@dataclass(frozen=True, slots=True)
class RungFinished:
    """All its steps are done; its recovery is judged from `since` on."""

    rung: RungKind
    since: Time


@dataclass(frozen=True, slots=True)
class RungJudged:
    """Whether the service is well since the rung."""

    rung: RungKind
    outcome: Recovery
    checks: tuple[Recheck, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The climb is over."""

    outcome: RunOutcome
    reason: str = ""
