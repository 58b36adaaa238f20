from collections.abc import Iterable
from dataclasses import replace

import pytest

from tests.engine.series import at, histogram, read, windows
from tests.engine.shares import COUNT, SPECS
from watchdog.engine.baseline import freeze, slow_from
from watchdog.engine.judge import judge, measure
from watchdog.engine.seasons import DAY, Day, stretches, with_days
from watchdog.engine.windows import Windows
from watchdog.model.guards import Baseline
from watchdog.model.rules import LatencyRule, Mode, RatioRule, Rule
from watchdog.model.signals import Cause, Missing, Sample, Selector
from watchdog.model.time import MINUTE, SECOND, Time
from watchdog.model.verdicts import Breach, Ok

RULE = RatioRule(name="errors", bad=Selector("bad"), total=Selector("total"), above=0.05)
SLOW = LatencyRule(name="slow", of=Selector("latency"))
RULES: tuple[Rule, ...] = (RULE, SLOW, COUNT)
LENGTH = 10 * MINUTE
NOW = at(600)
TICKS = 121


def requests(share: float, start: Time, ticks: int = TICKS, ramp: Iterable[float] = ()) -> list[list[Sample]]:
    """A hundred requests a tick, of which a share is bad; `ramp` says how many instead, tick by tick."""
    bad, each = [0.0], iter(ramp)
    for _ in range(ticks - 1):
        bad.append(bad[-1] + next(each, 100 * share))
    return [read("total", [100 * n for n in range(ticks)], start=start), read("bad", bad, start=start)]


def answers(seconds: float, start: Time, ticks: int = TICKS) -> list[Sample]:
    """A hundred answers a tick, evenly up to so many seconds."""
    bounds = (seconds, 100.0, float("inf"))
    return read("latency", [histogram(*(100.0 * n,) * 3, bounds=bounds) for n in range(ticks)], start=start)


def day(back: int, share: float = 0.0, slowest: float = 0.1, ramp: Iterable[float] = ()) -> Day:
    [*_, (since, until)] = stretches(NOW, LENGTH, back)
    return Day(since, until, windows(SPECS, *requests(share, since, ramp=ramp), answers(slowest, since)))


def today(share: float = 0.01, slowest: float = 0.1) -> tuple[Baseline, Windows]:
    seen = windows(SPECS, *requests(share, NOW - LENGTH), answers(slowest, NOW - LENGTH))
    baseline, refusal = freeze(seen, NOW, LENGTH, MINUTE, RULES)
    assert baseline is not None, refusal
    return baseline, seen


def combined(*days: Day, share: float = 0.01, slowest: float = 0.1) -> Baseline:
    baseline, seen = today(share, slowest)
    return with_days(baseline, seen, days, MINUTE, RULES)


def test_the_stretches_end_at_the_same_time_of_each_day_before() -> None:
    assert stretches(NOW, LENGTH, 0) == ()
    assert stretches(NOW, LENGTH, 2) == (
        (NOW - DAY - LENGTH, NOW - DAY),
        (NOW - 2 * DAY - LENGTH, NOW - 2 * DAY),
    )


def test_usual_is_the_highest_share_of_today_and_the_days_before() -> None:
    found = combined(day(1, 0.02), day(2, 0.04), day(3, 0.03))
    assert found.usual["errors"].share == pytest.approx(0.04)
    assert found.usual["errors"].readings == 4 * (TICKS - 1)
    assert [one.shares["errors"] for one in found.days] == pytest.approx([0.02, 0.04, 0.03])
    assert measure(RULE, 0.05, found).above == pytest.approx(0.1)
    assert combined(day(1, 0.005)).usual["errors"].share == pytest.approx(0.01)


def test_what_was_frozen_today_stays() -> None:
    baseline, _ = today()
    found = combined(day(1, 0.02))
    assert (found.entries, found.since, found.until) == (baseline.entries, baseline.since, baseline.until)


def test_bursts_of_a_day_before_count_too() -> None:
    calm, bursts = combined(day(1, 0.02)), combined(day(1, ramp=[40 if n % 20 == 0 else 0 for n in range(TICKS)]))
    assert calm.usual["errors"].burstiness == 0.0
    assert bursts.usual["errors"].burstiness > 0.2
    assert bursts.usual["errors"].share == pytest.approx(0.02)
    baseline, seen = today()
    assert with_days(baseline, seen, (), MINUTE, RULES).usual == baseline.usual


