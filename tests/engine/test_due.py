from dataclasses import replace

import pytest

from tests.engine.climb import SETTINGS, Climb, judged, ladder, rung, with_rung
from watchdog.engine.due import PATIENCE, due, ended_badly, next_step, wake_at
from watchdog.model import inputs
from watchdog.model.commands import Cancel, Execute, Reconcile, Send, Verify
from watchdog.model.communication import Plan
from watchdog.model.guards import Run, RunPhase, StepState
from watchdog.model.playbooks import Autonomy, Playbook
from watchdog.model.rules import RungKind
from watchdog.model.time import HOUR, MINUTE, SECOND
from watchdog.model.verdicts import Recovery

QUIET = replace(SETTINGS, plan=Plan())
STEP = "shop-1-run/flag/flag off"


@pytest.fixture
def climb() -> Climb:
    made = Climb(QUIET)
    made.breached()
    return made


def begun(climb: Climb) -> Climb:
    climb.say(inputs.BeginStep(STEP))
    return climb


def test_of_an_idle_guard_nothing_is_due() -> None:
    idle = Climb(QUIET)
    assert due(idle.guard, idle.now) == frozenset()
    assert wake_at(idle.guard, idle.now) is None
    idle.start()
    assert due(idle.guard, idle.now) == frozenset()


def test_the_first_step_is_executed(climb: Climb) -> None:
    assert isinstance(climb.next_command(), Execute)
    assert isinstance(begun(climb).next_command(), Execute)


def test_a_step_is_cancelled_at_its_timeout_and_not_before(climb: Climb) -> None:
    begun(climb)
    assert wake_at(climb.guard, climb.now) == climb.now + 20 * SECOND
    climb.now += 20 * SECOND - 1
    assert isinstance(climb.next_command(), Execute)
    climb.now += 1
    assert isinstance(climb.next_command(), Cancel)


def test_a_step_of_an_earlier_epoch_is_verified_even_under_a_brake(climb: Climb) -> None:
    begun(climb)
    climb.crash()
    climb.say(inputs.Freeze("ann", "drill"))
    command = climb.next_command()
    assert isinstance(command, Verify)
    assert command.epoch == climb.epoch
    climb.say(inputs.StepNotApplied(STEP))
    assert climb.next_command() is None
    climb.say(inputs.Unfreeze("ann"))
    assert isinstance(climb.next_command(), Execute)


def test_while_recovery_is_judged_nothing_is_due(climb: Climb) -> None:
    climb.steps()
    assert climb.next_command() is None


def test_notices_are_sent_when_they_are_due_and_reconciled_after_a_crash() -> None:
    climb = Climb()
    climb.breached()
    said = {one for one in due(climb.guard, climb.now) if isinstance(one, Send)}
    names = {one.notice.topic: name for name, one in climb.guard.notices.items() if one.outcome is None}
    assert Send(names["detected"]) in said
    assert Send(names["stakeholders"]) not in said
    climb.say(inputs.BeginNotice(names["detected"], "text"))
    assert Send(names["detected"]) in due(climb.guard, climb.now)
    climb.crash()
    assert Reconcile(names["detected"]) in due(climb.guard, climb.now)
    assert wake_at(climb.guard, climb.now) == climb.incident.opened_at + 5 * MINUTE
    later = climb.now + 2 * HOUR
    assert not any(one.notice == names["status page"] for one in due(climb.guard, later) if isinstance(one, Send))


def test_it_wakes_for_the_end_of_the_bake() -> None:
    climb = Climb(QUIET)
    climb.start()
    assert wake_at(climb.guard, climb.now) == climb.now + QUIET.bake
    climb.wait(QUIET.bake)
    assert wake_at(climb.guard, climb.now) is None


def test_it_wakes_for_the_end_of_a_hold(climb: Climb) -> None:
    climb.say(inputs.SetHold("ann", "wait", MINUTE))
    assert wake_at(climb.guard, climb.now) == climb.now + MINUTE
    climb.say(inputs.SetHold("ann", "wait"))
    assert wake_at(climb.guard, climb.now) == climb.now + QUIET.bake


def test_it_wakes_for_an_unanswered_proposal_once() -> None:
    asking = with_rung(ladder(), rung(RungKind.FLAG, "flag off", autonomy=Autonomy.PROPOSE))
    climb = Climb(replace(QUIET, playbook=asking))
    climb.breached()
    assert wake_at(climb.guard, climb.now) == climb.now + 5 * MINUTE
    climb.wait(5 * MINUTE)
    assert wake_at(climb.guard, climb.now) == climb.now + QUIET.bake - 5 * MINUTE


def test_it_wakes_for_a_recovery_that_stays_undecided(climb: Climb) -> None:
    climb.steps()
    undecided = climb.now + SECOND + 30 * SECOND
    assert wake_at(climb.guard, climb.now) == undecided
    assert wake_at(climb.guard, undecided) == undecided + PATIENCE


def test_it_wakes_to_resolve_what_stays_well(climb: Climb) -> None:
    climb.after_flag_recovers()
    assert wake_at(climb.guard, climb.now) == climb.now + QUIET.resolve_after
    climb.say(inputs.Resolve("ann"))
    assert wake_at(climb.guard, climb.now) == climb.release.bake_until


def test_under_a_brake_from_the_beginning_there_is_no_run_to_wake_for() -> None:
    climb = Climb(QUIET)
    climb.say(inputs.Freeze("ann", "drill"))
    climb.breached()
    assert due(climb.guard, climb.now) == frozenset()
    assert wake_at(climb.guard, climb.now) == climb.release.bake_until


def test_a_climb_that_has_left_its_ladder_has_no_step() -> None:
    run = Run("run", Playbook("p", "h", ()), 0, position=0, phase=RunPhase.ACTING)
    assert next_step(run) is None
    assert ended_badly(run) is None


def test_after_a_failed_step_no_other_is_next(climb: Climb) -> None:
    run = begun(climb).run
    failed = replace(run, steps={STEP: replace(run.steps[STEP], state=StepState.FAILED)})
    assert next_step(failed) is None
    assert ended_badly(failed) == failed.steps[STEP]
    guard = replace(climb.guard, incident=replace(climb.incident, run=failed))
    assert due(guard, climb.now) == frozenset()


def test_an_ended_climb_leaves_nothing_due(climb: Climb) -> None:
    for _ in range(2):
        climb.after(Recovery.STILL_BROKEN)
    climb.say(inputs.Deny("ann"))
    climb.say(judged(Recovery.STILL_BROKEN))
    assert climb.phase() is RunPhase.ENDED
    assert climb.next_command() is None
