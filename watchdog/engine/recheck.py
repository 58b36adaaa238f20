"""Judging again after a rung: two-sided, on samples since the rung only, without hold times."""

from collections.abc import Iterable
from dataclasses import replace

from watchdog.engine.baseline import rate_before, slow_from
from watchdog.engine.each import narrowed, values
from watchdog.engine.judge import Measure, bound, measure
from watchdog.engine.judge_levels import allowed, is_clear, outside
from watchdog.engine.proportion import poisson, slower_than
from watchdog.engine.reading import lost
from watchdog.engine.windows import Rise, Windows, age, levels, rise, spread
from watchdog.model.guards import Baseline
from watchdog.model.rules import (
    CheckRule,
    CollapseRule,
    CountRule,
    GaugeRule,
    LatencyRule,
    RatioRule,
    SimpleRule,
    StallRule,
)
from watchdog.model.signals import Selector
from watchdog.model.time import Time, in_seconds, say_span
from watchdog.model.verdicts import Recheck, Recovery

COUNT_Z = RECOVERED_Z = 1.645
"""95 % one-sided: with a stricter bound nothing could be called recovered within half a minute: not a count of zero,
and not a share of none of a hundred."""
BROKEN_Z = 2.326
_ABOVE_USUAL = 1.5
"""A share that is below this many times the usual one is as well as it ever was."""
LEAST_OF_A_VALUE = 100
"""Requests since the rung from which on a value of a label is judged by itself."""
LEAST_BAD = 5
"""Whether a rung helped is asked when it is known that something was wrong: less is enough than to open an incident."""


def recheck(rule: SimpleRule, windows: Windows, baseline: Baseline | None, since: Time, now: Time) -> Recheck:
    """Whether a rule that opened the incident is well since `since`: yes, no, or not to be told yet."""
    match rule:
        case RatioRule():
            parts = _each(rule.total, rule.each, windows, since, now)
            return _all(rule, (_ratio(rule, value, windows, baseline, since, now) for value in parts))
        case LatencyRule():
            parts = _each(rule.of, rule.each, windows, since, now)
            return _all(rule, (_latency(rule, value, windows, baseline, since, now) for value in parts))
        case CountRule():
            return _count(rule, windows, since, now)
        case GaugeRule():
            return _gauge(rule, windows, since, now)
        case CheckRule():
            return _check(rule, windows, baseline, since, now)
        case CollapseRule():
            return _collapse(rule, windows, baseline, since, now)
        case _:
            return _stall(rule, windows, since, now)


def overall(checks: tuple[Recheck, ...]) -> Recovery:
    """Well when every rule is; broken when one is; undecided otherwise."""
    outcomes = {check.outcome for check in checks}
    if Recovery.STILL_BROKEN in outcomes:
        return Recovery.STILL_BROKEN
    return Recovery.RECOVERED if outcomes == {Recovery.RECOVERED} else Recovery.UNDECIDED


def _each(of: Selector, label: str, windows: Windows, since: Time, now: Time) -> tuple[str, ...]:
    """The values of a label that can be told by themselves, and an empty one for all together.

    A version that is gone, or answers its last requests, has nothing to recover from.
    """
    found: list[str] = []
    for value in values(windows, of, label, now):
        part = narrowed(of, label, value)
        whole = rise(windows, part, since, now, strict=True)
        last = rise(windows, part, max(since, now - age(windows, of.signal)), now, strict=True)
        if whole is not None and whole.amount >= LEAST_OF_A_VALUE and last is not None and last.amount > 0:
            found.append(value)
    return (*found, "")


def _all(rule: SimpleRule, checks: Iterable[Recheck]) -> Recheck:
    found = tuple(checks)
    return found[0] if len(found) == 1 else Recheck(rule.name, overall(found), "; ".join(c.sentence for c in found))


def _part(of: Selector, label: str, value: str) -> Selector:
    return narrowed(of, label, value) if value else of


def _undecided(rule: SimpleRule, why: str) -> Recheck:
    return Recheck(rule.name, Recovery.UNDECIDED, why)


def _ratio(rule: RatioRule, value: str, windows: Windows, baseline: Baseline | None, since: Time, now: Time) -> Recheck:
    whole, part = _part(rule.total, rule.each, value), _part(rule.bad, rule.each, value)
    total = rise(windows, whole, since, now, strict=True)
    if total is None or total.amount <= 0:
        return _undecided(rule, "no request since")
    if lost(part, windows, now) is not None:
        return _undecided(rule, f"{part} cannot be read")
    bad = rise(windows, part, since, now, strict=True)
    of = measure(rule, rule.above, baseline)
    if rule.clear is not None:
        of = replace(of, clear=min(of.above, max(rule.clear, _ABOVE_USUAL * (of.usual or 0.0))))
    return _share(rule, bad.amount if bad else 0.0, total, of, f"{part} of {whole}")


def _latency(
    rule: LatencyRule, value: str, windows: Windows, baseline: Baseline | None, since: Time, now: Time
) -> Recheck:
    limit = slow_from(rule, baseline) if baseline else None
    found = spread(windows, _part(rule.of, rule.each, value), since, now, strict=True)
    if limit is None or found is None or found[1].amount <= 0:
        return _undecided(rule, "no request since")
    histograms, covered = found
    of = measure(rule, 1.0 - rule.quantile, baseline)
    return _share(rule, sum(slower_than(one, limit) for one in histograms), covered, of, f"slower than {limit:.3g} s")


