"""What a rung may do: act, ask, observe, or be passed over."""

from dataclasses import replace

import pytest

from tests.engine.climb import (
    CERTIFICATE,
    DATA_RUNG,
    ERRORS,
    NOT_ON_OLD_CODE,
    RELEASE,
    SCHEMA,
    SETTINGS,
    Climb,
    at_data,
    breach,
    judged,
    ladder,
    ok,
    rung,
    rungs,
    waits,
    with_data,
    with_rung,
)
from watchdog.engine.admission import predicted
from watchdog.model import events as ev
from watchdog.model import inputs
from watchdog.model.guards import RunOutcome, RunPhase
from watchdog.model.playbooks import Autonomy, Overrun
from watchdog.model.releases import Compatibility, Protection, Release
from watchdog.model.rules import RungKind
from watchdog.model.time import MINUTE, SECOND
from watchdog.model.verdicts import Basis, Recovery

STOP, FLAG, CODE, DATA = RungKind
BROKEN, WELL, OPEN = Recovery.STILL_BROKEN, Recovery.RECOVERED, Recovery.UNDECIDED


class TestObserving:
    def test_a_rung_says_what_it_would_have_done(self) -> None:
        climb = Climb(replace(SETTINGS, playbook=ladder(Autonomy.OBSERVE)))
        climb.breached()
        assert climb.run.outcome is RunOutcome.OBSERVED
        assert climb.events(ev.RungObserved)[0].would == "would have done: flag off (in about 10 s)"
        assert climb.events(ev.StepIntended) == []

    def test_one_rung_that_acted_is_no_observation(self) -> None:
        playbook = with_rung(with_rung(ladder(), replace(DATA_RUNG, autonomy=Autonomy.OBSERVE)), rung(CODE))
        climb = Climb(replace(SETTINGS, playbook=playbook))
        climb.breached()
        climb.after(BROKEN)
        assert rungs(climb) == [(FLAG, "still broken"), (CODE, "skipped"), (DATA, "observed")]
        assert climb.run.outcome is RunOutcome.EXHAUSTED


class TestWhatDoesNotApply:
    @pytest.mark.parametrize(
        ("kind", "release", "reason"),
        [
            (STOP, RELEASE, "nothing is being applied any more"),
            (FLAG, replace(RELEASE, flags=()), "the release has no feature flag"),
            (CODE, replace(RELEASE, old_version=""), "no last known good version is named"),
            (CODE, replace(RELEASE, certificate=None), "without a certificate nobody knows"),
            (CODE, NOT_ON_OLD_CODE, "v1 does not work on the new schema"),
            (
                CODE,
                replace(RELEASE, certificate=replace(CERTIFICATE, old_code=Compatibility.UNKNOWN)),
                "could not tell whether v1 works",
            ),
            (DATA, replace(RELEASE, protection=Protection.CODE_ONLY), "its data is never touched"),
        ],
    )
    def test_is_passed_over_with_its_reason(self, kind: RungKind, release: Release, reason: str) -> None:
        climb = Climb()
        climb.start(release)
        climb.say(inputs.Trigger("ann", "it hurts", kind))
        assert climb.run.rungs[0].rung is kind
        assert climb.run.rungs[0].outcome == "skipped"
        assert reason in climb.run.rungs[0].reason

    def test_a_rung_without_steps(self) -> None:
        climb = Climb(replace(SETTINGS, playbook=with_rung(ladder(), rung(FLAG))))
        climb.breached()
        assert climb.run.rungs[0].reason == "it has no steps"

    def test_without_a_release_neither_stop_nor_anything_else(self) -> None:
        climb = Climb()
        climb.say(inputs.Trigger("ann", "it hurts"))
        assert {one.reason for one in climb.run.rungs} == {"no release is known"}

    def test_a_settled_release_cannot_be_rolled_back_even_when_asked(self) -> None:
        climb = Climb()
        climb.start()
        climb.wait(SETTINGS.bake)
        climb.say(inputs.Settle("ann"))
        climb.say(inputs.Trigger("ann", "too late", DATA))
        assert "its archives may be gone" in climb.run.rungs[0].reason
        assert climb.run.outcome is RunOutcome.EXHAUSTED


