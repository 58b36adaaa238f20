from dataclasses import replace

import pytest

from tests.engine.climb import (
    CERTIFICATE,
    NO_DATA,
    PROBE_FAILED,
    RELEASE,
    SETTINGS,
    T0,
    Climb,
    breach,
    judged,
)
from watchdog.engine.refused import RefusedError
from watchdog.model import events as ev
from watchdog.model import inputs
from watchdog.model.guards import Baseline
from watchdog.model.releases import Certificate, ReleaseState
from watchdog.model.time import MINUTE
from watchdog.model.verdicts import Verdict


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

    @pytest.mark.parametrize(
        ("certificate", "why"),
        [
            (None, "release r1 has none: rehearse it"),
            (replace(CERTIFICATE, restored=False, findings=("rows are gone",)), "proves nothing: rows are gone"),
            (replace(CERTIFICATE, restored=False), "proves nothing: schema and data were not restored"),
        ],
    )
    def test_a_guard_that_needs_a_certificate_is_not_armed_without_one(
        self, certificate: Certificate | None, why: str
    ) -> None:
        climb = Climb(replace(SETTINGS, needs_certificate=True))
        climb.say(inputs.StartRelease(replace(RELEASE, certificate=certificate), None))
        with pytest.raises(RefusedError, match=why):
            climb.say(inputs.Arm("pipeline"))
        assert climb.state() is ReleaseState.APPLYING

    def test_a_certificate_that_restores_is_enough_for_it(self) -> None:
        climb = Climb(replace(SETTINGS, needs_certificate=True))
        climb.start()
        assert climb.state() is ReleaseState.BAKING

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


@pytest.mark.parametrize("verdict", [NO_DATA, PROBE_FAILED])
def test_a_rule_that_sees_nothing_at_the_start_is_said_at_once(verdict: Verdict) -> None:
    climb = Climb()
    events = climb.say(inputs.StartRelease(RELEASE, None, "none", {"errors": verdict}))
    assert [event.rule for event in events if isinstance(event, ev.SightLost)] == ["errors"]
    assert any(isinstance(event, ev.NoticeOwed) and "sees nothing" in event.notice.text for event in events)


def test_a_release_is_not_settled_while_an_incident_is_open() -> None:
    climb = Climb()
    climb.start()
    climb.now += climb.guard.settings.bake
    climb.say(inputs.Tick())
    climb.say(inputs.Trigger("ann", "drill"))
    with pytest.raises(RefusedError, match="is open: resolve it before settling"):
        climb.say(inputs.Settle("ann"))
