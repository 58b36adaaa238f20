from dataclasses import replace

import pytest

from tests.engine.series import T0, at, histogram, read, windows
from tests.engine.shares import CHECK, COUNT, GAUGE, LATENCY, RATIO, RULES, SPECS, STALL, end, traffic
from watchdog.engine.baseline import freeze
from watchdog.engine.judge import judge
from watchdog.engine.windows import Windows
from watchdog.model.guards import Baseline
from watchdog.model.rules import (
    Expect,
    Mode,
    SimpleRule,
)
from watchdog.model.signals import Cause, Histogram, Missing, Sample
from watchdog.model.time import MINUTE, SECOND, Time
from watchdog.model.verdicts import Basis, Breach, NoData, Ok, ProbeFailed, Verdict


def basis(verdict: Verdict) -> Basis:
    assert isinstance(verdict, Ok | Breach)
    return verdict.evidence.basis


def test_a_clear_breach_is_confident_and_carries_every_number() -> None:
    verdict = judge(RATIO, traffic([0] * 60 + [100] * 12, [250] * 72), None, end(72))
    assert isinstance(verdict, Breach)
    assert verdict.evidence.basis is Basis.CONFIDENT
    assert verdict.evidence.number("bad") == 1200
    assert verdict.evidence.number("total") == 15000
    assert verdict.evidence.number("recent_share") == pytest.approx(0.4)
    assert verdict.evidence.sentence == "bad of total: 40.0% in the last 60 s (1200 of 3000), threshold 5.0%"


def test_errors_that_are_over_do_not_act() -> None:
    assert isinstance(judge(RATIO, traffic([100] * 40 + [0] * 13, [250] * 53), None, end(53)), Ok)


def test_a_share_just_above_the_threshold_is_a_literal_breach_only() -> None:
    made = traffic([14] * 60, [250] * 60)
    assert basis(judge(RATIO, made, None, end(60))) is Basis.LITERAL
    assert isinstance(judge(RATIO, made, None, end(60)), Breach)
    assert isinstance(judge(replace(RATIO, mode=Mode.CONFIDENT), made, None, end(60)), Ok)


def test_the_literal_mode_never_answers_with_confidence() -> None:
    verdict = judge(replace(RATIO, mode=Mode.LITERAL), traffic([250] * 60, [250] * 60), None, end(60))
    assert isinstance(verdict, Breach)
    assert verdict.evidence.basis is Basis.LITERAL


def test_a_few_bad_events_are_never_enough_for_confidence() -> None:
    verdict = judge(RATIO, traffic([0] * 11 + [4], [0] * 11 + [20]), None, end(12))
    assert isinstance(verdict, Breach)
    assert verdict.evidence.basis is Basis.LITERAL


def test_too_little_traffic_is_no_data_and_no_traffic_too() -> None:
    few = judge(RATIO, traffic([1] * 16, [1] * 16), None, end(16))
    assert isinstance(few, Breach)
    assert few.evidence.basis is Basis.CONFIDENT
    literal = judge(replace(RATIO, mode=Mode.LITERAL), traffic([1] * 10, [1] * 10), None, end(10))
    assert literal == NoData(Cause.NO_TRAFFIC, "errors: 10 counted, 20 are asked for")
    nothing = judge(RATIO, traffic([0] * 10, [0] * 10), None, end(10))
    assert nothing == NoData(Cause.NO_TRAFFIC, "errors: nothing was counted in 5 min")


def test_a_counter_of_errors_that_does_not_exist_yet_is_none() -> None:
    made = windows(SPECS, read("total", [0, 250, 500]))
    assert isinstance(judge(RATIO, made, None, end(2)), Ok)


