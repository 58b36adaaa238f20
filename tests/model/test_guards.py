from dataclasses import replace

import pytest

from watchdog.model.guards import Guard, GuardSettings, ReleaseRecord, Run, StepRecord, StepState
from watchdog.model.playbooks import Autonomy, Playbook, Rung, Step
from watchdog.model.releases import Release, ReleaseState
from watchdog.model.rules import RungKind

DATA = Rung(RungKind.DATA, (Step("fence", "fake"), Step("undo", "fake")))
LADDER = Playbook("p", "h", (Rung(RungKind.FLAG, (Step("off", "fake"),)), DATA))


@pytest.mark.parametrize(
    ("autonomies", "strongest"),
    [
        ((), Autonomy.OBSERVE),
        ((Autonomy.OBSERVE, Autonomy.PROPOSE), Autonomy.PROPOSE),
        ((Autonomy.ACT, Autonomy.OBSERVE), Autonomy.ACT),
    ],
)
def test_a_guard_is_as_bold_as_its_boldest_rung(autonomies: tuple[Autonomy, ...], strongest: Autonomy) -> None:
    rungs = tuple(Rung(RungKind.FLAG, (), autonomy=one) for one in autonomies)
    assert Guard(GuardSettings("shop", (), (), Playbook("p", "h", rungs))).autonomy is strongest


@pytest.mark.parametrize("state", ReleaseState)
def test_a_release_is_watched_while_it_is_applied_and_bakes(state: ReleaseState) -> None:
    watched = ReleaseRecord(Release("r1", ()), state, t0=0).watched
    assert watched == (state in {ReleaseState.APPLYING, ReleaseState.BAKING})


def done(run: Run, *names: str) -> Run:
    steps = {name: StepRecord(name, StepState.DONE, 0, 1) for name in names}
    return replace(run, steps={**run.steps, **steps})


def test_data_is_rolled_back_when_every_step_of_its_rung_took_effect() -> None:
    run = Run("run", LADDER, 0, position=1)
    assert run.step_id(DATA.steps[0]) == "run/data/fence"
    assert not run.data_rolled_back
    assert not done(run, "run/flag/off", "run/data/fence").data_rolled_back
    assert done(run, "run/data/fence", "run/data/undo").data_rolled_back
    failed = StepRecord("run/data/undo", StepState.FAILED, 0, 1)
    assert not replace(done(run, "run/data/fence"), steps={"run/data/undo": failed}).data_rolled_back


def test_a_data_rung_without_steps_rolls_nothing_back() -> None:
    assert not Run("run", Playbook("p", "h", (Rung(RungKind.DATA, ()),)), 0, position=0).data_rolled_back


def test_a_run_beyond_its_ladder_has_no_rung() -> None:
    assert Run("run", LADDER, 0, position=1).rung is DATA
    assert Run("run", LADDER, 0, position=2).rung is None
