"""Judging: a rule against windows and baseline. It remembers nothing: the same inputs give the same verdict."""

from dataclasses import dataclass, replace

from watchdog.engine.baseline import histogram_before, slow_from
from watchdog.engine.each import each_latency, each_ratio, worst
from watchdog.engine.judge_levels import judge_check, judge_collapse, judge_count, judge_gauge, judge_stall
from watchdog.engine.proportion import Bounds, quantile, slower_than, wilson
from watchdog.engine.reading import lost, recent_rise, unavailable
from watchdog.engine.windows import Rise, Windows, spread
from watchdog.model.guards import Baseline
from watchdog.model.rules import (
    CheckRule,
    CollapseRule,
    CountRule,
    GaugeRule,
    LatencyRule,
    Mode,
    RatioRule,
    SimpleRule,
)
from watchdog.model.signals import Cause, Selector
from watchdog.model.time import Time, in_seconds, say_span
from watchdog.model.verdicts import Basis, Breach, Evidence, NoData, Ok, Verdict


def judge(rule: SimpleRule, windows: Windows, baseline: Baseline | None, now: Time) -> Verdict:
    """What a rule says now."""
    match rule:
        case RatioRule():
            return worst(_ratio(one, windows, baseline, now) for one in each_ratio(rule, windows, now))
        case LatencyRule():
            parts = each_latency(rule, windows, now)
            return worst(_latency(one, rule.of, windows, baseline, now) for one in parts)
        case CountRule():
            return judge_count(rule, windows, now)
        case GaugeRule():
            return judge_gauge(rule, windows, now)
        case CheckRule():
            return judge_check(rule, windows, baseline, now)
        case CollapseRule():
            return judge_collapse(rule, windows, baseline, now)
        case _:
            return judge_stall(rule, windows, baseline, now)


def _ratio(rule: RatioRule, windows: Windows, baseline: Baseline | None, now: Time) -> Verdict:
    # Only the total has to be fresh: a counter of errors may not exist before the first error.
    if (gone := unavailable(rule.total, windows, now) or lost(rule.bad, windows, now)) is not None:
        return gone
    counts: list[tuple[float, Rise]] = []
    for length in (rule.confidence.window, rule.confidence.recent):
        total = recent_rise(windows, rule.total, length, now)
        if total is None:
            return NoData(Cause.NOT_YET, f"{rule.total}: fewer than two samples in {say_span(length)}")
        bad = recent_rise(windows, rule.bad, length, now)
        counts.append((bad.amount if bad else 0.0, total))
    return _share(rule, counts, now, of=measure(rule, rule.above, baseline), what=f"{rule.bad} of {rule.total}")


def _latency(rule: LatencyRule, whole: Selector, windows: Windows, baseline: Baseline | None, now: Time) -> Verdict:
    """Judges a distribution against what all of it (`whole`) was before T-0."""
    if (gone := unavailable(rule.of, windows, now)) is not None:
        return gone
    before = histogram_before(baseline, whole.signal, whole.where) if baseline else None
    usual = quantile(before, rule.quantile) if before else None
    limit = slow_from(replace(rule, of=whole), baseline) if baseline else None
    if usual is None or limit is None or baseline is None:
        return NoData(Cause.NOT_YET, f"{rule.of} has no baseline")
    usual = max(usual, baseline.slowest.get(rule.name, 0.0))
    counts: list[tuple[float, Rise]] = []
    for length in (rule.confidence.window, rule.confidence.recent):
        since = now - length
        found = spread(windows, rule.of, max(since, windows.floor), now, strict=since < windows.floor)
        if found is None:
            return NoData(Cause.NOT_YET, f"{rule.of}: fewer than two samples in {say_span(length)}")
        histograms, covered = found
        counts.append((sum(slower_than(one, limit) for one in histograms), covered))
    what = f"{rule.of} slower than {limit:.3g} s (the baseline's p{rule.quantile * 100:g} is {usual:.3g} s)"
    more = (("limit_seconds", limit), ("baseline_seconds", usual))
    return _share(rule, counts, now, of=measure(rule, 1.0 - rule.quantile, baseline), what=what, more=more)