@pytest.mark.parametrize("rule", RULES)
def test_a_signal_that_was_never_read_is_no_data(rule: SimpleRule) -> None:
    verdict = judge(rule, windows(SPECS), None, at(10))
    assert isinstance(verdict, NoData)
    assert verdict.cause is Cause.NOT_YET


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (Cause.PROBE_BROKEN, ProbeFailed("bad query")),
        (Cause.UNREACHABLE, NoData(Cause.UNREACHABLE, "bad query")),
    ],
)
@pytest.mark.parametrize("rule", RULES)
def test_a_probe_that_fails_is_never_a_breach(rule: SimpleRule, cause: Cause, expected: Verdict) -> None:
    down = Missing(cause, "bad query")
    names = [spec.name for spec in SPECS]
    made = windows(SPECS, traffic_of_everything(), *(read(name, [down], start=end(61)) for name in names))
    assert judge(rule, made, None, end(61)) == expected


def traffic_of_everything() -> list[Sample]:
    """Five minutes in which everything is as bad as can be."""
    ticks = range(61)
    return [
        *read("bad", [100.0 * tick for tick in ticks]),
        *read("total", [100.0] * 61),
        *read("latency", [histogram(0, 0, 10.0 * tick) for tick in ticks]),
        *read("gauge", [50.0] * 61),
        *read("check", [9.0] * 61),
        *read("other_check", [9.0] * 61),
    ]


def test_a_missing_reading_without_detail_names_the_signal() -> None:
    made = windows(SPECS, read("gauge", [Missing(Cause.UNREACHABLE)]))
    assert judge(GAUGE, made, None, at(1)) == NoData(Cause.UNREACHABLE, "gauge: unreachable")


@pytest.mark.parametrize("rule", RULES)
def test_old_values_are_no_data(rule: SimpleRule) -> None:
    verdict = judge(rule, windows(SPECS, traffic_of_everything()), None, end(61) + MINUTE)
    assert isinstance(verdict, NoData)
    assert verdict.cause is Cause.TOO_OLD


@pytest.mark.parametrize("rule", [RATIO, COUNT, STALL])
def test_one_sample_is_no_data(rule: SimpleRule) -> None:
    made = windows(SPECS, read("bad", [1]), read("total", [1]), read("gauge", [9]))
    verdict = judge(rule, made, None, at(1))
    assert isinstance(verdict, NoData)
    assert verdict.cause is Cause.NOT_YET


def test_samples_before_the_floor_belong_to_an_incident_that_is_dealt_with() -> None:
    made = traffic([250] * 20 + [0] * 12, [250] * 32)
    assert isinstance(judge(RATIO, made, None, end(21)), Breach)
    floored = replace(made, floor=end(20))
    verdict = judge(RATIO, floored, None, end(32))
    assert isinstance(verdict, Ok)
    assert verdict.evidence.number("bad") == 0
    assert isinstance(judge(RATIO, replace(made, floor=end(32)), None, end(32)), NoData)
    gauge = windows(SPECS, read("gauge", [50]), read("check", [9]), read("other_check", [0]))
    floored = replace(gauge, floor=at(1))
    assert judge(GAUGE, floored, None, at(2)) == NoData(
        Cause.NOT_YET, "gauge has not been read since the last incident"
    )
    assert judge(CHECK, floored, None, at(2)) == NoData(
        Cause.NOT_YET, "check has not been read since the last incident"
    )


def slow(before: Histogram, after: Histogram, ticks: int = 60) -> tuple[Windows, Baseline, Time]:
    """`ticks` ticks like `before`, T-0, then as many like `after`; the counts are of one tick."""
    shapes, total = [before] * ticks + [after] * ticks, [0.0] * len(before.counts)
    cumulative = [Histogram(before.bounds, tuple(total), 0.0)]
    for shape in shapes:
        total = [old + new for old, new in zip(total, shape.counts, strict=True)]
        cumulative.append(Histogram(before.bounds, tuple(total), 0.0))
    made = windows(SPECS, read("latency", cumulative))
    baseline, refusal = freeze(made, end(ticks), 5 * MINUTE, MINUTE)
    assert baseline is not None, refusal
    return made, baseline, end(2 * ticks)


