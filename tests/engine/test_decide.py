from dataclasses import replace

import pytest

from tests.engine.climb import (
    ERRORS,
    NO_DATA,
    ORPHANS,
    PROBE_FAILED,
    SCHEMA,
    SETTINGS,
    T0,
    Climb,
    breach,
    evidence,
    judged,
    ok,
)
from watchdog.engine import decide as decide_module
from watchdog.engine.decide import decide
from watchdog.model import events as ev
from watchdog.model import inputs
from watchdog.model.communication import NoticeOutcome, Plan
from watchdog.model.guards import RunPhase
from watchdog.model.rules import GaugeRule, RungKind
from watchdog.model.signals import Cause, Selector
from watchdog.model.time import MINUTE, SECOND
from watchdog.model.verdicts import Basis, NoData, Ok, Verdict

LITERAL = breach(basis=Basis.LITERAL)


@pytest.fixture
def climb() -> Climb:
    return Climb()


class TestBreach:
    def test_without_a_release_it_opens_nothing(self, climb: Climb) -> None:
        assert climb.say(judged(errors=breach())) == ()

    def test_a_confident_one_opens_an_incident_at_once(self, climb: Climb) -> None:
        climb.start()
        climb.say(judged(errors=breach(), proof=SCHEMA))
        assert climb.incident.id == "shop-1"
        assert climb.incident.opened_at == climb.now
        assert climb.incident.rules == ("errors",)
        assert climb.incident.basis is Basis.CONFIDENT
        assert climb.incident.enters is RungKind.FLAG
        assert climb.incident.proof == SCHEMA

    def test_a_literal_one_has_to_hold(self, climb: Climb) -> None:
        climb.start()
        climb.say(judged(errors=LITERAL))
        assert climb.guard.pending["errors"].since == climb.now
        climb.now += ERRORS.hold - 1
        climb.say(judged(errors=LITERAL))
        assert climb.guard.incident is None
        climb.now += 1
        climb.say(judged(errors=LITERAL))
        assert climb.incident.basis is Basis.LITERAL

    def test_a_total_outage_read_as_written_needs_three_hundred_seconds(self, climb: Climb) -> None:
        climb.start()
        seconds = 0
        while climb.guard.incident is None:
            climb.say(judged(errors=LITERAL))
            climb.now += 5 * SECOND
            seconds += 5
        assert seconds - 5 == 300

    def test_one_that_goes_away_begins_anew(self, climb: Climb) -> None:
        climb.start()
        climb.say(judged(errors=LITERAL))
        climb.now += 4 * MINUTE
        climb.say(judged(errors=ok()))
        assert climb.guard.pending == {}
        climb.now += 2 * MINUTE
        climb.say(judged(errors=LITERAL))
        assert climb.guard.incident is None

    def test_two_breaches_with_no_traffic_between_them_are_not_one_long_one(self, climb: Climb) -> None:
        climb.start()
        climb.say(judged(errors=LITERAL))
        climb.say(judged(errors=NO_DATA))
        assert climb.guard.pending == {}

    @pytest.mark.parametrize("verdict", [NoData(Cause.UNREACHABLE, "it does not answer"), PROBE_FAILED])
    def test_no_data_neither_begins_nor_ends_it_nor_acts(self, climb: Climb, verdict: Verdict) -> None:
        climb.start()
        climb.say(judged(errors=verdict))
        assert climb.guard.pending == {}
        climb.say(judged(errors=LITERAL))
        climb.now += ERRORS.hold
        climb.say(judged(errors=verdict))
        assert "errors" in climb.guard.pending
        assert climb.guard.incident is None

    @pytest.mark.parametrize("verdict", [NO_DATA, PROBE_FAILED])
    def test_no_data_that_lasts_pages_once_and_rolls_nothing_back(self, climb: Climb, verdict: Verdict) -> None:
        climb.start()
        climb.say(judged(errors=verdict))
        climb.now += climb.guard.settings.blind_after - 1
        assert climb.say(judged(errors=verdict)) == ()
        climb.now += 1
        told = [event for event in climb.say(judged(errors=verdict)) if isinstance(event, ev.SightMissed)]
        assert [event.rule for event in told] == ["errors"]
        climb.now += MINUTE
        assert climb.say(judged(errors=verdict)) == ()
        assert climb.guard.incident is None
        climb.say(judged(errors=ok()))
        assert climb.guard.blind == {}

    def test_time_that_nobody_watched_is_not_time_without_data(self) -> None:
        climb = Climb(replace(SETTINGS, bake=60 * MINUTE))
        climb.start()
        climb.say(judged(errors=NO_DATA))
        climb.now += climb.guard.settings.blind_after
        climb.crash()
        assert climb.events(ev.SightMissed) == []
        climb.now += climb.guard.settings.blind_after
        climb.say(inputs.Gap(SECOND))
        assert climb.events(ev.SightMissed) == []
        climb.now += SECOND
        assert climb.say(judged(errors=NO_DATA))
        assert [event.rule for event in climb.events(ev.SightMissed)] == ["errors"]
        assert climb.say(inputs.Gap(MINUTE)) == ()

    def test_time_that_nobody_watched_does_not_count_as_held(self, climb: Climb) -> None:
        climb.start()
        climb.say(judged(errors=LITERAL))
        climb.now += ERRORS.hold
        climb.say(inputs.Gap(ERRORS.hold - 5 * SECOND))
        climb.say(judged(errors=LITERAL))
        assert climb.guard.incident is None
        assert climb.guard.pending["errors"].since == climb.now - 5 * SECOND
        climb.say(inputs.Gap(10 * MINUTE))
        assert climb.guard.pending["errors"].since == climb.now

    def test_a_gap_without_anything_open_is_nothing(self, climb: Climb) -> None:
        climb.start()
        assert climb.say(inputs.Gap(MINUTE)) == ()

    def test_a_rule_without_hold_acts_on_a_literal_one_at_once(self) -> None:
        locks = GaugeRule(name="locks", of=Selector("locks"), above=0)
        climb = Climb(replace(SETTINGS, rules=(locks,)))
        climb.start()
        climb.say(judged(locks=breach("locks", Basis.LITERAL)))
        assert climb.incident.rules == ("locks",)
        assert climb.guard.pending == {}

    def test_several_together_open_one_incident_at_the_highest_rung(self, climb: Climb) -> None:
        climb.start()
        climb.say(judged(errors=breach(), orphans=breach("orphans")))
        assert climb.incident.rules == ("errors", "orphans")
        assert climb.incident.enters is RungKind.DATA

    def test_a_further_one_joins_once(self, climb: Climb) -> None:
        climb.breached()
        joined = climb.say(judged(errors=breach(), orphans=breach("orphans")))
        assert ev.RuleJoined("orphans", evidence("orphans"), RungKind.DATA) in joined
        assert climb.incident.enters is RungKind.DATA
        assert climb.say(judged(errors=breach(), orphans=breach("orphans"))) == ()

    def test_a_firmer_basis_of_a_known_rule_is_recorded_once(self, climb: Climb) -> None:
        climb.start()
        climb.say(judged(errors=LITERAL))
        climb.now += ERRORS.hold
        climb.say(judged(errors=LITERAL))
        climb.say(inputs.Trigger("ann", "it hurts"))
        climb.say(judged(errors=breach()))
        assert climb.incident.basis is Basis.CONFIDENT
        assert climb.incident.rules == ("errors",)
        assert climb.say(judged(errors=breach())) == ()

    def test_new_proof_is_recorded_once(self, climb: Climb) -> None:
        climb.breached()
        climb.say(judged(errors=breach(), proof=SCHEMA))
        assert climb.incident.proof == SCHEMA
        assert climb.say(judged(errors=breach(), proof=SCHEMA)) == ()

    def test_one_after_recovery_is_a_new_incident(self, climb: Climb) -> None:
        climb.breached()
        climb.after_flag_recovers()
        climb.now += MINUTE
        climb.say(judged(errors=ok()))
        assert climb.incident.id == "shop-1"
        climb.say(judged(errors=breach()))
        assert climb.incident.id == "shop-2"
        assert [one.id for one in climb.guard.closed] == ["shop-1"]

    def test_a_pending_one_ends_with_the_watch(self, climb: Climb) -> None:
        climb.start()
        climb.say(judged(errors=LITERAL))
        climb.say(inputs.Disarm("ann", "enough"))
        assert climb.guard.pending == {}

    def test_a_hundred_rules_in_breach_at_once_are_not_a_circle(self) -> None:
        many = tuple(replace(ORPHANS, name=f"rule{number}") for number in range(150))
        climb = Climb(replace(SETTINGS, rules=(ERRORS, *many)))
        climb.breached()
        climb.say(inputs.Judged({one.name: breach(one.name) for one in many}))
        assert len(climb.incident.rules) == 151