@dataclass(frozen=True, slots=True)
class Measure:
    """What a share is compared with.

    Attributes:
        written: The threshold as the rule says it (0 to 1).
        above: The threshold of the test, which is higher where more than the usual share is above it.
        burstiness: By which the test deflates the sample size.
        usual: The share before T-0; None where it is not known.
        clear: Below which it is well again, where that is less than `above`.
    """

    written: float
    above: float
    burstiness: float
    usual: float | None = None
    clear: float | None = None

    @property
    def said(self) -> str:
        """The threshold, for people."""
        if self.usual is None or self.above <= self.written:
            return f"threshold {self.written:.1%}"
        return f"threshold {self.above:.1%}, as {self.usual:.1%} is usual"


_BURSTIER = 1.5
"""A fit over a few minutes is uncertain, and calling the sample too small costs only seconds."""


def measure(rule: RatioRule | LatencyRule, written: float, baseline: Baseline | None) -> Measure:
    """The threshold and burstiness of a rule, given what was usual before T-0."""
    usual = baseline.usual.get(rule.name) if baseline is not None else None
    if usual is None:
        return Measure(written, written, rule.confidence.burstiness)
    above = max(written, min(1.0, rule.confidence.times_usual * usual.share))
    burstiness = min(1.0, max(rule.confidence.burstiness, _BURSTIER * usual.burstiness))
    return Measure(written, above, burstiness, usual.share)


def _share(
    rule: RatioRule | LatencyRule,
    counts: list[tuple[float, Rise]],
    now: Time,
    *,
    of: Measure,
    what: str,
    more: tuple[tuple[str, float], ...] = (),
) -> Verdict:
    """The share test of both ratios and latencies, on the long and on the recent window."""
    (bad, total), (recent_bad, recent_total) = counts
    if total.amount <= 0:
        return NoData(Cause.NO_TRAFFIC, f"{rule.name}: nothing was counted in {say_span(rule.confidence.window)}")
    z = rule.confidence.z
    long = bound(bad, total, z=z, burstiness=of.burstiness)
    recent = bound(recent_bad, recent_total, z=z, burstiness=of.burstiness)
    numbers = (
        ("bad", bad),
        ("total", total.amount),
        ("share", long.share),
        ("lower", long.lower),
        ("window_seconds", in_seconds(total.until - total.since)),
        ("recent_bad", recent_bad),
        ("recent_total", recent_total.amount),
        ("recent_share", recent.share),
        ("recent_lower", recent.lower),
        ("threshold", of.written),
        ("confident_threshold", of.above),
        ("burstiness", of.burstiness),
        *((("usual_share", of.usual),) if of.usual is not None else ()),
        *more,
    )
    sentence = (
        f"{what}: {recent.share:.1%} in the last {say_span(recent_total.until - recent_total.since)} "
        f"({recent_bad:.0f} of {recent_total.amount:.0f}), {of.said}"
    )
    sure = long.lower > of.above and recent.lower > of.above and bad >= rule.confidence.min_bad
    if rule.mode is not Mode.LITERAL and sure:
        return Breach(Evidence(rule.name, now, sentence, Basis.CONFIDENT, numbers))
    if rule.mode is Mode.CONFIDENT:
        return Ok(Evidence(rule.name, now, sentence, Basis.CONFIDENT, numbers))
    if recent_total.amount < rule.min_samples:
        return NoData(
            Cause.NO_TRAFFIC, f"{rule.name}: {recent_total.amount:.0f} counted, {rule.min_samples} are asked for"
        )
    evidence = Evidence(rule.name, now, sentence, Basis.LITERAL, numbers)
    if recent.share > of.written:
        return Breach(evidence)
    return Ok(evidence, near=isinstance(rule, RatioRule) and rule.clear is not None and recent.share > rule.clear)


def bound(bad: float, total: Rise, *, z: float, burstiness: float) -> Bounds:
    """The share with its bounds, sample size deflated for burstiness."""
    return wilson(bad, total.amount, z=z, ticks=total.points, burstiness=burstiness)