def test_latency_is_compared_with_twice_the_baselines_quantile() -> None:
    made, baseline, now = slow(histogram(95, 100, 100), histogram(20, 40, 100))
    verdict = judge(LATENCY, made, baseline, now)
    assert isinstance(verdict, Breach)
    assert verdict.evidence.basis is Basis.CONFIDENT
    assert verdict.evidence.number("baseline_seconds") == pytest.approx(0.1)
    assert verdict.evidence.number("limit_seconds") == pytest.approx(0.2)
    assert "the baseline's p95 is 0.1 s" in verdict.evidence.sentence
    same, baseline, now = slow(histogram(95, 100, 100), histogram(95, 100, 100))
    assert isinstance(judge(LATENCY, same, baseline, now), Ok)


def test_the_floor_of_a_latency_rule_keeps_noise_around_a_fast_baseline_out() -> None:
    made, baseline, now = slow(histogram(100, 100, 100), histogram(50, 100, 100))
    assert isinstance(judge(LATENCY, made, baseline, now), Breach)
    assert isinstance(judge(replace(LATENCY, floor=0.5), made, baseline, now), Ok)


def test_latency_without_a_baseline_is_no_data() -> None:
    made, _, now = slow(histogram(1, 1, 1), histogram(0, 0, 1))
    expected = NoData(Cause.NOT_YET, "latency has no baseline")
    assert judge(LATENCY, made, None, now) == expected
    assert judge(LATENCY, made, Baseline(T0, now), now) == expected


def test_latency_with_one_sample_since_the_floor_is_no_data() -> None:
    made, baseline, now = slow(histogram(1, 1, 1), histogram(0, 0, 1))
    verdict = judge(LATENCY, replace(made, floor=now), baseline, now)
    assert verdict == NoData(Cause.NOT_YET, "latency: fewer than two samples in 5 min")


@pytest.mark.parametrize(
    ("mode", "count", "breach", "expected"),
    [
        (Mode.EITHER, 10, False, Basis.LITERAL),
        (Mode.EITHER, 12, True, Basis.LITERAL),
        (Mode.EITHER, 40, True, Basis.CONFIDENT),
        (Mode.LITERAL, 40, True, Basis.LITERAL),
        (Mode.CONFIDENT, 12, False, Basis.CONFIDENT),
        (Mode.CONFIDENT, 40, True, Basis.CONFIDENT),
    ],
)
def test_a_count_is_judged_by_its_mode(mode: Mode, count: float, expected: Basis, *, breach: bool) -> None:
    made = windows(SPECS, read("bad", [0] * 12 + [count]))
    verdict = judge(replace(COUNT, mode=mode), made, None, end(12))
    assert isinstance(verdict, Breach if breach else Ok)
    assert verdict.evidence.basis is expected
    assert verdict.evidence.number("count") == count


@pytest.mark.parametrize(("value", "breach"), [(0, True), (1, False), (5, False), (6, True)])
def test_a_gauge_has_a_lower_and_an_upper_edge(value: float, *, breach: bool) -> None:
    verdict = judge(GAUGE, windows(SPECS, read("gauge", [3, value])), None, at(5))
    assert isinstance(verdict, Breach if breach else Ok)
    assert verdict.evidence.sentence == f"gauge is {value}, expected at most 5 and at least 1"


def test_a_gauge_with_one_edge_names_that_one() -> None:
    made = windows(SPECS, read("gauge", [3]))
    only_above = judge(replace(GAUGE, below=None), made, None, at(1))
    only_below = judge(replace(GAUGE, above=None), made, None, at(1))
    assert isinstance(only_above, Ok)
    assert isinstance(only_below, Ok)
    assert only_above.evidence.sentence.endswith("expected at most 5")
    assert only_below.evidence.sentence.endswith("expected at least 1")


def checked(*values: float, other: float = 0.0) -> Windows:
    return windows(SPECS, read("check", values), read("other_check", [other] * len(values)))


def test_a_check_is_a_breach_when_so_many_readings_in_a_row_disagree() -> None:
    assert isinstance(judge(CHECK, checked(0, 1), None, at(5)), Ok)
    assert isinstance(judge(CHECK, checked(1, 0), None, at(5)), Ok)
    verdict = judge(CHECK, checked(0, 2, 1), None, at(10))
    assert isinstance(verdict, Breach)
    assert verdict.evidence.sentence == "check reports 1 violation, 0 allowed (zero)"
    many = judge(CHECK, checked(2, 2), None, at(5))
    assert isinstance(many, Breach)
    assert "2 violations" in many.evidence.sentence


