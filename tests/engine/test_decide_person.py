from dataclasses import replace

import pytest

from tests.engine.climb import (
    ERRORS,
    SETTINGS,
    Climb,
    ladder,
    rungs,
)
from watchdog.engine.refused import RefusedError
from watchdog.model import inputs
from watchdog.model.guards import RunOutcome
from watchdog.model.playbooks import Autonomy
from watchdog.model.rules import Phase, RungKind
from watchdog.model.time import MINUTE
from watchdog.model.verdicts import Basis, Recovery


@pytest.fixture
def climb() -> Climb:
    return Climb()


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

    def test_an_answer_to_another_rung_than_the_one_that_waits_is_refused(self) -> None:
        climb = Climb(replace(SETTINGS, playbook=ladder(Autonomy.PROPOSE)))
        climb.breached()
        climb.say(inputs.Approve("ann", "shop-1", RungKind.FLAG))
        climb.after(Recovery.STILL_BROKEN)
        for word in (inputs.Approve("ben", "shop-1", RungKind.FLAG), inputs.Deny("ben", "shop-1", RungKind.FLAG)):
            with pytest.raises(RefusedError, match="flag does not wait any more; what waits is rung code"):
                climb.say(word)
        climb.say(inputs.Deny("ben", rung=RungKind.CODE))
        assert rungs(climb)[1] == (RungKind.CODE, "denied")

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


def test_a_trigger_is_recovered_by_the_rules_that_stand_alone_and_are_in_scope() -> None:
    member = replace(ERRORS, name="member", alone=False)
    applying = replace(ERRORS, name="applying", during=(Phase.APPLYING,))
    other = replace(ERRORS, name="other", releases=("billing-*",))
    mine = replace(ERRORS, name="mine", releases=("billing-*", "add_*"))
    climb = Climb(replace(SETTINGS, rules=(ERRORS, member, applying, other, mine)))
    climb.start()
    climb.say(inputs.Trigger("ann", "it hurts", RungKind.FLAG))
    assert climb.incident.rules == ("errors", "mine")
