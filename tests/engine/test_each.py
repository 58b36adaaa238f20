"""Every value of a label is judged by itself: a canary that fails is seen however little traffic it has."""

from dataclasses import replace

import pytest

from tests.engine.series import EVERY, histogram, read, signal, windows
from tests.engine.shares import CONFIDENCE, RATIO, end
from watchdog.engine.baseline import freeze
from watchdog.engine.each import MOST, stricter, values
from watchdog.engine.judge import judge
from watchdog.engine.recheck import recheck
from watchdog.engine.windows import Windows, observe_all
from watchdog.model.rules import LatencyRule, Mode
from watchdog.model.signals import Labels, Sample, Selector, SignalKind
from watchdog.model.time import MINUTE, SECOND
from watchdog.model.verdicts import Basis, Breach, NoData, Ok, Recovery

OLD: Labels = (("version", "v1"),)
NEW: Labels = (("version", "v2"),)
SPECS = (signal("bad"), signal("total"), signal("latency", SignalKind.DISTRIBUTION))
EACH = replace(RATIO, each="version", mode=Mode.CONFIDENT)


def counted(name: str, ticks: int, a_tick: float, labels: Labels, since: int = 0) -> list[Sample]:
    return read(name, [max(0, tick - since) * a_tick for tick in range(ticks + 1)], labels=labels)


def canary(ticks: int = 24, *, bad: float = 5.0) -> Windows:
    """100 requests a tick, 5 of them by the new version, of which `bad` fail."""
    return windows(
        SPECS,
        counted("total", ticks, 95, OLD),
        counted("bad", ticks, 0, OLD),
        counted("total", ticks, 5, NEW),
        counted("bad", ticks, bad, NEW),
    )


def test_a_canary_of_five_percent_that_fails_completely_is_seen() -> None:
    assert isinstance(judge(replace(EACH, each=""), canary(), None, end(24)), Ok)
    verdict = judge(EACH, canary(), None, end(24))
    assert isinstance(verdict, Breach)
    assert verdict.evidence.basis is Basis.CONFIDENT
    assert 'bad{version="v2"} of total{version="v2"}: 100.0%' in verdict.evidence.sentence
    assert verdict.evidence.number("recent_share") == 1.0


def test_when_no_value_is_bad_the_worst_one_is_shown() -> None:
    verdict = judge(EACH, canary(bad=0.05), None, end(24))
    assert isinstance(verdict, Ok)
    assert 'version="v2"' in verdict.evidence.sentence


def test_a_value_that_is_no_longer_read_is_not_looked_at() -> None:
    gone = observe_all(canary(), [*counted("total", 60, 95, OLD)[25:], *counted("bad", 60, 0, OLD)[25:]])
    assert values(gone, Selector("total"), "version", end(60)) == ("v1",)
    assert isinstance(judge(EACH, gone, None, end(60)), Ok)


def test_without_any_value_all_is_judged_together() -> None:
    plain = windows(SPECS, counted("total", 24, 100, ()), counted("bad", 24, 90, ()))
    assert isinstance(judge(EACH, plain, None, end(24)), Breach)
    assert isinstance(judge(EACH, windows(SPECS), None, end(24)), NoData)


def test_labels_without_end_cost_no_more_and_those_with_traffic_are_kept() -> None:
    many = windows(SPECS, *(counted("total", 3, n, (("version", f"{n:04}"),)) for n in range(2 * MOST)))
    found = values(many, Selector("total"), "version", end(3))
    assert found == tuple(f"{n:04}" for n in range(MOST, 2 * MOST))


def test_more_looks_ask_for_more() -> None:
    assert stricter(CONFIDENCE, 1) == CONFIDENCE
    assert stricter(CONFIDENCE, 10).z == pytest.approx(3.64, abs=0.01)
    assert stricter(replace(CONFIDENCE, z=9.0), 10).z == 9.0


def test_latency_of_a_new_version_is_compared_with_what_was_usual_for_all() -> None:
    rule = LatencyRule(name="slow", of=Selector("latency"), each="version", mode=Mode.CONFIDENT)
    before = read("latency", [histogram(100 * n, 100 * n, 100 * n) for n in range(13)], labels=OLD)
    made = windows(SPECS, before)
    baseline, why = freeze(made, end(12), 5 * MINUTE, SECOND, (rule,))
    assert not why
    start = end(12) + EVERY
    counts = [1200 + 95 * n for n in range(1, 25)]
    after = read("latency", [histogram(count, count, count) for count in counts], start=start, labels=OLD)
    slow = read("latency", [histogram(0, 5 * n, 5 * n) for n in range(25)], start=start, labels=NEW)
    both = observe_all(made, [*after, *slow])
    verdict = judge(rule, both, baseline, end(37))
    assert isinstance(verdict, Breach)
    assert 'version="v2"' in verdict.evidence.sentence


@pytest.mark.parametrize(("bad", "outcome"), [(0.0, Recovery.RECOVERED), (5.0, Recovery.STILL_BROKEN)])
def test_it_has_recovered_when_every_value_with_traffic_has(bad: float, outcome: Recovery) -> None:
    made = canary(ticks=60, bad=bad)
    assert recheck(EACH, made, None, end(20), end(60)).outcome is outcome


def test_a_version_that_is_gone_has_nothing_to_recover_from() -> None:
    since = end(26)
    gone = observe_all(canary(), [*counted("total", 60, 95, OLD)[25:], *counted("bad", 60, 0, OLD)[25:]])
    assert recheck(EACH, gone, None, since, end(60)).outcome is Recovery.RECOVERED