def test_a_check_over_several_labels_counts_their_violations_together() -> None:
    made = windows(
        SPECS,
        read("check", [1, 1], labels=(("table", "a"),)),
        read("check", [2, 2], labels=(("table", "b"),)),
        read("other_check", [0, 0]),
    )
    verdict = judge(CHECK, made, None, at(5))
    assert isinstance(verdict, Breach)
    assert verdict.evidence.number("check") == 3


def test_a_check_may_expect_a_value_or_what_the_baseline_had() -> None:
    value = replace(CHECK, expect=Expect.VALUE, value=3.0)
    assert isinstance(judge(value, checked(3, 3, other=3), None, at(5)), Ok)
    assert isinstance(judge(value, checked(2, 2, other=3), None, at(5)), Breach)
    as_before = replace(CHECK, expect=Expect.BASELINE)
    made = checked(4, 4, 4, 5, 5)
    baseline, _ = freeze(made, at(10), MINUTE, SECOND)
    assert isinstance(judge(as_before, made, baseline, at(10)), Ok)
    assert isinstance(judge(as_before, made, baseline, at(20)), Breach)
    assert judge(as_before, made, None, at(10)) == NoData(Cause.NOT_YET, "check has no baseline")


def test_a_check_that_fails_is_a_breach_though_another_cannot_be_read() -> None:
    down, broken = Missing(Cause.UNREACHABLE, "down"), Missing(Cause.PROBE_BROKEN, "broken")
    failing = windows(SPECS, read("check", [down]), read("other_check", [1, 1]))
    assert isinstance(judge(CHECK, failing, None, at(5)), Breach)
    fine = windows(SPECS, read("check", [down]), read("other_check", [0, 0]))
    assert judge(CHECK, fine, None, at(5)) == NoData(Cause.UNREACHABLE, "down")
    both = windows(SPECS, read("check", [down]), read("other_check", [broken]))
    assert judge(CHECK, both, None, at(5)) == ProbeFailed("broken")
    other_way = windows(SPECS, read("check", [broken]), read("other_check", [down]))
    assert judge(CHECK, other_way, None, at(5)) == ProbeFailed("broken")


def test_nothing_completes_while_requests_wait() -> None:
    made = windows(SPECS, read("gauge", [4, 4, 4, 4]), read("total", [100, 100, 100, 100]))
    verdict = judge(STALL, made, None, at(15))
    assert isinstance(verdict, Breach)
    assert verdict.evidence.basis is Basis.CONFIDENT
    assert verdict.evidence.number("in_flight_min") == 4


@pytest.mark.parametrize(
    ("waiting", "completed"),
    [([4, 4, 4, 4], [100, 100, 101, 101]), ([0, 0, 0, 0], [100] * 4), ([4, 0, 4, 4], [100] * 4)],
)
def test_slow_or_idle_is_no_stall(waiting: list[float], completed: list[float]) -> None:
    made = windows(SPECS, read("gauge", waiting), read("total", completed))
    assert isinstance(judge(STALL, made, None, at(15)), Ok)


def test_a_stall_has_to_be_watched_for_its_whole_time() -> None:
    just_waiting = windows(SPECS, read("gauge", [4], start=at(15)), read("total", [100] * 4))
    assert isinstance(judge(STALL, just_waiting, None, at(15)), NoData)
    just_counted = windows(SPECS, read("gauge", [4] * 4), read("total", [100] * 2, start=at(10)))
    assert isinstance(judge(STALL, just_counted, None, at(15)), NoData)


def test_a_stall_says_what_is_usual() -> None:
    made = windows(SPECS, read("gauge", [4] * 16), read("total", [*range(0, 1300, 100), *([1200] * 3)]))
    baseline, _ = freeze(made, at(60), MINUTE, SECOND)
    verdict = judge(STALL, made, baseline, at(75))
    assert isinstance(verdict, Breach)
    assert verdict.evidence.number("baseline_rate") == pytest.approx(20.0)
