"""Judging: a rule against windows and baseline. It remembers nothing: the same inputs give the same verdict."""

from dataclasses import dataclass
from typing import assert_never

from watchdog.engine.baseline import histogram_before, level_before, rate_before, slow_from
from watchdog.engine.proportion import Bounds, poisson, quantile, slower_than, wilson
from watchdog.engine.windows import Rise, Windows, absence, age, levels, rise, spread
from watchdog.model.guards import Baseline
from watchdog.model.rules import (
    CheckRule,
    CountRule,
    Expect,
    GaugeRule,
    LatencyRule,
    Mode,
    RatioRule,
    Rule,
    StallRule,
)
from watchdog.model.signals import Cause, Missing, Selector
from watchdog.model.time import Span, Time, in_seconds, say_span
from watchdog.model.verdicts import Basis, Breach, Evidence, NoData, Ok, ProbeFailed, Verdict


def judge(rule: Rule, windows: Windows, baseline: Baseline | None, now: Time) -> Verdict:
    """What a rule says now."""
    match rule:
        case RatioRule():
            return _ratio(rule, windows, baseline, now)
        case LatencyRule():
            return _latency(rule, windows, baseline, now)
        case CountRule():
            return _count(rule, windows, now)
        case GaugeRule():
            return _gauge(rule, windows, now)
        case CheckRule():
            return _check(rule, windows, baseline, now)
        case _:
            return _stall(rule, windows, baseline, now)


def unavailable(selector: Selector, windows: Windows, now: Time) -> NoData | ProbeFailed | None:
    """Why a signal cannot be judged now; None when it is fresh."""
    gone = absence(windows, selector, now, age(windows, selector.signal))
    if gone is None:
        return None
    if isinstance(gone, Missing):
        if gone.cause is Cause.PROBE_BROKEN:
            return ProbeFailed(gone.detail)
        return NoData(gone.cause, gone.detail or f"{selector}: {gone.cause}")
    if gone >= now:
        return NoData(Cause.NOT_YET, f"{selector} has not been read yet")
    return NoData(Cause.TOO_OLD, f"{selector} was last read {say_span(gone)} ago")


def _recent_rise(windows: Windows, selector: Selector, length: Span, now: Time) -> Rise | None:
    since = now - length
    return rise(windows, selector, max(since, windows.floor), now, strict=since < windows.floor)


def _ratio(rule: RatioRule, windows: Windows, baseline: Baseline | None, now: Time) -> Verdict:
    # Only the total has to be fresh: a counter of errors may not exist before the first error.
    if (gone := unavailable(rule.total, windows, now)) is not None:
        return gone
    counts: list[tuple[float, Rise]] = []
    for length in (rule.confidence.window, rule.confidence.recent):
        total = _recent_rise(windows, rule.total, length, now)
        if total is None:
            return NoData(Cause.NOT_YET, f"{rule.total}: fewer than two samples in {say_span(length)}")
        bad = _recent_rise(windows, rule.bad, length, now)
        counts.append((bad.amount if bad else 0.0, total))
    return _share(rule, counts, now, of=measure(rule, rule.above, baseline), what=f"{rule.bad} of {rule.total}")


