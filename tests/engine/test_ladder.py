"""Climbing: what follows from a guard's state by itself."""

from dataclasses import replace

from tests.engine.climb import (
    DATA_RUNG,
    ERRORS,
    RELEASE,
    SCHEMA,
    SETTINGS,
    Climb,
    at_data,
    breach,
    judged,
    ladder,
    rung,
    rungs,
    waits,
    with_data,
    with_rung,
)
from watchdog.model import events as ev
from watchdog.model import inputs
from watchdog.model.guards import RunOutcome, RunPhase
from watchdog.model.playbooks import Autonomy, Overrun
from watchdog.model.releases import Protection, ReleaseState
from watchdog.model.rules import RungKind
from watchdog.model.time import MINUTE, SECOND
from watchdog.model.verdicts import Recovery

STOP, FLAG, CODE, DATA = RungKind
BROKEN, WELL, OPEN = Recovery.STILL_BROKEN, Recovery.RECOVERED, Recovery.UNDECIDED


class TestClimbing:
    def test_the_cheapest_rung_that_helps_is_the_last(self) -> None:
        climb = Climb()
        climb.breached(proof=SCHEMA)
        climb.after(BROKEN)
        climb.after(WELL)
        assert rungs(climb) == [(FLAG, "still broken"), (CODE, "recovered")]
        assert climb.run.outcome is RunOutcome.RECOVERED
        assert climb.incident.recovered_at == climb.now
        assert climb.state() is ReleaseState.BAKING

    def test_a_migration_that_is_still_applying_is_cancelled_first(self) -> None:
        climb = Climb(replace(SETTINGS, rules=(replace(ERRORS, enters=STOP),)))
        climb.say(inputs.StartRelease(RELEASE, None))
        climb.say(judged(errors=breach()))
        climb.after(WELL)
        assert rungs(climb) == [(STOP, "recovered")]

    def test_data_is_last_and_ends_the_climb(self) -> None:
        climb = at_data()
        climb.after(WELL)
        assert climb.run.outcome is RunOutcome.ROLLED_BACK
        assert climb.state() is ReleaseState.ROLLED_BACK

    def test_data_that_does_not_help_is_told_apart(self) -> None:
        climb = at_data()
        climb.after(BROKEN)
        assert climb.run.outcome is RunOutcome.NOT_RECOVERED
        assert climb.incident.recovered_at is None
        assert climb.state() is ReleaseState.ROLLED_BACK

    def test_with_no_rung_left_a_person_is_needed(self) -> None:
        climb = Climb()
        climb.breached(replace(RELEASE, protection=Protection.CODE_ONLY))
        climb.after(BROKEN)
        climb.after(BROKEN)
        assert climb.run.outcome is RunOutcome.EXHAUSTED
        climb.wait(SETTINGS.resolve_after * 10)
        assert climb.incident.resolved_at is None

    def test_what_joins_raises_the_rung(self) -> None:
        climb = Climb()
        climb.breached(proof=SCHEMA)
        climb.say(judged(errors=breach(), orphans=breach("orphans")))
        climb.after(BROKEN)
        assert rungs(climb)[1] == (CODE, "skipped")
        assert climb.run.rungs[1].reason == "what was seen since needs data"
        assert climb.run.rung is not None
        assert climb.run.rung.kind is DATA

    def test_an_incident_that_stays_well_resolves_itself(self) -> None:
        climb = Climb()
        climb.breached()
        climb.after_flag_recovers()
        climb.wait(SETTINGS.resolve_after - 1)
        assert climb.unresolved()
        climb.wait(1)
        assert not climb.unresolved()
        assert climb.guard.well_since == climb.incident.recovered_at

    def test_the_run_keeps_the_playbook_it_began_with(self) -> None:
        waiting_when_late = replace(rung(CODE, "old code"), on_overrun=Overrun.PAGE)
        climb = Climb(replace(SETTINGS, playbook=with_rung(ladder(), waiting_when_late)))
        climb.breached(proof=SCHEMA)
        late = replace(ladder(Autonomy.OBSERVE), budget=0)
        climb.guard = replace(climb.guard, settings=replace(SETTINGS, playbook=late))
        climb.after(BROKEN)
        assert climb.phase() is RunPhase.ACTING