def _share(rule: RatioRule | LatencyRule, bad: float, total: Rise, of: Measure, what: str) -> Recheck:
    well = bound(bad, total, z=RECOVERED_Z, burstiness=of.burstiness)
    broken = bound(bad, total, z=BROKEN_Z, burstiness=of.burstiness)
    sentence = f"{what}: {bad:.0f} of {total.amount:.0f} since ({well.share:.1%}, {of.said})"
    if well.upper < (of.above if of.clear is None else of.clear):
        return Recheck(rule.name, Recovery.RECOVERED, sentence)
    if broken.lower > of.above and bad >= LEAST_BAD:
        return Recheck(rule.name, Recovery.STILL_BROKEN, sentence)
    return _undecided(rule, sentence)


def _count(rule: CountRule, windows: Windows, since: Time, now: Time) -> Recheck:
    risen = rise(windows, rule.of, since, now, strict=True)
    if risen is None:
        return _undecided(rule, "not read since")
    seconds = in_seconds(risen.until - risen.since)
    scale = in_seconds(rule.per) / max(seconds, 1e-9)
    lower, upper = poisson(risen.amount, z=COUNT_Z)
    sentence = f"{rule.of} rose by {risen.amount:.0f} in {seconds:.0f} s since"
    wanted = rule.above if rule.clear is None else rule.clear
    # Below what the bound says of a count of nothing it shows nothing: what rose by no more in as long is well.
    too_low = poisson(0.0, z=COUNT_Z)[1] > wanted
    if upper * scale <= wanted or (too_low and risen.amount <= wanted and seconds >= in_seconds(rule.per)):
        return Recheck(rule.name, Recovery.RECOVERED, sentence)
    if lower * scale > rule.above:
        return Recheck(rule.name, Recovery.STILL_BROKEN, sentence)
    return _undecided(rule, sentence)


def _gauge(rule: GaugeRule, windows: Windows, since: Time, now: Time) -> Recheck:
    read = levels(windows, rule.of, since, now)
    if not read:
        return _undecided(rule, "not read since")
    wrong = [outside(rule, value) for _, value in read[-2:]]
    sentence = f"{rule.of} is {read[-1][1]:g}"
    if is_clear(rule, read[-1][1]):
        return Recheck(rule.name, Recovery.RECOVERED, sentence)
    return Recheck(rule.name, Recovery.STILL_BROKEN if len(wrong) == 2 and all(wrong) else Recovery.UNDECIDED, sentence)


def _check(rule: CheckRule, windows: Windows, baseline: Baseline | None, since: Time, now: Time) -> Recheck:
    outcome, said = Recovery.RECOVERED, []
    for of in rule.of:
        limit = allowed(rule, of, baseline)
        last = [value for _, value in levels(windows, of, since, now)[-rule.confirm :]]
        if limit is None or not last:
            said.append(f"{of} not read since")
            outcome = Recovery.UNDECIDED if outcome is Recovery.RECOVERED else outcome
            continue
        wrong = [abs(value - limit) > 0 if rule.expect == "value" else value > limit for value in last]
        if all(wrong) and len(last) == rule.confirm:
            outcome = Recovery.STILL_BROKEN
        elif wrong[-1] and outcome is Recovery.RECOVERED:
            outcome = Recovery.UNDECIDED
        said.append(f"{of} {last[-1]:g} (allowed {limit:g})")
    return Recheck(rule.name, outcome, ", ".join(said))


def _stall(rule: StallRule, windows: Windows, since: Time, now: Time) -> Recheck:
    done = rise(windows, rule.completed, since, now, strict=True)
    if done is None:
        return _undecided(rule, "not read since")
    if done.amount > 0:
        return Recheck(rule.name, Recovery.RECOVERED, f"{done.amount:.0f} requests completed since")
    waiting = levels(windows, rule.in_flight, since, now)
    if now - since >= rule.after and waiting and min(value for _, value in waiting) > 0:
        return Recheck(rule.name, Recovery.STILL_BROKEN, f"nothing completed in {say_span(now - since)}")
    return _undecided(rule, "nothing completed yet")


def _collapse(rule: CollapseRule, windows: Windows, baseline: Baseline | None, since: Time, now: Time) -> Recheck:
    done = rise(windows, rule.of, since, now, strict=True)
    if done is None:
        return _undecided(rule, "not read since")
    seconds = in_seconds(done.until - done.since)
    wanted = rule.below * (rate_before(baseline, rule.of.signal, rule.of.where) if baseline else 0.0) * seconds
    lower, upper = poisson(done.amount, z=COUNT_Z)
    sentence = f"{rule.of} rose by {done.amount:.0f} in {seconds:.0f} s since, {wanted:.0f} are asked for"
    if lower > wanted:
        return Recheck(rule.name, Recovery.RECOVERED, sentence)
    # What was counted is shown late, and everything begins slowly after a stop.
    broken = upper < wanted and done.until - done.since >= rule.after * 0.8
    return Recheck(rule.name, Recovery.STILL_BROKEN, sentence) if broken else _undecided(rule, sentence)
