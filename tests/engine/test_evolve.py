from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.climb import SETTINGS, T0, Climb, breach, evidence, judged
from watchdog.engine.evolve import KEPT_INCIDENTS, evolve, fold, incident_of, sent, unsettled
from watchdog.engine.evolve_run import evolve_run
from watchdog.model import events as ev
from watchdog.model import inputs
from watchdog.model.communication import Audience, Notice, NoticeOutcome
from watchdog.model.guards import Guard, RunOutcome
from watchdog.model.playbooks import Playbook
from watchdog.model.releases import ReleaseState
from watchdog.model.rules import RungKind
from watchdog.model.time import MINUTE, SECOND
from watchdog.model.verdicts import Basis, Recovery

EVENTS: tuple[type[ev.Event], ...] = get_args(ev.Event)


def notice(name: str, due_at: int = T0) -> Notice:
    return Notice(name, "shop-1", "step", Audience.RESPONDERS, "incidents", due_at, text="x")


def opened(name: str = "shop-1") -> ev.IncidentOpened:
    return ev.IncidentOpened(name, T0, ("errors",), (evidence("errors"),), Basis.CONFIDENT, RungKind.FLAG)


def busy() -> Guard:
    """A guard in the middle of everything."""
    climb = Climb()
    climb.breached()
    climb.say(judged(errors=breach(), orphans=breach("orphans", Basis.LITERAL)))
    climb.steps()
    return climb.guard


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_any_event_in_any_state_gives_a_state(kind: type[ev.Event], data: st.DataObject) -> None:
    event: ev.Event = data.draw(st.from_type(kind))
    for guard in (Guard(SETTINGS), busy()):
        after = evolve(guard, event, T0)
        assert after.settings is guard.settings


@pytest.mark.parametrize(
    "event",
    [
        ev.Armed(T0),
        ev.BakeEnded(),
        ev.RuleArmed("errors"),
        ev.Resolved("ann"),
        ev.HoldSet("ann", "wait"),
        ev.RungFinished(RungKind.FLAG, T0),
        ev.NoticeSettled("shop#1", NoticeOutcome.SENT),
        ev.ClockStepped(SECOND),
        ev.PendingShifted(SECOND),
    ],
)
def test_what_does_not_fit_an_empty_guard_changes_nothing(event: ev.Event) -> None:
    assert evolve(Guard(SETTINGS), event, T0) == Guard(SETTINGS)


@pytest.mark.parametrize(
    "event", [ev.RungFinished(RungKind.FLAG, T0), ev.StepIntended("s", 1), ev.RunEnded(RunOutcome.ABORTED)]
)
def test_what_needs_a_run_changes_nothing_without_one(event: ev.Event) -> None:
    guard = evolve(Guard(SETTINGS), opened(), T0)
    assert evolve(guard, event, T0) == guard


def test_a_step_that_nobody_began_does_not_end() -> None:
    guard = evolve(Guard(SETTINGS), opened(), T0)
    guard = evolve(guard, ev.RunStarted("run", SETTINGS.playbook, "hash"), T0)
    assert evolve(guard, ev.StepSucceeded("run/flag/flag off"), T0) == guard


def test_a_judgement_of_a_rung_that_nobody_entered_is_kept_all_the_same() -> None:
    guard = evolve(Guard(SETTINGS), opened(), T0)
    guard = evolve(guard, ev.RunStarted("run", Playbook("p", "h", ()), "h"), T0)
    guard = evolve(guard, ev.RungJudged(RungKind.FLAG, Recovery.UNDECIDED), T0)
    assert guard.incident is not None
    assert guard.incident.run is not None
    assert guard.incident.run.rungs[0].outcome == Recovery.UNDECIDED
    assert guard.incident.run.rung is None


def test_an_event_of_a_run_without_an_incident_changes_nothing() -> None:
    assert evolve(Guard(SETTINGS), ev.RungEntered(RungKind.DATA, 3, SECOND), T0) == Guard(SETTINGS)


def test_a_data_rung_without_a_release_is_no_rollback_of_one() -> None:
    guard = evolve(Guard(SETTINGS), opened(), T0)
    guard = evolve(guard, ev.RunStarted("run", SETTINGS.playbook, "hash"), T0)
    guard = evolve(guard, ev.RungEntered(RungKind.DATA, 3, SECOND), T0)
    assert guard.incident is not None
    assert guard.incident.data_touched
    assert guard.release is None


