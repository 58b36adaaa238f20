"""What was usual before T-0, and what a share is compared with because of it."""

import random
from dataclasses import replace

import pytest

from tests.engine.series import at, histogram, read, signal, windows
from tests.engine.shares import RATIO, end, traffic
from watchdog.engine.baseline import freeze
from watchdog.engine.fit import LEAST_READINGS, fit
from watchdog.engine.judge import judge, measure
from watchdog.engine.recheck import recheck
from watchdog.engine.windows import Windows
from watchdog.model.guards import Baseline, Usual
from watchdog.model.rules import CountRule, LatencyRule, RatioRule
from watchdog.model.signals import Selector, SignalKind
from watchdog.model.time import MINUTE, SECOND
from watchdog.model.verdicts import Basis, Breach, Ok, Recovery

RULE = RatioRule(name="errors", bad=Selector("bad"), total=Selector("total"), above=0.05)
SLOW = LatencyRule(name="slow", of=Selector("latency"), floor=0.05)
SPECS = (signal("bad"), signal("total"), signal("latency", SignalKind.DISTRIBUTION))


def _pairs(rho: float, share: float, readings: int, size: int) -> list[tuple[float, float]]:
    """Beta-binomial shares: the intra-cluster correlation of their events is rho."""
    draw = random.Random(4)
    scale = 1.0 / rho - 1.0 if rho else 0.0
    found = []
    for _ in range(readings):
        part = draw.betavariate(share * scale, (1 - share) * scale) if rho else share
        found.append((float(sum(draw.random() < part for _ in range(size))), float(size)))
    return found


@pytest.mark.parametrize("rho", [0.0, 0.02, 0.1])
def test_burstiness_is_found_again(rho: float) -> None:
    found = fit(_pairs(rho, 0.1, 2_000, 50))
    assert found is not None
    assert found.share == pytest.approx(0.1, abs=0.01)
    assert found.burstiness == pytest.approx(rho, abs=0.008)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([], None),
        ([(0.0, 0.0)] * 30, None),
        ([(0.0, 10.0)] * 30, Usual(0.0, 0.0, 30)),
        ([(10.0, 10.0)] * 30, Usual(1.0, 0.0, 30)),
        ([(1.0, 1.0), (0.0, 1.0)] * 30, Usual(0.5, 0.0, 60)),
        ([(0.0, 10.0), (10.0, 10.0)] * (LEAST_READINGS // 2 - 1), Usual(0.5, 0.0, LEAST_READINGS - 2)),
        ([(0.0, 10.0), (10.0, 10.0)] * LEAST_READINGS, Usual(0.5, 1.0, 2 * LEAST_READINGS)),
    ],
    ids=["no reading", "no event", "none bad", "all bad", "one event a reading", "few readings", "all alike"],
)
def test_the_edges_of_the_fit(pairs: list[tuple[float, float]], expected: Usual | None) -> None:
    assert fit(pairs) == expected


def _errors(share: float, since: float, ticks: int = 181) -> Windows:
    """Twenty requests a second; from tick 121 on, another share of them fails."""
    bad = [100 * share * min(n, 120) + 100 * since * max(0, n - 120) for n in range(ticks)]
    return windows(SPECS, read("total", [100 * n for n in range(ticks)]), read("bad", bad))


def _before(share: float) -> Baseline:
    seen = windows(
        SPECS, read("total", [100 * n for n in range(121)]), read("bad", [100 * share * n for n in range(121)])
    )
    baseline, _ = freeze(seen, at(600), 10 * MINUTE, MINUTE, (RULE, CountRule(name="n", of=Selector("bad"), above=1)))
    assert baseline is not None
    return baseline


def test_where_much_fails_already_more_must_fail() -> None:
    baseline = _before(0.03)
    assert list(baseline.usual) == ["errors"]
    assert baseline.usual["errors"].share == pytest.approx(0.03)
    assert measure(RULE, 0.05, baseline).above == pytest.approx(0.075)
    still = judge(RULE, _errors(0.03, 0.07), baseline, at(900))
    assert isinstance(still, Breach)
    assert still.evidence.basis is Basis.LITERAL
    assert still.evidence.sentence.endswith("threshold 7.5%, as 3.0% is usual")
    worse = judge(RULE, _errors(0.03, 0.15), baseline, at(900))
    assert isinstance(worse, Breach)
    assert worse.evidence.basis is Basis.CONFIDENT
    assert worse.evidence.number("usual_share") == pytest.approx(0.03)
    assert isinstance(judge(RULE, _errors(0.001, 0.07), _before(0.001), at(900)), Breach)


def test_after_a_rung_the_usual_share_is_well_again() -> None:
    again = recheck(RULE, _errors(0.03, 0.04), _before(0.03), at(600), at(900))
    assert again.outcome is Recovery.RECOVERED
    assert recheck(RULE, _errors(0.03, 0.2), _before(0.03), at(600), at(900)).outcome is Recovery.STILL_BROKEN


def test_a_hundred_good_requests_are_enough_to_call_it_well() -> None:
    few = windows(SPECS, read("total", [10 * n for n in range(11)]), read("bad", [0] * 11))
    assert recheck(RULE, few, None, at(0), at(50)).outcome is Recovery.RECOVERED


def test_a_burstier_baseline_asks_for_more() -> None:
    usual = Baseline(0, 0, usual={"errors": Usual(0.01, 0.2, 100)})
    assert measure(RULE, 0.05, usual).burstiness == pytest.approx(0.3)
    calm = replace(usual, usual={"errors": Usual(0.01, 0.0, 100)})
    assert measure(RULE, 0.05, calm).burstiness == RULE.confidence.burstiness


def test_slow_requests_are_fitted_from_buckets() -> None:
    rows = [histogram(90.0 * n, 98.0 * n, 100.0 * n) for n in range(121)]
    seen = windows(SPECS, read("latency", rows))
    baseline, _ = freeze(seen, at(600), 10 * MINUTE, MINUTE, (SLOW,))
    assert baseline is not None
    assert 0 < baseline.usual["slow"].share < 0.05
    assert isinstance(judge(SLOW, seen, baseline, at(600)), Ok)
    bare = windows(SPECS, read("total", [0, 100], every=300 * SECOND))
    nothing, _ = freeze(bare, at(600), 10 * MINUTE, MINUTE, (SLOW, RULE))
    assert nothing is not None
    assert nothing.usual == {"errors": Usual(0.0, 0.0, 1)}


def test_an_outage_that_was_over_before_t0_is_not_usual_and_a_share_that_stays_high_is() -> None:
    over = traffic([80] * 60 + [1] * 60, [100] * 120)
    baseline, why = freeze(over, end(120), 10 * MINUTE, SECOND, (RATIO,))
    assert baseline is not None, why
    assert baseline.usual[RATIO.name].share == pytest.approx(0.01)
    steady = traffic([20] * 120, [100] * 120)
    baseline, why = freeze(steady, end(120), 10 * MINUTE, SECOND, (RATIO,))
    assert baseline is not None, why
    assert baseline.usual[RATIO.name].share == pytest.approx(0.2)
