"""Which steps a run works through."""

from dataclasses import replace

import pytest

from watchdog.model.guards import Run, RunPhase, StepRecord, StepState
from watchdog.model.playbooks import Playbook, Rung, Step
from watchdog.model.rules import RungKind

RUNG = Rung(
    RungKind.DATA,
    (Step("database", "migrations"), Step("graph", "graph_migrations")),
    compensate=(
        Step("lift", "fence_writers"),
        Step("new", "process", unless_after="database"),
        Step("old", "process", only_after="database"),
    ),
)
RUN = Run("run", Playbook("p", "hash", (RUNG,)), 0, 0, RunPhase.COMPENSATING)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (StepState.DONE, ["lift", "old"]),
        (StepState.FAILED, ["lift", "new"]),
        (StepState.UNKNOWN, ["lift", "new"]),
        (None, ["lift", "new"]),
    ],
)
def test_what_compensates_follows_from_what_took_effect(state: StepState | None, expected: list[str]) -> None:
    done = {} if state is None else {"run/data/database": StepRecord("run/data/database", state, 0, 1)}
    assert [step.name for step in replace(RUN, steps=done).due_steps] == expected


def test_conditions_mean_nothing_while_the_rung_acts() -> None:
    assert replace(RUN, phase=RunPhase.ACTING).due_steps == RUNG.steps