def _latency(rule: LatencyRule, windows: Windows, baseline: Baseline | None, now: Time) -> Verdict:
    if (gone := unavailable(rule.of, windows, now)) is not None:
        return gone
    before = histogram_before(baseline, rule.of.signal, rule.of.where) if baseline else None
    usual = quantile(before, rule.quantile) if before else None
    limit = slow_from(rule, baseline) if baseline else None
    if usual is None or limit is None:
        return NoData(Cause.NOT_YET, f"{rule.of} has no baseline")
    counts: list[tuple[float, Rise]] = []
    for length in (rule.confidence.window, rule.confidence.recent):
        since = now - length
        found = spread(windows, rule.of, max(since, windows.floor), now, strict=since < windows.floor)
        if found is None:
            return NoData(Cause.NOT_YET, f"{rule.of}: fewer than two samples in {say_span(length)}")
        histogram, covered = found
        counts.append((slower_than(histogram, limit), covered))
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
    """

    written: float
    above: float
    burstiness: float
    usual: float | None = None

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
    kind = Breach if recent.share > of.written else Ok
    return kind(Evidence(rule.name, now, sentence, Basis.LITERAL, numbers))


def bound(bad: float, total: Rise, *, z: float, burstiness: float) -> Bounds:
    """The share with its bounds, sample size deflated for burstiness."""
    return wilson(bad, total.amount, z=z, ticks=total.points, burstiness=burstiness)


def _count(rule: CountRule, windows: Windows, now: Time) -> Verdict:
    if (gone := unavailable(rule.of, windows, now)) is not None:
        return gone
    risen = _recent_rise(windows, rule.of, rule.per, now)
    if risen is None:
        return NoData(Cause.NOT_YET, f"{rule.of}: fewer than two samples in {say_span(rule.per)}")
    lower, _ = poisson(risen.amount, z=2.326)
    numbers = (
        ("count", risen.amount),
        ("lower", lower),
        ("window_seconds", in_seconds(risen.until - risen.since)),
        ("threshold", rule.above),
    )
    sentence = (
        f"{rule.of} rose by {risen.amount:.0f} in {say_span(risen.until - risen.since)}, "
        f"threshold {rule.above:g} in {say_span(rule.per)}"
    )
    if rule.mode is not Mode.LITERAL and lower > rule.above:
        return Breach(Evidence(rule.name, now, sentence, Basis.CONFIDENT, numbers))
    over = risen.amount > rule.above and rule.mode is not Mode.CONFIDENT
    basis = Basis.CONFIDENT if rule.mode is Mode.CONFIDENT else Basis.LITERAL
    return (Breach if over else Ok)(Evidence(rule.name, now, sentence, basis, numbers))


def _gauge(rule: GaugeRule, windows: Windows, now: Time) -> Verdict:
    if (gone := unavailable(rule.of, windows, now)) is not None:
        return gone
    # The newest one is enough: it is fresh, or there would be no data.
    read = levels(windows, rule.of, max(windows.floor, now - age(windows, rule.of.signal) - 1), now)
    if not read:
        return NoData(Cause.NOT_YET, f"{rule.of} has not been read since the last incident")
    value = read[-1][1]
    over = rule.above is not None and value > rule.above
    under = rule.below is not None and value < rule.below
    edges = [f"at most {rule.above:g}"] if rule.above is not None else []
    edges += [f"at least {rule.below:g}"] if rule.below is not None else []
    sentence = f"{rule.of} is {value:g}, expected {' and '.join(edges)}"
    evidence = Evidence(rule.name, now, sentence, Basis.LITERAL, (("value", value),))
    return Breach(evidence) if over or under else Ok(evidence)


def allowed(rule: CheckRule, of: Selector, baseline: Baseline | None) -> float | None:
    """How many violations a check may report; None when that depends on a baseline that is not there."""
    match rule.expect:
        case Expect.ZERO:
            return 0.0
        case Expect.VALUE:
            return rule.value
        case Expect.BASELINE:
            return level_before(baseline, of.signal, of.where) if baseline else None
        case _:  # pragma: no cover  # mypy shows that nothing gets here
            assert_never(rule.expect)


def _check(rule: CheckRule, windows: Windows, baseline: Baseline | None, now: Time) -> Verdict:
    fine: list[str] = []
    numbers: list[tuple[str, float]] = []
    doubt: NoData | ProbeFailed | None = None
    for of in rule.of:
        if (gone := unavailable(of, windows, now)) is not None:
            doubt = gone if doubt is None or isinstance(gone, ProbeFailed) else doubt
            continue
        limit = allowed(rule, of, baseline)
        if limit is None:
            doubt = doubt or NoData(Cause.NOT_YET, f"{of} has no baseline")
            continue
        last = [value for _, value in levels(windows, of, windows.floor, now)[-rule.confirm :]]
        if not last:
            doubt = doubt or NoData(Cause.NOT_YET, f"{of} has not been read since the last incident")
            continue
        wrong = [value != limit if rule.expect is Expect.VALUE else value > limit for value in last]
        numbers += [(str(of), last[-1]), (f"{of} allowed", limit)]
        if len(last) == rule.confirm and all(wrong):
            sentence = f"{of} reports {last[-1]:g} {_violations(last[-1])}, {limit:g} allowed ({rule.expect})"
            return Breach(Evidence(rule.name, now, sentence, Basis.CONFIDENT, tuple(numbers)))
        fine.append(f"{of} {last[-1]:g}")
    if doubt is not None:
        return doubt
    return Ok(Evidence(rule.name, now, "checks as they should be: " + ", ".join(fine), Basis.CONFIDENT, tuple(numbers)))


def _violations(count: float) -> str:
    return "violation" if count == 1 else "violations"


def _stall(rule: StallRule, windows: Windows, baseline: Baseline | None, now: Time) -> Verdict:
    for selector in (rule.in_flight, rule.completed):
        if (gone := unavailable(selector, windows, now)) is not None:
            return gone
    waiting = _waiting(rule, windows, now)
    done = _recent_rise(windows, rule.completed, rule.after, now)
    if not waiting or done is None or now - max(done.since, waiting[0][0]) < rule.after * 0.8:
        return NoData(Cause.NOT_YET, f"{rule.name}: not watched for {say_span(rule.after)} yet")
    usual = rate_before(baseline, rule.completed.signal, rule.completed.where) if baseline else 0.0
    least = min(value for _, value in waiting)
    numbers = (("completed", done.amount), ("in_flight_min", least), ("baseline_rate", usual))
    sentence = (
        f"{done.amount:.0f} requests completed in {say_span(rule.after)} while at least {least:.0f} were in flight "
        f"(usually {usual:.1f} a second)"
    )
    evidence = Evidence(rule.name, now, sentence, Basis.CONFIDENT, numbers)
    return Breach(evidence) if done.amount <= 0 and least > 0 else Ok(evidence)


def _waiting(rule: StallRule, windows: Windows, now: Time) -> tuple[tuple[Time, float], ...]:
    """Requests in flight over the whole of `after`: also the last reading before it, as a rise begins there."""
    since = now - rule.after
    reach = since - age(windows, rule.in_flight.signal)
    read = levels(windows, rule.in_flight, max(windows.floor, reach - 1), now)
    earlier = [one for one in read if reach <= one[0] <= since]
    return (*earlier[-1:], *(one for one in read if one[0] > since))
