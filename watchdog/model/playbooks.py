"""Playbooks: a ladder of rungs, each of ordered steps and a recovery check."""

from dataclasses import dataclass
from enum import StrEnum

from watchdog.model.rules import RungKind
from watchdog.model.time import MINUTE, SECOND, Span


class Autonomy(StrEnum):
    """What a rung may do by itself."""

    OBSERVE = "observe"
    PROPOSE = "propose"
    ACT = "act"


class Overrun(StrEnum):
    """What happens to a rung that no longer fits the budget."""

    GO = "go"
    SKIP = "skip"
    PAGE = "page"


class OnFailure(StrEnum):
    """What happens when a step of a rung fails."""

    CLIMB = "climb"
    STOP = "stop"


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        name: Unique within its rung.
        kind: A registered kind of action.
        target: The role of the target it acts on; empty for none.
        options: The kind's options as canonical JSON, files already read in, so that a run keeps its version.
        timeout: After this it is cancelled and verified.
        transactional: Whether effect and receipt share one transaction.
        only_after: Of a step that compensates: it is done only when this step of the rung took effect.
        unless_after: Of a step that compensates: it is left out when this step of the rung took effect.
    """

    name: str
    kind: str
    target: str = ""
    options: str = "{}"
    timeout: Span = 60 * SECOND
    transactional: bool = False
    only_after: str = ""
    unless_after: str = ""


@dataclass(frozen=True)
class Rung:
    """One rung of the ladder.

    Attributes:
        predicted: How long its steps are expected to take.
        undecided_after: How long recovery may stay undecided before it counts as not recovered.
        settle: How long after the last step samples are still ignored.
        on_overrun: What happens when it no longer fits the budget; by default data waits for a person, and any other
            rung is skipped for a stronger one.
        propose_deadline: When an unanswered proposal escalates; it never acts.
        compensate: Steps that leave a tolerable state when the rung stops half way.
    """

    kind: RungKind
    steps: tuple[Step, ...]
    autonomy: Autonomy = Autonomy.OBSERVE
    predicted: Span = 10 * SECOND
    undecided_after: Span = 30 * SECOND
    settle: Span = SECOND
    on_overrun: Overrun | None = None
    on_failure: OnFailure = OnFailure.CLIMB
    propose_deadline: Span = 5 * MINUTE
    compensate: tuple[Step, ...] = ()

    @property
    def overrun(self) -> Overrun:
        """What happens when it no longer fits the budget."""
        return self.on_overrun or (Overrun.PAGE if self.kind is RungKind.DATA else Overrun.SKIP)


@dataclass(frozen=True)
class Playbook:
    """A ladder with the hash of everything it was read from."""

    name: str
    hash: str
    rungs: tuple[Rung, ...]
    budget: Span = 5 * MINUTE

    def index_of(self, kind: RungKind) -> int:
        """Position of the first rung that is at least as strong; the number of rungs if there is none."""
        order = list(RungKind)
        for position, rung in enumerate(self.rungs):
            if order.index(rung.kind) >= order.index(kind):
                return position
        return len(self.rungs)