class TestUnarmed:
    def test_a_rule_in_breach_at_t0_opens_nothing_until_it_was_well(self, climb: Climb) -> None:
        climb.start(errors=breach(), orphans=ok("orphans"))
        assert climb.release.unarmed == {"errors": "errors is wrong"}
        climb.say(judged(errors=breach()))
        climb.say(judged(errors=NO_DATA))
        climb.say(judged(errors=breach()))
        assert climb.guard.incident is None
        climb.say(judged(errors=ok()))
        assert climb.release.unarmed == {}
        climb.say(judged(errors=breach()))
        assert climb.incident.rules == ("errors",)

    def test_it_does_not_join_and_a_trigger_does_not_wait_for_it(self, climb: Climb) -> None:
        climb.start(errors=breach())
        climb.say(inputs.Trigger("ann", "it hurts"))
        climb.say(judged(errors=breach()))
        assert climb.incident.rules == ("orphans",)


class TestSteps:
    def test_a_step_begins_once_and_ends_once(self, climb: Climb) -> None:
        climb.breached()
        command = climb.command
        assert command is not None
        assert climb.say(inputs.StepDone(command.id)) == ()
        assert climb.say(inputs.BeginStep(command.id)) == (ev.StepIntended(command.id, 0),)
        assert climb.say(inputs.BeginStep(command.id)) == ()
        climb.say(inputs.StepDone(command.id))
        assert climb.say(inputs.StepDone(command.id)) == ()
        assert climb.say(inputs.StepNotApplied(command.id, "late")) == ()

    def test_only_the_step_whose_turn_it_is_begins(self, climb: Climb) -> None:
        assert climb.say(inputs.BeginStep("shop-1-run/flag/flag off")) == ()
        climb.breached()
        assert climb.say(inputs.BeginStep("shop-1-run/code/old code")) == ()
        assert climb.say(inputs.BeginStep("junk")) == ()
        climb.steps()
        assert climb.run.phase is RunPhase.JUDGING
        assert climb.say(inputs.BeginStep("shop-1-run/flag/flag off")) == ()

    def test_a_step_does_not_begin_under_a_brake(self, climb: Climb) -> None:
        climb.breached()
        command = climb.command
        assert command is not None
        climb.say(inputs.Freeze("ann", "drill"))
        assert climb.say(inputs.BeginStep(command.id)) == ()
        climb.say(inputs.Unfreeze("ann"))
        climb.say(inputs.SetHold("ann", "wait"))
        assert climb.say(inputs.BeginStep(command.id)) == ()

    def test_a_step_that_was_not_applied_may_be_tried_again(self, climb: Climb) -> None:
        climb.breached()
        command = climb.command
        assert command is not None
        climb.say(inputs.BeginStep(command.id))
        climb.say(inputs.StepNotApplied(command.id))
        assert climb.command == command
        climb.say(inputs.BeginStep(command.id))
        assert climb.run.steps[command.id].attempts == 2