def test_a_new_incident_forgets_notices_that_are_settled_and_keeps_what_is_owed() -> None:
    guard = evolve(Guard(SETTINGS), ev.NoticeOwed(notice("shop#1")), T0)
    guard = evolve(guard, ev.NoticeOwed(notice("shop#2")), T0)
    guard = evolve(guard, ev.NoticeSettled("shop#1", NoticeOutcome.SENT), T0)
    assert [one.notice.id for one in sent(guard)] == ["shop#1"]
    guard = evolve(guard, opened(), T0)
    assert list(guard.notices) == ["shop#2"]
    assert guard.owed == 2


def test_notices_that_are_owed_come_by_their_time() -> None:
    guard = Guard(SETTINGS)
    for name, due_at in [("shop#1", T0 + MINUTE), ("shop#2", T0), ("shop#3", T0)]:
        guard = evolve(guard, ev.NoticeOwed(notice(name, due_at)), T0)
    guard = evolve(guard, ev.NoticeSettled("shop#3", NoticeOutcome.SKIPPED), T0)
    assert [one.notice.id for one in unsettled(guard)] == ["shop#2", "shop#1"]


def test_a_notice_has_one_outcome() -> None:
    guard = evolve(Guard(SETTINGS), ev.NoticeOwed(notice("shop#1")), T0)
    guard = evolve(guard, ev.NoticeSettled("shop#1", NoticeOutcome.SENT), T0)
    assert evolve(guard, ev.NoticeSettled("shop#1", NoticeOutcome.FAILED), T0) == guard
    assert evolve(guard, ev.NoticeIntended("shop#1", "x", 1), T0) == guard


def test_an_acknowledgement_is_not_taken_over() -> None:
    guard = evolve(evolve(Guard(SETTINGS), opened(), T0), ev.Acknowledged("ann"), T0)
    assert evolve(guard, ev.Acknowledged("ben"), T0 + 1) == guard


def test_incidents_that_are_over_are_found_by_name_and_only_some_are_kept() -> None:
    guard = Guard(SETTINGS)
    for number in range(KEPT_INCIDENTS + 5):
        guard = evolve(guard, opened(f"shop-{number}"), T0)
        guard = evolve(guard, ev.Resolved("ann"), T0 + number)
    assert len(guard.closed) == KEPT_INCIDENTS
    assert guard.incidents == KEPT_INCIDENTS + 5
    assert incident_of(guard, "shop-54") is guard.incident
    assert incident_of(guard, "shop-53") is guard.closed[-2]
    assert incident_of(guard, "shop-1") is None
    assert evolve(guard, ev.Resolved("ben"), T0 + MINUTE) == guard


def test_the_floor_of_judging_never_goes_back() -> None:
    climb = Climb()
    climb.breached()
    climb.now += MINUTE
    climb.after_flag_recovers()
    recovered = climb.guard.well_since
    assert recovered == climb.incident.recovered_at
    climb.now += MINUTE
    climb.say(inputs.Resolve("ann"))
    assert climb.guard.well_since == recovered


def test_a_hold_released_twice_and_an_unarmed_rule_end_in_the_same_state() -> None:
    climb = Climb()
    climb.breached()
    climb.say(inputs.SetHold("ann", "wait"))
    released = evolve(climb.guard, ev.HoldReleased("ann"), climb.now)
    assert evolve(released, ev.HoldReleased("ann"), climb.now) == released


def test_a_release_that_settles_keeps_its_record() -> None:
    climb = Climb()
    climb.start()
    guard = climb.guard
    steps: list[tuple[ev.Event, ReleaseState]] = [
        (ev.BakeEnded(), ReleaseState.REVERSIBLE),
        (ev.Settled("ann"), ReleaseState.SETTLED),
    ]
    for event, state in steps:
        guard = evolve(guard, event, climb.now)
        assert guard.release is not None
        assert guard.release.state == state


def test_a_stream_folds_to_the_state_that_made_it() -> None:
    climb = Climb()
    climb.breached()
    climb.steps()
    assert fold(Guard(SETTINGS), climb.stored) == climb.guard


def test_an_event_that_is_not_of_a_run_changes_no_run() -> None:
    incident = busy().incident
    assert incident is not None
    assert evolve_run(incident, ev.ClockStepped(SECOND), T0) == incident
