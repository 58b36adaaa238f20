"""Events: what happened. A guard's stream of them is the only source of truth."""

from dataclasses import dataclass
from typing import TypeAlias

from watchdog.model.communication import Notice, NoticeOutcome
from watchdog.model.guards import Baseline, RunOutcome
from watchdog.model.playbooks import Playbook
from watchdog.model.releases import Release
from watchdog.model.rules import RungKind
from watchdog.model.time import Span, Time
from watchdog.model.verdicts import Basis, Evidence, Recheck, Recovery


@dataclass(frozen=True, slots=True)
class EpochClaimed:
    """A process took over; every earlier holder is fenced out."""

    epoch: int
    holder: str


@dataclass(frozen=True, slots=True)
class ReleaseStarted:
    """T-0: the first change is about to begin."""

    release: Release


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
class PendingShifted:
    """Nobody looked for a while: that time does not count as held."""

    by: Span


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
class Acknowledged:
    """A person has it."""

    who: str
    via: str = ""


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
class Frozen:
    """Nothing acts until a person thaws it."""

    who: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unfrozen:
    """Acting is allowed again."""

    who: str


@dataclass(frozen=True, slots=True)
class NoticeOwed:
    """Somebody must be told."""

    notice: Notice


@dataclass(frozen=True, slots=True)
class NoticeIntended:
    """It is about to be sent, with this text; from here on it may have been."""

    notice: str
    text: str
    epoch: int


@dataclass(frozen=True, slots=True)
class NoticeSettled:
    """The obligation's one outcome."""

    notice: str
    outcome: NoticeOutcome
    late_by: Span = 0
    detail: str = ""
    receipt: str = ""


@dataclass(frozen=True, slots=True)
class Resolved:
    """The incident is over."""

    who: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ClockStepped:
    """The wall clock jumped."""

    by: Span


Event: TypeAlias = (
    EpochClaimed
    | ReleaseStarted
    | BaselineFrozen
    | BaselineRefused
    | RuleUnarmed
    | RuleArmed
    | Armed
    | BakeEnded
    | Settled
    | Disarmed
    | PendingBegan
    | PendingEnded
    | PendingShifted
    | IncidentOpened
    | RuleJoined
    | TriggerJoined
    | ProofFound
    | Acknowledged
    | RunStarted
    | RungEntered
    | RungSkipped
    | RungObserved
    | RungProposed
    | ProposalEscalated
    | Approved
    | Denied
    | StepIntended
    | StepSucceeded
    | StepReset
    | StepFailed
    | StepUnknown
    | CompensationBegan
    | RungFinished
    | RungJudged
    | RunEnded
    | HoldSet
    | HoldReleased
    | Frozen
    | Unfrozen
    | NoticeOwed
    | NoticeIntended
    | NoticeSettled
    | Resolved
    | ClockStepped
)


@dataclass(frozen=True, slots=True)
class Stored:
    """An event in its stream.

    Attributes:
        stream: The guard's name.
        seq: From 1, without gaps.
        epoch: Of the writer.
        version: Of the body's format.
    """

    stream: str
    seq: int
    at: Time
    epoch: int
    version: int
    body: Event
