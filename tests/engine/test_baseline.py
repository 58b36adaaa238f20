import pytest

from tests.engine.series import at, histogram, read, signal, windows
from watchdog.engine.baseline import freeze, histogram_before, level_before, rate_before
from watchdog.engine.windows import Windows
from watchdog.model.guards import Baseline
from watchdog.model.signals import Cause, Missing, SignalId, SignalKind
from watchdog.model.time import MINUTE, SECOND

SPECS = (
    signal("c"),
    signal("g", SignalKind.GAUGE),
    signal("l", SignalKind.DISTRIBUTION),
    signal("k", SignalKind.CHECK),
)
T_ZERO = at(60)


def frozen(made: Windows) -> Baseline:
    baseline, refusal = freeze(made, T_ZERO, MINUTE, 30 * SECOND)
    assert refusal == ""
    assert baseline is not None
    return baseline


def test_a_counter_is_kept_as_its_rate_from_samples_before_t0_only() -> None:
    baseline = frozen(windows(SPECS, read("c", [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 9000])))
    assert rate_before(baseline, "c", ()) == pytest.approx(2.0)
    assert (baseline.since, baseline.until) == (at(0), T_ZERO)


def test_samples_older_than_its_length_are_not_in_it() -> None:
    made = windows(SPECS, read("c", [0, 5000], start=at(-60), every=30 * SECOND), read("c", [5000, 5060], every=MINUTE))
    baseline = frozen(made)
    assert rate_before(baseline, "c", ()) == pytest.approx(1.0)
    assert baseline.since == at(0)


def test_a_gauge_is_kept_with_mean_and_range_and_a_check_with_its_last_value() -> None:
    made = windows(SPECS, read("g", [2, 4, 9], every=20 * SECOND), read("k", [7, 3, 1], every=20 * SECOND))
    baseline = frozen(made)
    gauge = baseline.entries[SignalId("g")]
    assert (gauge.mean, gauge.low, gauge.high, gauge.samples) == (5, 2, 9, 3)
    assert level_before(baseline, "k", ()) == 1


def test_levels_and_rates_are_summed_over_the_labels_that_are_meant() -> None:
    a, b = (("pod", "a"),), (("pod", "b"),)
    made = windows(
        SPECS,
        read("k", [1, 1], labels=a, every=MINUTE),
        read("k", [2, 2], labels=b, every=MINUTE),
        read("c", [0, 60], labels=a, every=MINUTE),
        read("c", [0, 120], labels=b, every=MINUTE),
    )
    baseline = frozen(made)
    assert level_before(baseline, "k", ()) == 3
    assert level_before(baseline, "k", b) == 2
    assert level_before(baseline, "k", (("pod", "c"),)) is None
    assert rate_before(baseline, "c", ()) == pytest.approx(3.0)
    assert rate_before(baseline, "c", a) == pytest.approx(1.0)


def test_a_distribution_is_what_was_observed_in_the_time() -> None:
    a, b, c = (("route", "a"),), (("route", "b"),), (("route", "c"),)
    other = (0.2, float("inf"))
    made = windows(
        SPECS,
        read("l", [histogram(10, 10, 10), histogram(11, 12, 13)], labels=a, every=MINUTE),
        read("l", [histogram(0, 0, 0), histogram(4, 4, 4)], labels=b, every=MINUTE),
        read("l", [histogram(0, 0, bounds=other), histogram(9, 9, bounds=other)], labels=c, every=MINUTE),
        read("c", [0, 1], every=MINUTE),
    )
    baseline = frozen(made)
    whole = histogram_before(baseline, "l", ())
    assert whole is not None
    assert list(whole.counts) == [5, 6, 7]
    only_a = histogram_before(baseline, "l", a)
    assert only_a is not None
    assert list(only_a.counts) == [1, 2, 3]
    assert histogram_before(baseline, "l", (("route", "d"),)) is None
    assert histogram_before(baseline, "c", ()) is None
    assert baseline.entries[SignalId("l", b)].rate == pytest.approx(4 / 60)


def test_one_sample_has_no_rate() -> None:
    made = windows(SPECS, read("g", [1, 1], every=MINUTE), read("c", [50]), read("l", [histogram(1, 2, 3)]))
    baseline = frozen(made)
    assert baseline.entries[SignalId("c")].rate == 0
    assert baseline.entries[SignalId("l")].rate == 0


def test_without_a_sample_there_is_no_baseline() -> None:
    assert freeze(windows(SPECS), T_ZERO, MINUTE, SECOND) == (None, "no signal has been read yet")
    never = windows(SPECS, read("c", [Missing(Cause.UNREACHABLE)]))
    assert freeze(never, T_ZERO, MINUTE, SECOND)[0] is None


def test_a_baseline_that_is_too_short_is_refused_with_both_lengths() -> None:
    baseline, refusal = freeze(windows(SPECS, read("c", [1, 2], start=at(50))), T_ZERO, MINUTE, 30 * SECOND)
    assert baseline is None
    assert refusal == "only 10 s of samples before T-0, 30 s are asked for"