class TestNotices:
    def test_an_obligation_is_intended_and_has_one_outcome(self, climb: Climb) -> None:
        climb.start()
        name = next(iter(climb.guard.notices))
        climb.say(inputs.BeginNotice(name, "Release r1 starts"))
        assert climb.guard.notices[name].text == "Release r1 starts"
        climb.now += 3 * SECOND
        climb.say(inputs.NoticeDone(name, NoticeOutcome.SENT, receipt="42"))
        record = climb.guard.notices[name]
        assert (record.outcome, record.late_by, record.receipt) == (NoticeOutcome.SENT, 3 * SECOND, "42")
        assert climb.say(inputs.NoticeDone(name, NoticeOutcome.FAILED)) == ()
        assert climb.say(inputs.BeginNotice(name, "again")) == ()

    def test_what_was_not_said_is_not_late(self, climb: Climb) -> None:
        climb.start()
        name = next(iter(climb.guard.notices))
        climb.now += MINUTE
        climb.say(inputs.NoticeDone(name, NoticeOutcome.FAILED, "channel_not_found"))
        assert climb.guard.notices[name].late_by == 0
        assert climb.say(inputs.NoticeDone("unknown", NoticeOutcome.SENT)) == ()


def test_a_step_of_the_clock_is_on_record_and_changes_nothing(climb: Climb) -> None:
    before = climb.guard
    assert climb.say(inputs.ClockStep(SECOND)) == (ev.ClockStepped(SECOND),)
    assert climb.guard == before


