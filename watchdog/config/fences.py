"""The order in which the steps of a rung take the right to write from a service's roles and give it back."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from watchdog.config.problems import quoted
from watchdog.config.shapes import Place
from watchdog.ports.kinds import Fencing

Writer: TypeAlias = tuple[str, str]
"""A role of the guard's targets, and a login role there."""


@dataclass(frozen=True)
class FencingStep:
    """A step that fences or lifts, and the target it does so on."""

    place: Place
    target: str
    fencing: Fencing

    @property
    def writers(self) -> frozenset[Writer]:
        """Whom it concerns."""
        return frozenset((self.target, role) for role in self.fencing.roles)


def check_fences(steps: Iterable[FencingStep], compensation: Iterable[FencingStep]) -> None:
    """Reports writers who are never let in again, let in without a fence, or fenced twice.

    A rung may be the last one that is climbed, so what it fences it must lift itself. Its compensation runs in its
    place when it stops half way, and may lift what the rung has fenced.
    """
    steps = tuple(steps)
    fenced: dict[Writer, FencingStep] = {}
    ever: set[Writer] = set()
    for step in steps:
        if step.fencing.lifts:
            _check_lift(step, fenced.keys())
            for writer in step.writers:
                fenced.pop(writer, None)
        else:
            if again := step.writers & fenced.keys():
                step.place.error(f"{_names(again)} cannot write already since an earlier step", "one fence for all")
            fenced = dict.fromkeys(step.writers, step) | fenced
            ever |= step.writers
    for step in steps:
        left = {writer for writer, by in fenced.items() if by is step}
        if left:
            step.place.error(f"{_names(left)} can never write again", "a step with `do: lift` for them after it")
    for step in compensation:
        if step.fencing.lifts:
            _check_lift(step, ever)


def _check_lift(step: FencingStep, fenced: Iterable[Writer]) -> None:
    if never := step.writers - set(fenced):
        message = f"{_names(never)} was not kept from writing by a step before this one"
        step.place.at("roles").error(message, "the roles of the fence, and the lift after it")


def _names(writers: Iterable[Writer]) -> str:
    return ", ".join(quoted(role) for _, role in sorted(writers))