class TestData:
    def test_with_certificate_and_proof_it_acts(self) -> None:
        climb = at_data()
        assert climb.phase() is RunPhase.ACTING
        assert climb.release.data_rollbacks == 1

    @pytest.mark.parametrize(
        ("release", "proof", "reason"),
        [
            (replace(RELEASE, certificate=None), SCHEMA, "no valid certificate"),
            (replace(RELEASE, certificate=replace(CERTIFICATE, restored=False)), SCHEMA, "no valid certificate"),
            (RELEASE, {}, "no positive evidence"),
        ],
    )
    def test_without_it_waits_for_a_person(self, release: Release, proof: dict[str, str], reason: str) -> None:
        assert reason in waits(at_data(release=release, proof=proof))

    def test_on_literal_evidence_alone_it_waits(self) -> None:
        climb = Climb(replace(SETTINGS, rules=(replace(ERRORS, enters=DATA, hold=0),)))
        climb.start()
        climb.say(judged(proof=SCHEMA, errors=breach(basis=Basis.LITERAL)))
        assert "literal only" in waits(climb)

    def test_an_integrity_breach_is_enough_on_literal_evidence(self) -> None:
        climb = Climb(replace(SETTINGS, rules=(replace(ERRORS, enters=DATA, hold=0),)))
        climb.start()
        climb.say(judged(proof={"integrity orphans": "2 orphans"}, errors=breach(basis=Basis.LITERAL)))
        assert climb.phase() is RunPhase.ACTING

    def test_a_release_has_so_many_automatic_ones_and_no_more(self) -> None:
        climb = at_data()
        climb.steps(inputs.StepNotApplied("shop-1-run/data/fence", "lock timeout"))
        climb.say(inputs.Resolve("ann"))
        climb.now += MINUTE
        climb.say(judged(proof=SCHEMA, errors=breach(), orphans=breach("orphans")))
        assert "the breaker is open" in waits(climb)

    def test_after_the_bake_it_is_by_hand(self) -> None:
        climb = at_data(with_data(autonomy=Autonomy.ACT), NOT_ON_OLD_CODE)
        assert climb.phase() is RunPhase.ACTING
        disarmed = Climb()
        disarmed.breached(NOT_ON_OLD_CODE, SCHEMA)
        disarmed.say(inputs.Disarm("ann", "by hand"))
        disarmed.after(BROKEN)
        assert waits(disarmed) == "the release is disarmed: from there on a rollback is by hand"

    def test_asked_for_it_acts_without_proof_and_after_the_bake(self) -> None:
        climb = Climb(with_data(autonomy=Autonomy.PROPOSE))
        climb.start()
        climb.wait(SETTINGS.bake)
        climb.say(inputs.Trigger("ann", "rows are lost", DATA))
        assert climb.phase() is RunPhase.ACTING
        assert climb.events(ev.RungEntered)[-1].reason == "asked for: rows are lost"

    def test_a_person_who_asked_for_less_has_not_asked_for_data(self) -> None:
        climb = Climb()
        climb.start(NOT_ON_OLD_CODE)
        climb.say(judged(errors=ok(), orphans=breach("orphans")))
        assert "no positive evidence" in waits(climb)
        climb.say(inputs.Trigger("ann", "it hurts"))
        assert climb.phase() is RunPhase.PROPOSED

    def test_a_rule_that_joins_a_trigger_has_not_asked_for_data(self) -> None:
        climb = Climb()
        climb.start(NOT_ON_OLD_CODE)
        climb.say(inputs.Trigger("ann", "it hurts", FLAG))
        climb.say(judged(orphans=breach("orphans")))
        climb.after(BROKEN)
        assert climb.incident.enters is DATA
        assert "no positive evidence" in waits(climb)


class TestBudget:
    def late(self, overrun: Overrun) -> Climb:
        climb = Climb(with_data(on_overrun=overrun))
        climb.breached(NOT_ON_OLD_CODE, SCHEMA)
        climb.now += 5 * MINUTE
        climb.after(BROKEN)
        return climb

    def test_a_rung_that_does_not_fit_goes_or_is_skipped_or_waits(self) -> None:
        assert self.late(Overrun.GO).phase() is RunPhase.ACTING
        skipped = self.late(Overrun.SKIP)
        assert skipped.run.rungs[-1].reason == "it needs about 10 s, 0.0 s of the budget are left"
        assert skipped.run.outcome is RunOutcome.EXHAUSTED
        assert waits(self.late(Overrun.PAGE)).startswith("it needs about 10 s")

    def test_by_default_late_data_waits_and_any_other_late_rung_is_skipped(self) -> None:
        assert DATA_RUNG.overrun is Overrun.PAGE
        assert rung(FLAG, "flag off").overrun is Overrun.SKIP
        assert replace(DATA_RUNG, on_overrun=Overrun.GO).overrun is Overrun.GO

    def test_a_rung_that_fits_is_not_touched_by_it(self) -> None:
        assert at_data(with_data(on_overrun=Overrun.PAGE)).phase() is RunPhase.ACTING

    def test_data_takes_what_the_rehearsal_measured(self) -> None:
        measured = replace(RELEASE, certificate=replace(CERTIFICATE, measured=3 * MINUTE))
        climb = Climb()
        climb.start(measured)
        assert predicted(climb.guard, DATA_RUNG) == 3 * MINUTE
        assert predicted(climb.guard, rung(FLAG, "flag off")) == 10 * SECOND
        assert predicted(Climb().guard, DATA_RUNG) == 10 * SECOND
        waiting = at_data(with_data(on_overrun=Overrun.PAGE), measured)
        assert waiting.phase() is RunPhase.ACTING


def test_code_alone_goes_back_without_a_certificate() -> None:
    climb = Climb()
    climb.start(replace(RELEASE, certificate=None, migrations=()))
    climb.say(inputs.Trigger("ann", "it hurts", CODE))
    assert climb.run.rung is not None
    assert climb.run.rung.kind is CODE
    assert climb.run.phase is RunPhase.ACTING
