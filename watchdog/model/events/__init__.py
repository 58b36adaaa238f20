"""Events: what happened. A guard's stream of them is the only source of truth."""

from dataclasses import dataclass
from typing import TypeAlias

from watchdog.model.events.guarding import (
    ClockStepped,
    EpochClaimed,
    Frozen,
    PendingBegan,
    PendingEased,
    PendingEnded,
    PendingResumed,
    PendingShifted,
    SightLost,
    SightMissed,
    SightRegained,
    Unfrozen,
)
from watchdog.model.events.incidents import (
    Acknowledged,
    Attributed,
    DoubtFound,
    HoldReleased,
    HoldSet,
    IncidentOpened,
    ProofFound,
    Resolved,
    RuleJoined,
    TriggerJoined,
)
from watchdog.model.events.notices import NoticeIntended, NoticeOwed, NoticeSettled
from watchdog.model.events.releases import (
    Armed,
    BakeEnded,
    BaselineFrozen,
    BaselineRefused,
    Disarmed,
    ReleaseStarted,
    RuleArmed,
    RuleUnarmed,
    Settled,
)
from watchdog.model.events.runs import (
    Approved,
    CompensationBegan,
    Denied,
    ProposalEscalated,
    RunEnded,
    RungEntered,
    RungFinished,
    RungJudged,
    RungObserved,
    RungProposed,
    RungSkipped,
    RunStarted,
    StepFailed,
    StepIntended,
    StepReset,
    StepSucceeded,
    StepUnknown,
)
from watchdog.model.time import Time

Event: TypeAlias = (
    ReleaseStarted
    | BaselineFrozen
    | BaselineRefused
    | RuleUnarmed
    | RuleArmed
    | Armed
    | BakeEnded
    | Settled
    | Disarmed
    | EpochClaimed
    | Frozen
    | Unfrozen
    | ClockStepped
    | PendingBegan
    | PendingEased
    | PendingResumed
    | PendingEnded
    | PendingShifted
    | SightLost
    | SightMissed
    | SightRegained
    | IncidentOpened
    | RuleJoined
    | TriggerJoined
    | ProofFound
    | Attributed
    | DoubtFound
    | Acknowledged
    | HoldSet
    | HoldReleased
    | Resolved
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
    | NoticeOwed
    | NoticeIntended
    | NoticeSettled
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


__all__ = [
    "Acknowledged",
    "Approved",
    "Armed",
    "Attributed",
    "BakeEnded",
    "BaselineFrozen",
    "BaselineRefused",
    "ClockStepped",
    "CompensationBegan",
    "Denied",
    "Disarmed",
    "DoubtFound",
    "EpochClaimed",
    "Event",
    "Frozen",
    "HoldReleased",
    "HoldSet",
    "IncidentOpened",
    "NoticeIntended",
    "NoticeOwed",
    "NoticeSettled",
    "PendingBegan",
    "PendingEased",
    "PendingEnded",
    "PendingResumed",
    "PendingShifted",
    "ProofFound",
    "ProposalEscalated",
    "ReleaseStarted",
    "Resolved",
    "RuleArmed",
    "RuleJoined",
    "RuleUnarmed",
    "RunEnded",
    "RunStarted",
    "RungEntered",
    "RungFinished",
    "RungJudged",
    "RungObserved",
    "RungProposed",
    "RungSkipped",
    "Settled",
    "SightLost",
    "SightMissed",
    "SightRegained",
    "StepFailed",
    "StepIntended",
    "StepReset",
    "StepSucceeded",
    "StepUnknown",
    "Stored",
    "TriggerJoined",
    "Unfrozen",
]
