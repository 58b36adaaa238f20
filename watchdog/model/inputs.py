"""Inputs: what reaches a guard's actor. Each is decided on by itself, in the order of arrival."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from watchdog.model.attribution import Attribution
from watchdog.model.communication import NoticeOutcome
from watchdog.model.guards import Baseline
from watchdog.model.releases import Release
from watchdog.model.rules import RungKind
from watchdog.model.time import Span, Time
from watchdog.model.verdicts import Recheck, Verdict


@dataclass(frozen=True, slots=True)
class Claim:
    """This process holds the guard now."""

    epoch: int
    holder: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: deadlines, dues and expiries are looked at."""


@dataclass(frozen=True)
class Judged:
    """One evaluation of every rule.

    Attributes:
        rechecks: Rules of the open incident judged since its last rung.
        proof: Positive evidence by kind, one sentence each.
        attribution: What hurts, as far as the signals tell now.
        doubts: What happens at the same time and may be the cause instead, by kind, one sentence each.
    """

    verdicts: Mapping[str, Verdict]
    rechecks: tuple[Recheck, ...] = ()
    proof: Mapping[str, str] = field(default_factory=dict)
    attribution: Attribution | None = None
    doubts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gap:
    """Nobody looked for this long (a restart, a stopped machine)."""

    by: Span


@dataclass(frozen=True, slots=True)
class ClockStep:
    """The wall clock jumped by this much against the steady one."""

    by: Span


@dataclass(frozen=True)
class StartRelease:
    """The first change is about to begin.

    Attributes:
        since: T-0, if the first change has begun already; baseline and verdicts are those of then.
    """

    release: Release
    baseline: Baseline | None
    refusal: str = ""
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    since: Time | None = None


@dataclass(frozen=True, slots=True)
class Arm:
    """Every change is out."""

    who: str


@dataclass(frozen=True, slots=True)
class Settle:
    """Archives may go."""

    who: str


@dataclass(frozen=True, slots=True)
class Disarm:
    """Watch this release no longer."""

    who: str
    reason: str


@dataclass(frozen=True, slots=True)
class Trigger:
    """A person starts the ladder."""

    who: str
    reason: str
    rung: RungKind | None = None


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """A person has it."""

    who: str
    via: str = ""
    incident: str = ""


@dataclass(frozen=True, slots=True)
class Approve:
    """A person says yes to what is proposed; naming the rung guards against an answer that comes too late."""

    who: str
    incident: str = ""
    rung: RungKind | None = None


@dataclass(frozen=True, slots=True)
class Deny:
    """A person says no to what is proposed; naming the rung guards against an answer that comes too late."""

    who: str
    incident: str = ""
    rung: RungKind | None = None


@dataclass(frozen=True, slots=True)
class SetHold:
    """Begin nothing new."""

    who: str
    reason: str
    length: Span | None = None
    incident: str = ""


@dataclass(frozen=True, slots=True)
class ReleaseHold:
    """Go on."""

    who: str
    incident: str = ""


@dataclass(frozen=True, slots=True)
class Abort:
    """End the climb where it stands."""

    who: str
    reason: str


@dataclass(frozen=True, slots=True)
class Resolve:
    """The incident is over."""

    who: str
    reason: str = ""
    incident: str = ""


@dataclass(frozen=True, slots=True)
class Freeze:
    """Act on nothing."""

    who: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unfreeze:
    """Acting is allowed again."""

    who: str


@dataclass(frozen=True, slots=True)
class BeginStep:
    """The executor is about to act."""

    step: str


@dataclass(frozen=True, slots=True)
class StepDone:
    """The effect is there."""

    step: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class StepNotApplied:
    """Verified: the effect is not there. `error` says why it will not be tried again; empty means it may be."""

    step: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class StepCannotTell:
    """Neither."""

    step: str
    error: str


@dataclass(frozen=True, slots=True)
class BeginNotice:
    """The sender is about to send this text."""

    notice: str
    text: str


@dataclass(frozen=True, slots=True)
class NoticeDone:
    """How it ended."""

    notice: str
    outcome: NoticeOutcome
    detail: str = ""
    receipt: str = ""


Input: TypeAlias = (
    Claim
    | Tick
    | Judged
    | Gap
    | ClockStep
    | StartRelease
    | Arm
    | Settle
    | Disarm
    | Trigger
    | Acknowledge
    | Approve
    | Deny
    | SetHold
    | ReleaseHold
    | Abort
    | Resolve
    | Freeze
    | Unfreeze
    | BeginStep
    | StepDone
    | StepNotApplied
    | StepCannotTell
    | BeginNotice
    | NoticeDone
)
