"""How long a confident breach takes, and what holds for any samples."""

import math
import random
import statistics
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.series import EVERY, T0, at, histogram, read, windows
from tests.engine.shares import (
    CHECK,
    COLLAPSE,
    CONFIDENCE,
    COUNT,
    GAUGE,
    LATENCY,
    RATIO,
    RULES,
    SPECS,
    STALL,
    end,
    traffic,
)
from watchdog.engine.baseline import freeze
from watchdog.engine.judge import judge
from watchdog.engine.recheck import recheck
from watchdog.model.rules import (
    CheckRule,
    Confidence,
    CountRule,
    Expect,
    GaugeRule,
    LatencyRule,
    Mode,
    SimpleRule,
)
from watchdog.model.signals import Cause, Missing, Sample, SignalId
from watchdog.model.time import MINUTE, SECOND
from watchdog.model.verdicts import Basis, Breach, NoData, Ok, ProbeFailed


def detected(share: float, rate: float, burstiness: float, rng: random.Random | None = None) -> float:
    """Seconds from the first error to a confident breach; with `rng`, of arrivals as chance has them."""
    rule = replace(RATIO, mode=Mode.CONFIDENT, confidence=Confidence(burstiness=burstiness))
    totals, bads = [0.0], [0.0]
    for tick in range(-60, 120):
        wrong = share if tick >= 0 else 0.0
        if rng is None:
            all_now, bad_now = rate * 5, rate * 5 * wrong
        else:
            all_now = float(sum(rng.random() < 0.1 for _ in range(round(rate * 50))))
            bad_now = float(sum(rng.random() < wrong for _ in range(int(all_now))))
        totals.append(totals[-1] + all_now)
        bads.append(bads[-1] + bad_now)
    made = windows(SPECS, read("total", totals, start=at(-300)), read("bad", bads, start=at(-300)))
    for tick in range(1, 120):
        if isinstance(judge(rule, made, None, end(tick)), Breach):
            return tick * 5
    return math.inf


@pytest.mark.parametrize(("share", "seconds"), [(1.0, 20), (0.5, 40), (0.2, 95), (0.1, 185)])
def test_detection_takes_this_long_at_fifty_requests_a_second_with_the_default_burstiness(
    share: float, seconds: float
) -> None:
    assert detected(share, 50, CONFIDENCE.burstiness) == pytest.approx(seconds, abs=5)


@pytest.mark.parametrize(("share", "seconds"), [(1.0, 30), (0.5, 60), (0.2, 120), (0.1, 323)])
def test_detection_at_two_requests_a_second_is_as_fast_as_it_is_meant_to_be(share: float, seconds: float) -> None:
    # The median of seeded runs at the default burstiness of 0.02; with so little traffic chance decides a tick or two.
    times = [detected(share, 2, CONFIDENCE.burstiness, random.Random(seed)) for seed in range(15)]
    assert 0.6 * seconds <= statistics.median(times) <= seconds + 5


def test_read_as_written_a_total_outage_needs_its_whole_hold() -> None:
    # The literal verdict is there at once; `decide` holds it for 5 minutes (see test_decide).
    literal = replace(RATIO, mode=Mode.LITERAL)
    made = traffic([0] * 60 + [250], [250] * 61)
    assert isinstance(judge(literal, made, None, end(61)), Breach)
    assert literal.hold == 300 * SECOND


ticks = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), min_size=2, max_size=70)


@settings(max_examples=150, deadline=None)
@given(ticks, st.data(), st.sampled_from(Mode))
def test_more_bad_events_never_turn_a_breach_into_an_ok(
    found: list[tuple[int, int]], data: st.DataObject, mode: Mode
) -> None:
    rule = replace(RATIO, mode=mode)
    totals: list[float] = [float(max(pair)) for pair in found]
    bads: list[float] = [float(min(pair)) for pair in found]
    worse = [bad + data.draw(st.integers(0, int(total - bad))) for bad, total in zip(bads, totals, strict=True)]
    before = judge(rule, traffic(bads, totals), None, end(len(found)))
    after = judge(rule, traffic(worse, totals), None, end(len(found)))
    if isinstance(before, Breach):
        assert isinstance(after, Breach)
        if before.evidence.basis is Basis.CONFIDENT:
            assert after.evidence.basis is Basis.CONFIDENT


plain = st.one_of(st.integers(0, 100).map(float), st.floats(), st.sampled_from(Cause).map(Missing))
buckets = st.lists(st.floats(0, 1e9), min_size=3, max_size=3).map(lambda counts: histogram(*counts))
readings = st.builds(
    Sample,
    st.builds(SignalId, st.sampled_from([spec.name for spec in SPECS]), st.sampled_from([(), (("a", "b"),)])),
    st.integers(0, 60).map(lambda tick: T0 + tick * EVERY),
    st.one_of(plain, buckets),
)
any_rule = st.one_of(
    st.builds(
        RATIO.__class__,
        name=st.just("r"),
        bad=st.just(RATIO.bad),
        total=st.just(RATIO.total),
        above=st.floats(0, 1),
        mode=st.sampled_from(Mode),
        min_samples=st.integers(0, 50),
    ),
    st.builds(
        LatencyRule,
        name=st.just("l"),
        of=st.just(LATENCY.of),
        quantile=st.floats(0.01, 0.99),
        mode=st.sampled_from(Mode),
    ),
    st.builds(CountRule, name=st.just("c"), of=st.just(COUNT.of), above=st.floats(0, 100), mode=st.sampled_from(Mode)),
    st.builds(GaugeRule, name=st.just("g"), of=st.just(GAUGE.of), above=st.floats(0, 100)),
    st.builds(
        CheckRule, name=st.just("k"), of=st.just(CHECK.of), expect=st.sampled_from(Expect), confirm=st.integers(1, 3)
    ),
    st.just(STALL),
    st.just(COLLAPSE),
    st.just(replace(RATIO, each="x", clear=0.01)),
)


@settings(max_examples=300, deadline=None)
@given(
    rule=any_rule,
    samples=st.lists(readings, max_size=80),
    tick=st.integers(0, 70),
    zero=st.integers(0, 60),
    floored=st.booleans(),
)
def test_any_rule_answers_over_any_windows_and_says_why(
    rule: SimpleRule, samples: list[Sample], tick: int, zero: int, *, floored: bool
) -> None:
    made = replace(windows(SPECS, samples), floor=end(zero) if floored else 0)
    baseline, _ = freeze(made, end(zero), 5 * MINUTE, SECOND)
    verdict = judge(rule, made, baseline, end(tick))
    if isinstance(verdict, Ok | Breach):
        assert verdict.evidence.rule == rule.name
        assert verdict.evidence.sentence
        assert verdict.evidence.numbers
    elif isinstance(verdict, NoData):
        assert verdict.detail
    again = recheck(rule, made, baseline, end(zero), end(tick))
    assert again.sentence


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(RULES), st.lists(st.sampled_from(Cause).map(Missing), max_size=5), st.integers(0, 70))
def test_without_a_value_there_is_no_breach(rule: SimpleRule, gone: list[Missing], tick: int) -> None:
    made = windows(SPECS, *(read(spec.name, gone) for spec in SPECS))
    assert isinstance(judge(rule, made, None, end(tick)), NoData | ProbeFailed)