def test_a_day_on_which_more_failed_than_the_rule_allows_is_left_out() -> None:
    found = combined(day(1, 0.06), day(2, 0.05))
    assert found.usual["errors"].share == pytest.approx(0.05)
    assert found.days[0].left_out == "errors: 6.0% of total were bad, more than 5.0%"
    assert (found.days[0].shares, found.days[0].quantiles, found.days[1].left_out) == ({}, {}, "")


def test_the_slowest_quantile_says_what_is_slow() -> None:
    found = combined(day(1, slowest=0.15), day(2, slowest=0.18))
    assert found.slowest["slow"] == pytest.approx(0.95 * 0.18)
    assert slow_from(SLOW, found) == pytest.approx(2 * 0.95 * 0.18)
    assert slow_from(SLOW, today()[0]) == pytest.approx(2 * 0.95 * 0.1)
    assert slow_from(SLOW, combined(day(1, slowest=0.06))) == pytest.approx(2 * 0.95 * 0.1)


def test_what_is_slow_is_the_same_on_every_day() -> None:
    """By that day's own quantile, 2 % of its requests would be slow."""
    [(since, until)] = stretches(NOW, LENGTH, 1)
    tail = [histogram(94.0 * n, 100.0 * n, 100.0 * n, bounds=(0.1, 0.4, float("inf"))) for n in range(TICKS)]
    one = Day(since, until, windows(SPECS, read("latency", tail, start=since)))
    found = combined(one, slowest=0.19)
    assert found.days[0].quantiles["slow"] == pytest.approx(0.15)
    assert found.usual["slow"].share == pytest.approx(0.06 * (0.4 - 2 * 0.95 * 0.19) / 0.3)


def test_a_day_that_was_much_slower_than_the_others_is_left_out() -> None:
    found = combined(day(1, slowest=0.5), day(2, slowest=0.11))
    assert found.days[0].left_out == "slow: the p95 of latency was 0.475 s, 0.104 s is typical"
    assert found.slowest["slow"] == pytest.approx(0.95 * 0.11)


def test_when_all_days_are_slow_it_is_today_that_is_quick() -> None:
    found = combined(day(1, slowest=0.5), day(2, slowest=0.5), slowest=0.06)
    assert [one.left_out for one in found.days] == ["", ""]
    assert found.slowest["slow"] == pytest.approx(0.95 * 0.5)


def test_a_short_day_is_left_out() -> None:
    [(since, until)] = stretches(NOW, LENGTH, 1)
    late = windows(SPECS, *requests(0.04, until - 30 * SECOND, ticks=7))
    early = windows(SPECS, *requests(0.04, since, ticks=7))
    found = combined(Day(since, until, late), Day(since, until, early))
    assert [one.left_out for one in found.days] == [
        "only 30 s of samples before T-0, 60 s are asked for",
        "only 30 s of samples, 60 s are asked for",
    ]
    assert found.usual["errors"].share == pytest.approx(0.01)


def test_a_day_of_which_nothing_is_known_says_why() -> None:
    [(since, until)] = stretches(NOW, LENGTH, 1)
    nothing = windows(SPECS, read("total", [Missing(Cause.NO_TRAFFIC)] * 3, start=since))
    other = windows(SPECS, read("gauge", [1.0] * TICKS, start=since))
    days = (Day(since, until, None, "no answer in 20 s"), Day(since, until, nothing), Day(since, until, other))
    assert [one.left_out for one in combined(*days).days] == [
        "no answer in 20 s",
        "no signal has been read yet",
        "nothing was counted that a rule is about",
    ]


def test_a_rule_that_only_a_day_before_knows_is_usual_as_then() -> None:
    seen = windows(SPECS, *requests(0.01, NOW - LENGTH)[:1])
    baseline, _ = freeze(seen, NOW, LENGTH, MINUTE, (SLOW,))
    assert baseline is not None
    found = with_days(baseline, seen, (day(1, 0.02),), MINUTE, RULES)
    assert found.slowest == {}
    assert found.days[0].quantiles["slow"] == pytest.approx(0.095)
    assert slow_from(SLOW, found) is None
    assert found.usual["errors"].share == pytest.approx(0.02)


def test_a_share_that_comes_every_day_is_no_breach() -> None:
    sure = replace(RULE, mode=Mode.CONFIDENT)
    seen = windows(SPECS, *requests(0.09, NOW))
    assert isinstance(judge(sure, seen, today()[0], NOW + LENGTH), Breach)
    assert isinstance(judge(sure, seen, combined(day(1, 0.04)), NOW + LENGTH), Ok)
