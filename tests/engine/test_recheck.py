from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.engine.series import EVERY, T0, at, histogram, read, signal, windows
from watchdog.engine.baseline import freeze
from watchdog.engine.recheck import overall, recheck
from watchdog.engine.windows import Windows
from watchdog.model.guards import Baseline
from watchdog.model.rules import CheckRule, CountRule, Expect, GaugeRule, LatencyRule, RatioRule, SimpleRule, StallRule
from watchdog.model.signals import Histogram, Selector, SignalKind
from watchdog.model.time import MINUTE, SECOND, Time
from watchdog.model.verdicts import Recheck, Recovery

SPECS = (
    signal("bad"),
    signal("total"),
    signal("latency", SignalKind.DISTRIBUTION),
    signal("gauge", SignalKind.GAUGE),
    signal("check", SignalKind.CHECK),
)
RATIO = RatioRule(name="errors", bad=Selector("bad"), total=Selector("total"), above=0.05, hold=5 * MINUTE)
LATENCY = LatencyRule(name="slow", of=Selector("latency"))
COUNT = CountRule(name="count", of=Selector("bad"), above=10)
GAUGE = GaugeRule(name="gauge", of=Selector("gauge"), above=5, below=1)
CHECK = CheckRule(name="check", of=(Selector("check"),))
STALL = StallRule(name="stall", in_flight=Selector("gauge"), completed=Selector("total"))
WELL, BROKEN, OPEN = Recovery.RECOVERED, Recovery.STILL_BROKEN, Recovery.UNDECIDED


def counted(bad: Sequence[float], total: Sequence[float], before: float = 5000) -> Windows:
    """A bad past up to `T0`, and then these events a tick."""
    return windows(
        SPECS,
        read("bad", [0, before], start=T0 - EVERY),
        read("total", [0, before], start=T0 - EVERY),
        read("bad", [before + sum(bad[: index + 1]) for index in range(len(bad))], start=T0 + EVERY),
        read("total", [before + sum(total[: index + 1]) for index in range(len(total))], start=T0 + EVERY),
    )


def outcome(rule: SimpleRule, made: Windows, now: Time, baseline: Baseline | None = None, since: Time = T0) -> Recovery:
    return recheck(rule, made, baseline, since, now).outcome


def test_a_ratio_is_well_when_even_its_upper_bound_is_below_the_threshold() -> None:
    made = counted([0] * 6, [250] * 6)
    assert outcome(RATIO, made, at(5)) is OPEN
    assert outcome(RATIO, made, at(15)) is WELL
    assert recheck(RATIO, made, None, T0, at(15)).sentence == ("bad of total: 0 of 750 since (0.0%, threshold 5.0%)")


def test_a_ratio_is_still_broken_when_even_its_lower_bound_is_above() -> None:
    assert outcome(RATIO, counted([100] * 3, [250] * 3), at(15)) is BROKEN
    assert outcome(RATIO, counted([4], [4]), at(15)) is OPEN
    assert outcome(RATIO, counted([14] * 3, [250] * 3), at(15)) is OPEN


def test_what_was_counted_across_the_end_of_the_rung_does_not_count() -> None:
    made = counted([250, 0, 0, 0, 0, 0], [250] * 6)
    assert outcome(RATIO, made, at(30), since=at(2)) is WELL
    assert outcome(RATIO, made, at(30), since=T0) is BROKEN
    assert "0 of 1250 since" in recheck(RATIO, made, None, at(2), at(30)).sentence
    counts = windows(SPECS, read("bad", [0, 500, *([500] * 8)]))
    assert outcome(COUNT, counts, at(45), since=at(2)) is WELL
    slow_end = windows(SPECS, read("gauge", [4] * 6), read("total", [7, 9, 9, 9, 9, 9]))
    assert outcome(STALL, slow_end, at(25), since=at(2)) is BROKEN
    fast, baseline = latencies(histogram(99, 100, 100), histogram(100, 100, 100))
    assert "0 of 500 since" in recheck(LATENCY, fast, baseline, at(62), at(90)).sentence


def test_without_traffic_since_the_rung_nothing_is_decided() -> None:
    assert outcome(RATIO, counted([], []), at(15)) is OPEN
    assert outcome(RATIO, counted([0, 0], [0, 0]), at(15)) is OPEN
    assert outcome(RATIO, windows(SPECS, read("total", [0, 250, 500, 750])), at(15)) is WELL


def latencies(before: Histogram, after: Histogram) -> tuple[Windows, Baseline]:
    shapes = [before] * 12 + [after] * 6
    total = [0.0] * len(before.counts)
    cumulative = [Histogram(before.bounds, tuple(total), 0.0)]
    for shape in shapes:
        total = [old + new for old, new in zip(total, shape.counts, strict=True)]
        cumulative.append(Histogram(before.bounds, tuple(total), 0.0))
    made = windows(SPECS, read("latency", cumulative))
    baseline, refusal = freeze(made, at(60), MINUTE, SECOND)
    assert baseline is not None, refusal
    return made, baseline