def test_an_engine_that_runs_in_a_circle_says_so(climb: Climb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decide_module, "progress", lambda *_: ev.ClockStepped(0))
    with pytest.raises(AssertionError, match="no end of events"):
        decide(climb.guard, inputs.Tick(), T0)


def test_a_plan_without_a_thread_owes_beats_only() -> None:
    climb = Climb(replace(SETTINGS, plan=Plan(beats=SETTINGS.plan.beats)))
    climb.breached()
    assert [one.notice.topic for one in climb.guard.notices.values()] == [one.name for one in SETTINGS.plan.beats]


class TestHysteresis:
    def test_between_its_two_levels_what_holds_goes_on_to_hold(self, climb: Climb) -> None:
        climb.start()
        climb.say(judged(errors=LITERAL))
        since = climb.guard.pending["errors"].since
        climb.now += 4 * MINUTE
        climb.say(judged(errors=Ok(evidence("errors"), near=True)))
        assert climb.guard.pending["errors"].since == since
        climb.now += MINUTE
        climb.say(judged(errors=LITERAL))
        assert climb.incident.rules == ("errors",)

    def test_a_reading_that_is_fine_for_less_than_keep_ends_nothing(self) -> None:
        climb = Climb(replace(SETTINGS, rules=(replace(ERRORS, keep=MINUTE), ORPHANS)))
        climb.start()
        climb.say(judged(errors=LITERAL))
        climb.now += 2 * MINUTE
        climb.say(judged(errors=ok()))
        climb.now += MINUTE - 1
        climb.say(judged(errors=ok()))
        assert "errors" in climb.guard.pending
        climb.say(judged(errors=LITERAL))
        assert climb.guard.pending["errors"].eased is None
        climb.now += 2 * MINUTE + 1
        climb.say(judged(errors=LITERAL))
        assert climb.incident.rules == ("errors",)

    def test_one_that_is_fine_for_as_long_does(self) -> None:
        climb = Climb(replace(SETTINGS, rules=(replace(ERRORS, keep=MINUTE), ORPHANS)))
        climb.start()
        climb.say(judged(errors=LITERAL))
        climb.say(judged(errors=ok()))
        climb.now += MINUTE
        climb.say(judged(errors=ok()))
        assert climb.guard.pending == {}

    def test_time_in_which_nobody_looked_does_not_count_as_fine(self) -> None:
        climb = Climb(replace(SETTINGS, rules=(replace(ERRORS, keep=MINUTE), ORPHANS)))
        climb.start()
        climb.say(judged(errors=LITERAL))
        climb.say(judged(errors=ok()))
        climb.now += MINUTE
        climb.say(inputs.Gap(MINUTE))
        climb.say(judged(errors=ok()))
        assert "errors" in climb.guard.pending


def test_what_held_in_a_phase_that_is_over_is_forgotten(climb: Climb) -> None:
    climb.start()
    climb.say(judged(errors=LITERAL))
    climb.say(judged())
    assert climb.guard.pending == {}
