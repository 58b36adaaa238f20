from dataclasses import replace

import pytest

from tests.engine.climb import (
    ERRORS,
    NO_DATA,
    ORPHANS,
    PROBE_FAILED,
    RELEASE,
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
from watchdog.engine.refused import RefusedError
from watchdog.model import events as ev
from watchdog.model import inputs
from watchdog.model.communication import NoticeOutcome, Plan
from watchdog.model.guards import Baseline, RunOutcome, RunPhase
from watchdog.model.releases import ReleaseState
from watchdog.model.rules import GaugeRule, RungKind
from watchdog.model.signals import Selector
from watchdog.model.time import MINUTE, SECOND
from watchdog.model.verdicts import Basis, Verdict

LITERAL = breach(basis=Basis.LITERAL)


@pytest.fixture
def climb() -> Climb:
    return Climb()


class TestRelease:
    def test_it_starts_with_its_baseline_and_is_armed_when_every_change_is_out(self, climb: Climb) -> None:
        baseline = Baseline(T0 - MINUTE, T0)
        climb.say(inputs.StartRelease(RELEASE, baseline))
        assert climb.state() is ReleaseState.APPLYING
        assert climb.release.baseline == baseline
        climb.now += MINUTE
        climb.say(inputs.Arm("pipeline"))
        assert climb.state() is ReleaseState.BAKING
        assert climb.release.bake_until == climb.now + SETTINGS.bake

    def test_it_bakes_is_reversible_and_settles(self, climb: Climb) -> None:
        climb.start()
        climb.wait(SETTINGS.bake - 1)
        assert climb.state() is ReleaseState.BAKING
        climb.wait(1)
        assert climb.state() is ReleaseState.REVERSIBLE
        climb.say(inputs.Settle("ann"))
        assert climb.state() is ReleaseState.SETTLED

    def test_without_a_baseline_the_reason_is_kept(self, climb: Climb) -> None:
        climb.say(inputs.StartRelease(RELEASE, None, "no signal has been read yet"))
        assert climb.release.baseline_refused == "no signal has been read yet"

    def test_nothing_can_be_said_of_a_release_that_is_not_there(self, climb: Climb) -> None:
        with pytest.raises(RefusedError, match="has no release"):
            climb.say(inputs.Arm("pipeline"))

    @pytest.mark.parametrize("word", [inputs.Settle("ann"), inputs.Arm("again")])
    def test_what_does_not_fit_its_state_is_refused(self, climb: Climb, word: inputs.Input) -> None:
        climb.start()
        with pytest.raises(RefusedError, match="r1 is baking; only one that is"):
            climb.say(word)

    def test_another_is_refused_while_one_is_watched_and_while_an_incident_is_open(self, climb: Climb) -> None:
        climb.breached()
        with pytest.raises(RefusedError, match="still baking"):
            climb.say(inputs.StartRelease(RELEASE, None))
        climb.say(inputs.Disarm("ann", "by hand"))
        assert climb.state() is ReleaseState.DISARMED
        with pytest.raises(RefusedError, match="shop-1 is open"):
            climb.say(inputs.StartRelease(RELEASE, None))

    def test_a_disarmed_release_opens_nothing(self, climb: Climb) -> None:
        climb.start()
        climb.say(inputs.Disarm("ann", "by hand"))
        climb.say(judged(errors=breach()))
        assert climb.guard.incident is None

    def test_its_bake_does_not_end_during_an_incident(self, climb: Climb) -> None:
        climb.breached()
        climb.wait(SETTINGS.bake)
        assert climb.state() is ReleaseState.BAKING
        climb.after_flag_recovers()
        climb.wait(SETTINGS.resolve_after)
        assert climb.incident.resolved_at is not None
        assert climb.state() is ReleaseState.REVERSIBLE


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

    @pytest.mark.parametrize("verdict", [NO_DATA, PROBE_FAILED])
    def test_no_data_neither_begins_nor_ends_it_nor_acts(self, climb: Climb, verdict: Verdict) -> None:
        climb.start()
        assert climb.say(judged(errors=verdict)) == ()
        climb.say(judged(errors=LITERAL))
        climb.now += ERRORS.hold
        assert climb.say(judged(errors=verdict)) == ()
        assert "errors" in climb.guard.pending

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


class TestTrigger:
    def test_it_needs_a_reason(self, climb: Climb) -> None:
        with pytest.raises(RefusedError, match="reason"):
            climb.say(inputs.Trigger("ann", "  "))

    def test_it_opens_an_incident_over_every_rule(self, climb: Climb) -> None:
        climb.start()
        climb.say(inputs.Trigger("ann", "support is flooded"))
        assert climb.incident.manual
        assert climb.incident.opened_by == "ann"
        assert climb.incident.rules == ("errors", "orphans")
        assert climb.incident.basis is Basis.MANUAL
        assert climb.incident.asked_for is RungKind.STOP

    def test_without_a_release_no_rung_applies(self, climb: Climb) -> None:
        climb.say(inputs.Trigger("ann", "it hurts"))
        assert climb.run.outcome is RunOutcome.EXHAUSTED
        assert {record.outcome for record in climb.run.rungs} == {"skipped"}

    def test_a_second_one_joins_and_may_ask_for_more(self, climb: Climb) -> None:
        climb.breached()
        climb.say(inputs.Trigger("ann", "it hurts", RungKind.CODE))
        climb.say(inputs.Trigger("ben", "still", RungKind.STOP))
        assert climb.incident.id == "shop-1"
        assert climb.incident.asked_for is RungKind.CODE
        assert climb.incident.enters is RungKind.CODE
        assert climb.incident.reason == "ben: still"

    def test_after_a_run_has_ended_it_opens_another_incident(self, climb: Climb) -> None:
        climb.breached()
        climb.after_flag_recovers()
        climb.say(inputs.Trigger("ann", "not at all well", RungKind.CODE))
        assert climb.incident.id == "shop-2"
        assert climb.run.rung is not None
        assert climb.run.rung.kind is RungKind.CODE


class TestPeople:
    def test_an_acknowledgement_counts_once(self, climb: Climb) -> None:
        climb.breached()
        climb.say(inputs.Acknowledge("ann", "slack", "shop-1"))
        assert climb.say(inputs.Acknowledge("ben")) == ()
        assert climb.incident.acknowledged_by == "ann"

    def test_what_is_over_is_named(self, climb: Climb) -> None:
        with pytest.raises(RefusedError, match="none has been opened"):
            climb.say(inputs.Acknowledge("ann"))
        climb.breached()
        with pytest.raises(RefusedError, match=r"shop-0 is over; the latest incident is shop-1"):
            climb.say(inputs.Acknowledge("ann", incident="shop-0"))
        climb.say(inputs.Resolve("ann"))
        with pytest.raises(RefusedError, match="shop-1 is resolved"):
            climb.say(inputs.SetHold("ann", "wait"))

    def test_a_hold_lets_nothing_begin_until_it_is_released(self, climb: Climb) -> None:
        climb.breached()
        climb.say(inputs.SetHold("ann", "wait"))
        assert climb.next_command() is None
        climb.wait(10 * MINUTE)
        assert climb.next_command() is None
        climb.say(inputs.ReleaseHold("ann", "shop-1"))
        assert climb.next_command() is not None
        assert climb.say(inputs.ReleaseHold("ann")) == ()

    @pytest.mark.parametrize("length", [0, MINUTE])
    def test_a_hold_with_a_length_expires(self, climb: Climb, length: int) -> None:
        climb.breached()
        climb.say(inputs.SetHold("ann", "wait", length))
        assert (climb.next_command() is None) == (length > 0)
        climb.wait(length)
        assert climb.next_command() is not None
        assert climb.incident.hold is None

    def test_frozen_nothing_begins_and_thawed_it_does(self, climb: Climb) -> None:
        climb.say(inputs.Freeze("ann", "drill"))
        assert climb.say(inputs.Freeze("ben", "too")) == ()
        climb.breached()
        assert climb.incident.run is None
        with pytest.raises(RefusedError, match="no run is under way"):
            climb.say(inputs.Abort("ann", "enough"))
        climb.say(inputs.Unfreeze("ann"))
        assert climb.next_command() is not None
        assert climb.say(inputs.Unfreeze("ann")) == ()

    def test_only_what_is_proposed_can_be_approved_or_denied(self, climb: Climb) -> None:
        climb.breached()
        for word in (inputs.Approve("ann"), inputs.Deny("ann")):
            with pytest.raises(RefusedError, match="nothing waits"):
                climb.say(word)

    def test_an_abort_ends_the_run_between_steps_only(self, climb: Climb) -> None:
        climb.breached()
        command = climb.command
        assert command is not None
        climb.say(inputs.BeginStep(command.id))
        for word in (inputs.Abort("ann", "enough"), inputs.Resolve("ann")):
            with pytest.raises(RefusedError, match="flag off is under way"):
                climb.say(word)
        climb.say(inputs.StepDone(command.id))
        climb.say(inputs.Abort("ann", "enough"))
        assert climb.run.outcome is RunOutcome.ABORTED
        with pytest.raises(RefusedError, match="no run"):
            climb.say(inputs.Abort("ann", "enough"))

    def test_resolving_ends_a_run_that_is_under_way(self, climb: Climb) -> None:
        climb.breached()
        climb.say(inputs.Resolve("ann", "false alarm", "shop-1"))
        assert climb.run.outcome is RunOutcome.ABORTED
        assert climb.incident.resolved_at == climb.now
        assert climb.guard.closed[-1].outcome == RunOutcome.ABORTED

    def test_resolving_after_the_run_keeps_its_outcome(self, climb: Climb) -> None:
        climb.breached()
        climb.after_flag_recovers()
        climb.say(inputs.Resolve("ann"))
        assert climb.guard.closed[-1].outcome == RunOutcome.RECOVERED

    def test_an_input_that_is_no_word_to_a_guard_is_refused(self, climb: Climb) -> None:
        climb.breached()
        with pytest.raises(RefusedError, match="not for a guard"):
            climb.say("hello")  # type: ignore[arg-type]


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
