"""Commands: what is due now, derived from a guard's state alone, so that a crash loses none."""

from dataclasses import dataclass
from typing import TypeAlias

from watchdog.model.playbooks import Step
from watchdog.model.rules import RungKind


@dataclass(frozen=True, slots=True)
class Execute:
    """Act out a step, then report its outcome."""

    id: str
    step: Step
    rung: RungKind
    epoch: int


@dataclass(frozen=True, slots=True)
class Verify:
    """Find out whether the effect of a step that somebody began is there."""

    id: str
    step: Step
    rung: RungKind
    epoch: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """The step's deadline has passed: cancel it, verify, report."""

    id: str
    step: Step
    rung: RungKind
    epoch: int


@dataclass(frozen=True, slots=True)
class Send:
    """Say a notice."""

    notice: str


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Find out whether a notice that somebody began to send was said."""

    notice: str


Command: TypeAlias = Execute | Verify | Cancel | Send | Reconcile