def test_latency_is_judged_against_the_baseline() -> None:
    fast, slow = histogram(99, 100, 100), histogram(0, 0, 100)
    made, baseline = latencies(fast, fast)
    assert outcome(LATENCY, made, at(90), baseline, at(60)) is WELL
    made, baseline = latencies(fast, slow)
    assert outcome(LATENCY, made, at(90), baseline, at(60)) is BROKEN
    assert outcome(LATENCY, made, at(90), None, at(60)) is OPEN
    assert outcome(LATENCY, made, at(90), baseline, at(90)) is OPEN
    made, baseline = latencies(fast, histogram(0, 0, 0))
    assert outcome(LATENCY, made, at(90), baseline, at(60)) is OPEN


def test_a_count_is_well_once_its_rate_is_surely_below_the_threshold() -> None:
    made = windows(SPECS, read("bad", [500] * 8))
    assert outcome(COUNT, made, at(5)) is OPEN
    assert outcome(COUNT, made, at(30)) is WELL
    assert outcome(COUNT, windows(SPECS, read("bad", [0, 20, 40, 60])), at(15)) is BROKEN
    assert outcome(COUNT, windows(SPECS, read("bad", [0])), at(15)) is OPEN


@pytest.mark.parametrize(
    ("values", "expected"), [([], OPEN), ([3], WELL), ([9], OPEN), ([9, 9], BROKEN), ([9, 0], BROKEN), ([9, 3], WELL)]
)
def test_a_gauge_is_broken_after_two_wrong_readings(values: list[float], expected: Recovery) -> None:
    made = windows(SPECS, read("gauge", [9, 9], start=at(-5)), read("gauge", values, start=at(5)))
    assert outcome(GAUGE, made, at(30)) is expected


def test_a_gauge_may_have_one_edge() -> None:
    made = windows(SPECS, read("gauge", [0, 0], start=at(5)))
    assert outcome(replace(GAUGE, below=None), made, at(30)) is WELL
    assert outcome(replace(GAUGE, above=None), made, at(30)) is BROKEN


@pytest.mark.parametrize(
    ("values", "expected"), [([], OPEN), ([0], WELL), ([1], OPEN), ([0, 1], OPEN), ([1, 1], BROKEN), ([1, 0], WELL)]
)
def test_a_check_is_broken_after_as_many_readings_as_it_confirms_with(values: list[float], expected: Recovery) -> None:
    made = windows(SPECS, read("check", [1, 1], start=at(-5)), read("check", values, start=at(5)))
    assert outcome(CHECK, made, at(30)) is expected


def test_checks_are_well_together() -> None:
    both = replace(CHECK, of=(Selector("check"), Selector("gauge")))
    wrong, fine = read("check", [1, 1], start=at(5)), read("check", [0, 0], start=at(5))
    assert outcome(both, windows(SPECS, wrong), at(30)) is BROKEN
    assert outcome(both, windows(SPECS, fine), at(30)) is OPEN
    assert outcome(both, windows(SPECS, fine, read("gauge", [0], start=at(5))), at(30)) is WELL
    assert outcome(both, windows(SPECS, wrong, read("gauge", [1], start=at(5))), at(30)) is BROKEN
    one_wrong_each = windows(SPECS, read("check", [1], start=at(5)), read("gauge", [1], start=at(5)))
    assert outcome(both, one_wrong_each, at(30)) is OPEN


def test_a_check_may_expect_a_value_or_the_baselines() -> None:
    made = windows(SPECS, read("check", [3, 2, 2], start=T0))
    value = replace(CHECK, expect=Expect.VALUE, value=3.0)
    assert outcome(value, made, at(30)) is BROKEN
    assert outcome(replace(value, value=2.0), made, at(30)) is WELL
    baseline, _ = freeze(windows(SPECS, read("check", [2, 2])), at(5), MINUTE, SECOND)
    assert outcome(replace(CHECK, expect=Expect.BASELINE), made, at(30), baseline) is WELL
    assert outcome(replace(CHECK, expect=Expect.BASELINE), made, at(30)) is OPEN


def test_a_stall_is_over_with_the_first_request_that_completes() -> None:
    waiting = read("gauge", [4] * 6)
    assert outcome(STALL, windows(SPECS, waiting), at(25)) is OPEN
    assert outcome(STALL, windows(SPECS, waiting, read("total", [7, 7, 8])), at(10)) is WELL
    stuck = windows(SPECS, waiting, read("total", [7] * 6))
    assert outcome(STALL, stuck, at(5)) is OPEN
    assert outcome(STALL, stuck, at(25)) is BROKEN
    idle = windows(SPECS, read("gauge", [0] * 6), read("total", [7] * 6))
    assert outcome(STALL, idle, at(25)) is OPEN
    assert outcome(STALL, windows(SPECS, read("total", [7] * 6)), at(25)) is OPEN


def test_all_rules_together_are_as_well_as_the_worst() -> None:
    def say(*found: Recovery) -> Recovery:
        return overall(tuple(Recheck("r", one, "") for one in found))

    assert say(WELL, WELL) is WELL
    assert say(WELL, OPEN) is OPEN
    assert say(WELL, OPEN, BROKEN) is BROKEN
    assert say() is OPEN