class TestSteps:
    def test_they_go_in_order_and_then_recovery_is_judged(self) -> None:
        climb = at_data()
        climb.steps()
        assert [one.step.rpartition("/")[2] for one in climb.events(ev.StepSucceeded)[-3:]] == ["fence", "undo", "lift"]
        assert climb.run.judging_since == climb.now + DATA_RUNG.settle

    def test_one_that_fails_on_a_rung_that_climbs_leads_on(self) -> None:
        climb = Climb()
        climb.breached()
        climb.steps(inputs.StepNotApplied("shop-1-run/flag/flag off", "flag store is down"))
        assert rungs(climb)[0] == (FLAG, "still broken")
        assert climb.run.rungs[0].reason == "step failed: flag store is down"
        assert climb.run.rung is not None
        assert climb.run.rung.kind is CODE

    def test_one_that_fails_on_a_rung_that_stops_ends_the_run_and_nothing_was_rolled_back(self) -> None:
        climb = at_data()
        climb.steps(
            inputs.StepDone("shop-1-run/data/fence"), inputs.StepNotApplied("shop-1-run/data/undo", "lock timeout")
        )
        assert climb.run.outcome is RunOutcome.STEP_FAILED
        assert climb.incident.data_touched
        assert climb.state() is ReleaseState.BAKING

    def test_a_data_rung_that_failed_and_climbs_was_not_rolled_back(self) -> None:
        climb = at_data(replace(SETTINGS, playbook=with_rung(ladder(), rung(DATA, "undo"))))
        climb.steps(inputs.StepNotApplied("shop-1-run/data/undo", "lock timeout"))
        assert climb.run.outcome is RunOutcome.EXHAUSTED
        assert climb.state() is ReleaseState.BAKING

    def test_one_of_which_nobody_knows_stops_in_unknown(self) -> None:
        climb = at_data()
        climb.steps(inputs.StepCannotTell("shop-1-run/data/fence", "no answer"))
        assert climb.run.outcome is RunOutcome.UNKNOWN
        climb.wait(10 * MINUTE)
        assert climb.run.outcome is RunOutcome.UNKNOWN
        assert climb.next_command() is None


class TestJudging:
    def judging(self) -> Climb:
        climb = Climb()
        climb.breached()
        climb.steps()
        assert climb.judging
        return climb

    def test_an_open_question_waits(self) -> None:
        climb = self.judging()
        climb.now += 10 * SECOND
        assert climb.say(judged(OPEN)) == ()
        assert climb.say(judged()) == ()

    def test_what_stays_undecided_counts_as_not_recovered(self) -> None:
        climb = self.judging()
        climb.now += 31 * SECOND
        climb.say(judged(OPEN))
        assert rungs(climb)[0] == (FLAG, "undecided")
        assert climb.run.rung is not None
        assert climb.run.rung.kind is CODE

    def test_a_timer_waits_for_one_more_evaluation(self) -> None:
        climb = self.judging()
        climb.wait(31 * SECOND)
        assert climb.judging
        climb.wait(2 * SECOND)
        assert rungs(climb)[0] == (FLAG, "undecided")

    def test_time_in_which_nobody_looked_decides_nothing(self) -> None:
        climb = self.judging()
        climb.now += 10 * MINUTE
        climb.crash()
        assert climb.judging
        climb.say(judged(WELL))
        assert climb.run.outcome is RunOutcome.RECOVERED

    def test_a_stopped_machine_does_not_count_either(self) -> None:
        climb = self.judging()
        climb.now += 10 * SECOND
        climb.say(inputs.Gap(8 * SECOND))
        climb.now += 23 * SECOND
        climb.say(judged(OPEN))
        assert climb.judging
        climb.now += 8 * SECOND
        climb.say(judged(OPEN))
        assert rungs(climb)[0] == (FLAG, "undecided")

    def test_it_goes_on_under_a_brake_and_the_next_rung_waits(self) -> None:
        climb = self.judging()
        climb.say(inputs.Freeze("ann", "drill"))
        climb.now += 5 * SECOND
        climb.say(judged(BROKEN))
        assert rungs(climb) == [(FLAG, "still broken")]
        assert climb.phase() is RunPhase.CHOOSING
        climb.say(inputs.Unfreeze("ann"))
        assert climb.phase() is RunPhase.ACTING

    def test_a_recovery_ends_the_run_under_a_brake_too(self) -> None:
        climb = self.judging()
        climb.say(inputs.SetHold("ann", "wait"))
        climb.now += 5 * SECOND
        climb.say(judged(WELL))
        assert climb.run.outcome is RunOutcome.RECOVERED


