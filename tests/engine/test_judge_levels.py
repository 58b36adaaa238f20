"""Levels with a way back, and rates that collapse."""

from dataclasses import replace

import pytest

from tests.engine.series import at, read, windows
from tests.engine.shares import COLLAPSE, COUNT, GAUGE, RATIO, SPECS, end, traffic
from watchdog.engine.baseline import freeze
from watchdog.engine.judge import judge
from watchdog.engine.recheck import recheck
from watchdog.model.guards import Baseline
from watchdog.model.rules import GaugeRule, Mode
from watchdog.model.time import MINUTE, SECOND
from watchdog.model.verdicts import Breach, NoData, Ok, Recovery

HIGH = replace(GAUGE, above=10.0, below=None, clear=6.0)
LOW = replace(GAUGE, above=None, below=2.0, clear=4.0)


@pytest.mark.parametrize(
    ("rule", "value", "near"),
    [
        (HIGH, 6.0, False),
        (HIGH, 8.0, True),
        (LOW, 4.0, False),
        (LOW, 3.0, True),
        (replace(HIGH, clear=None), 8.0, False),
    ],
)
def test_between_the_levels_it_is_neither_over_nor_worse(rule: GaugeRule, value: float, *, near: bool) -> None:
    made = windows(SPECS, read("gauge", [value] * 3))
    verdict = judge(rule, made, None, end(2))
    assert isinstance(verdict, Ok)
    assert verdict.near is near
    after = recheck(rule, made, None, at(-1), end(2)).outcome
    assert after is (Recovery.UNDECIDED if near else Recovery.RECOVERED)


def test_a_share_and_a_count_have_such_a_level_too() -> None:
    made = traffic([4] * 60, [100] * 60)
    share = judge(replace(RATIO, clear=0.03, mode=Mode.LITERAL), made, None, end(60))
    count = judge(replace(COUNT, above=60, clear=40, mode=Mode.LITERAL), made, None, end(60))
    assert isinstance(share, Ok)
    assert share.near
    assert isinstance(count, Ok)
    assert count.near
    after = recheck(replace(RATIO, clear=0.03), made, None, at(0), end(60))
    assert after.outcome is Recovery.UNDECIDED
    assert recheck(replace(RATIO, above=0.05), traffic([1] * 60, [100] * 60), None, at(0), end(60)).outcome is (
        Recovery.RECOVERED
    )


def before(rates: list[float]) -> Baseline:
    baseline, why = freeze(traffic([0] * len(rates), rates), end(len(rates)), 10 * MINUTE, SECOND)
    assert baseline is not None, why
    return baseline


@pytest.mark.parametrize(("a_tick", "breach"), [(50.0, False), (15.0, False), (4.0, True), (0.0, True)])
def test_a_rate_that_collapses(a_tick: float, *, breach: bool) -> None:
    made = traffic([0] * 20, [50] * 12 + [a_tick] * 8)
    verdict = judge(COLLAPSE, made, before([50] * 12), end(20))
    assert isinstance(verdict, Breach) is breach
    if breach:
        outcome = recheck(COLLAPSE, made, before([50] * 12), end(12), end(20)).outcome
        assert outcome is Recovery.STILL_BROKEN


def test_a_first_look_decides_nothing() -> None:
    made = traffic([0] * 20, [50] * 12 + [0] * 8)
    assert recheck(COLLAPSE, made, before([50] * 12), end(17), end(20)).outcome is Recovery.UNDECIDED


def test_it_has_recovered_when_the_rate_is_back() -> None:
    made = traffic([0] * 20, [0] * 10 + [50] * 10)
    assert recheck(COLLAPSE, made, before([50] * 12), end(11), end(20)).outcome is Recovery.RECOVERED


def test_without_a_rate_before_there_is_nothing_to_collapse() -> None:
    made = traffic([0] * 20, [0] * 20)
    assert isinstance(judge(COLLAPSE, made, before([1] * 12), end(20)), NoData)
    assert isinstance(judge(COLLAPSE, made, None, end(20)), NoData)


def test_it_is_told_only_after_having_looked_for_long_enough() -> None:
    assert isinstance(judge(COLLAPSE, traffic([0] * 3, [0] * 3), before([50] * 12), end(3)), NoData)
