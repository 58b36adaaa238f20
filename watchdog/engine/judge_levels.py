"""Judging counts, levels, checks and standstills."""

from typing import assert_never

from watchdog.engine.baseline import level_before, rate_before
from watchdog.engine.proportion import poisson
from watchdog.engine.reading import recent_rise, unavailable
from watchdog.engine.windows import Windows, age, levels, select
from watchdog.model.guards import Baseline
from watchdog.model.rules import CheckRule, CollapseRule, CountRule, Expect, GaugeRule, Mode, StallRule
from watchdog.model.signals import Cause, Selector
from watchdog.model.time import Time, in_seconds, say_span
from watchdog.model.verdicts import Basis, Breach, Evidence, NoData, Ok, ProbeFailed, Verdict

_Z = 2.326
"""99 % one-sided, of a count in one stretch of time (Poisson)."""


def judge_count(rule: CountRule, windows: Windows, now: Time) -> Verdict:
    """Whether a counter rises too fast."""
    if (gone := unavailable(rule.of, windows, now)) is not None:
        return gone
    risen = recent_rise(windows, rule.of, rule.per, now)
    if risen is None:
        return NoData(Cause.NOT_YET, f"{rule.of}: fewer than two samples in {say_span(rule.per)}")
    lower, _ = poisson(risen.amount, z=_Z)
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
    basis = Basis.CONFIDENT if rule.mode is Mode.CONFIDENT else Basis.LITERAL
    evidence = Evidence(rule.name, now, sentence, basis, numbers)
    if risen.amount > rule.above and rule.mode is not Mode.CONFIDENT:
        return Breach(evidence)
    return Ok(evidence, near=rule.clear is not None and risen.amount > rule.clear)


def judge_gauge(rule: GaugeRule, windows: Windows, now: Time) -> Verdict:
    """Whether a level is out of bounds."""
    if (gone := unavailable(rule.of, windows, now)) is not None:
        return gone
    silent = (series.missing for _, series in select(windows, rule.of) if series.missing_at > (series.newest or 0))
    if (missing := next((one for one in silent if one is not None), None)) is not None:
        return NoData(missing.cause, f"{rule.of}: {missing.detail or missing.cause}")
    # The newest one is enough: it is fresh, or there would be no data.
    read = levels(windows, rule.of, max(windows.floor, now - age(windows, rule.of.signal) - 1), now)
    if not read:
        return NoData(Cause.NOT_YET, f"{rule.of} has not been read since the last incident")
    value = read[-1][1]
    edges = [f"at most {rule.above:g}"] if rule.above is not None else []
    edges += [f"at least {rule.below:g}"] if rule.below is not None else []
    sentence = f"{rule.of} is {value:g}, expected {' and '.join(edges)}"
    evidence = Evidence(rule.name, now, sentence, Basis.LITERAL, (("value", value),))
    return Breach(evidence) if outside(rule, value) else Ok(evidence, near=not is_clear(rule, value))


def outside(rule: GaugeRule, value: float) -> bool:
    """Whether a level is out of bounds."""
    return (rule.above is not None and value > rule.above) or (rule.below is not None and value < rule.below)


def is_clear(rule: GaugeRule, value: float) -> bool:
    """Whether a level is well enough for the rule to be over."""
    if rule.clear is None or outside(rule, value):
        return not outside(rule, value)
    return value <= rule.clear if rule.above is not None else value >= rule.clear


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


def judge_check(rule: CheckRule, windows: Windows, baseline: Baseline | None, now: Time) -> Verdict:
    """Whether checks report more than they may."""
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


def judge_stall(rule: StallRule, windows: Windows, baseline: Baseline | None, now: Time) -> Verdict:
    """Whether requests are in flight and none completes."""
    for selector in (rule.in_flight, rule.completed):
        if (gone := unavailable(selector, windows, now)) is not None:
            return gone
    waiting = _waiting(rule, windows, now)
    done = recent_rise(windows, rule.completed, rule.after, now)
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


def judge_collapse(rule: CollapseRule, windows: Windows, baseline: Baseline | None, now: Time) -> Verdict:
    """Whether a counter rises much slower than before T-0."""
    if (gone := unavailable(rule.of, windows, now)) is not None:
        return gone
    usual = rate_before(baseline, rule.of.signal, rule.of.where) if baseline else 0.0
    if usual < rule.least:
        return NoData(Cause.NOT_YET, f"{rule.of} rose by {usual:.2g} a second before T-0, {rule.least:g} are asked for")
    done = recent_rise(windows, rule.of, rule.after, now)
    if done is None or done.until - done.since < rule.after * 0.8:
        return NoData(Cause.NOT_YET, f"{rule.name}: not watched for {say_span(rule.after)} yet")
    seconds = in_seconds(done.until - done.since)
    _, upper = poisson(done.amount, z=_Z)
    numbers = (
        ("count", done.amount),
        ("upper", upper),
        ("window_seconds", seconds),
        ("baseline_rate", usual),
        ("threshold", rule.below * usual * seconds),
    )
    share = done.amount / (usual * seconds)
    sentence = (
        f"{rule.of} rose by {done.amount:.0f} in {seconds:.0f} s, {share:.0%} of what is usual"
        f" ({usual:.1f} a second), threshold {rule.below:.0%}"
    )
    evidence = Evidence(rule.name, now, sentence, Basis.CONFIDENT, numbers)
    return Breach(evidence) if upper < rule.below * usual * seconds else Ok(evidence)