class TestProposals:
    def proposed(self, kind: RungKind = FLAG) -> Climb:
        asking = rung(kind, "flag off" if kind is FLAG else "old code", autonomy=Autonomy.PROPOSE)
        climb = Climb(replace(SETTINGS, playbook=with_rung(ladder(), asking)))
        climb.breached(proof=SCHEMA)
        return climb

    def test_one_waits_and_escalates_once_and_never_acts(self) -> None:
        climb = self.proposed()
        assert waits(climb) == "its autonomy is propose"
        climb.wait(5 * MINUTE)
        assert climb.events(ev.ProposalEscalated) == [ev.ProposalEscalated(FLAG)]
        climb.wait(5 * MINUTE)
        assert len(climb.events(ev.ProposalEscalated)) == 1
        assert climb.next_command() is None

    def test_approved_it_acts(self) -> None:
        climb = self.proposed()
        climb.say(inputs.Approve("ann", "shop-1"))
        assert climb.phase() is RunPhase.ACTING
        assert climb.events(ev.RungEntered)[-1].reason == "approved by ann"

    def test_approved_under_a_brake_it_acts_when_that_is_gone(self) -> None:
        climb = self.proposed()
        climb.say(inputs.SetHold("ann", "wait"))
        climb.say(inputs.Approve("ann"))
        assert climb.phase() is RunPhase.CHOOSING
        climb.say(inputs.ReleaseHold("ann"))
        assert climb.phase() is RunPhase.ACTING

    def test_denied_the_next_one_is_looked_at(self) -> None:
        climb = self.proposed()
        climb.say(inputs.Deny("ann"))
        assert rungs(climb)[0] == (FLAG, "denied")
        assert climb.run.rung is not None
        assert climb.run.rung.kind is CODE

    def test_with_every_rung_denied_none_is_left(self) -> None:
        climb = Climb(replace(SETTINGS, playbook=ladder(Autonomy.PROPOSE)))
        climb.breached(proof=SCHEMA)
        for _ in range(3):
            climb.say(inputs.Deny("ann"))
        assert climb.run.outcome is RunOutcome.EXHAUSTED

    def test_it_is_passed_over_when_what_joins_needs_more(self) -> None:
        climb = self.proposed()
        climb.say(judged(errors=breach(), orphans=breach("orphans")))
        assert rungs(climb)[:2] == [(FLAG, "skipped"), (CODE, "skipped")]
        assert climb.run.rung is not None
        assert climb.run.rung.kind is DATA
        assert climb.phase() is RunPhase.ACTING

    def test_it_is_not_passed_over_under_a_brake(self) -> None:
        climb = self.proposed()
        climb.say(inputs.Freeze("ann", "drill"))
        climb.say(judged(errors=breach(), orphans=breach("orphans")))
        assert climb.phase() is RunPhase.PROPOSED

    def test_a_person_who_asks_for_just_this_rung_has_said_yes(self) -> None:
        climb = self.proposed()
        climb.say(inputs.Trigger("ann", "switch it off", FLAG))
        assert climb.phase() is RunPhase.ACTING
        assert climb.events(ev.RungEntered)[-1].reason == "asked for: ann: switch it off"

    def test_a_doubt_that_asking_does_not_remove_keeps_it_waiting(self) -> None:
        climb = at_data(with_data(on_overrun=Overrun.SKIP), replace(RELEASE, certificate=None))
        climb.say(inputs.Trigger("ann", "roll it back", DATA))
        assert "no valid certificate" in waits(climb)
        climb.wait(20 * MINUTE)
        assert climb.phase() is RunPhase.PROPOSED
