"""The rig of the detection benchmark: incidents reach the engine, its ladder changes the service, tables add up."""

from collections import Counter

import pytest

from benchmarks.detection.clean import OF_ERRORS, OF_LATENCY, Tally, tally
from benchmarks.detection.cost import cost
from benchmarks.detection.delay import Fault, delays
from benchmarks.detection.incidents import Outcome, play
from benchmarks.detection.kinds import kinds
from benchmarks.detection.tables import clean_tables, cost_tables, delay_tables, incident_tables
from benchmarks.detection.traffic import Regime, Shape
from benchmarks.detection.watched import shipped
from watchdog.model.guards import GuardSettings
from watchdog.model.rules import Mode, RungKind
from watchdog.model.signals import SignalKind

KINDS = {kind.name: kind for kind in kinds()}


@pytest.fixture(scope="module")
def settings() -> GuardSettings:
    return shipped()


def played(settings: GuardSettings, kind: str) -> Outcome:
    return play(settings, KINDS[kind], (1, 2, 3))


def test_a_lock_queue_ends_when_the_migration_is_cancelled(settings: GuardSettings) -> None:
    outcome = played(settings, "lock queue")
    assert outcome.acted == (RungKind.STOP,)
    assert outcome.ended is not None


def test_wrong_data_is_taken_back_with_its_evidence(settings: GuardSettings) -> None:
    outcome = played(settings, "wrong data")
    assert (outcome.acted, outcome.data) == ((RungKind.DATA,), "automatic")
    assert "violations" in outcome.reason
    assert outcome.ended is not None


def test_a_dependency_that_is_down_is_seen_and_leaves_the_data_alone(settings: GuardSettings) -> None:
    outcome = played(settings, "a dependency is down")
    assert outcome.opened is not None
    assert outcome.data != "automatic"
    assert outcome.ended is None


def test_the_same_seed_plays_the_same_incident(settings: GuardSettings) -> None:
    assert played(settings, "broken new code") == played(settings, "broken new code")


def test_a_day_far_below_the_threshold_is_quiet_and_one_above_it_is_not(settings: GuardSettings) -> None:
    quiet = tally(OF_ERRORS, Regime(20.0, 0.0, 0.005, Shape.STEADY), settings, 2, (1,))
    loud = tally(OF_ERRORS, Regime(20.0, 0.0, 0.20, Shape.STEADY), settings, 2, (1,))
    assert not quiet.fired
    assert loud.fired[Mode.LITERAL] == loud.fired[Mode.EITHER] == 2
    # It was as loud before T-0.
    assert loud.fired[Mode.CONFIDENT] == 0
    # Without a database error nothing proves that the release did it.
    assert loud.data.total() == 2
    assert not loud.data["automatic"]


def test_a_total_outage_is_seen_in_half_a_minute_and_never_later_than_literally(settings: GuardSettings) -> None:
    found = delays(Fault(OF_ERRORS, 1.0, 20.0, 0.02, middle=True), settings, 20, (1,))
    assert max(found.seconds[Mode.CONFIDENT]) <= 35
    assert min(found.seconds[Mode.LITERAL]) >= 300
    assert (found.later, found.early) == (0, 0)


def test_tenfold_latency_is_seen(settings: GuardSettings) -> None:
    found = delays(Fault(OF_LATENCY, 10.0, 20.0, 0.02, middle=False), settings, 5, (1,))
    assert max(found.seconds[Mode.EITHER]) <= 60


def test_the_tables_say_what_missed_its_goal(settings: GuardSettings) -> None:
    regime = Regime(0.2, 0.1, 0.03, Shape.DRIFT)
    missed = Tally(OF_ERRORS, regime, days=370, fired=Counter({"confident": 2}), firings=Counter({"confident": 3}))
    text = "\n".join(clean_tables([missed]))
    assert "`confident` fires in no regime: **missed**" in text
    assert f"| errors: {regime} | 2 of 370 |" in text
    rolled = Outcome("a node is lost", 10.0, (RungKind.DATA,), "automatic", "SQLSTATE 23502", "data", None)
    text = "\n".join(incident_tables([rolled]))
    assert "no innocent incident rolls data back by itself: **missed** (1)" in text
    found = delays(Fault(OF_ERRORS, 0.2, 2.0, 0.0, middle=False), settings, 3, (1,))
    assert "| 20% errors | 0 | 2/s |" in "\n".join(delay_tables([found]))


def test_the_cost_of_a_tick_is_measured_on_full_windows(settings: GuardSettings) -> None:
    measured = cost(settings, 20, 3)
    assert len(measured.whole) == 3
    assert measured.p99 > 0
    # 12 cumulative counts as read and as corrected, some 240 times.
    assert measured.bytes_a_signal[SignalKind.DISTRIBUTION] > 100_000
    assert "| 20 |" in "\n".join(cost_tables([measured]))
