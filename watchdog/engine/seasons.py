"""Baselines by time of day: what was usual at the same time on the days before.

After a quiet quarter of an hour everything looks unusual. Where the past is known, usual is the most that today or a
healthy day before has shown.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median_low
from typing import Final

from watchdog.engine.baseline import freeze, histogram_before, usual_of
from watchdog.engine.proportion import quantile
from watchdog.engine.windows import Windows
from watchdog.model.days import DayBefore
from watchdog.model.guards import Baseline, Usual
from watchdog.model.rules import LatencyRule, RatioRule, Rule
from watchdog.model.time import HOUR, Span, Time, say_span

DAY: Final[Span] = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Day:
    """What is known of the same stretch of an earlier day.

    Attributes:
        windows: Its samples; None when they could not be had.
        why: Why not.
    """

    since: Time
    until: Time
    windows: Windows | None
    why: str = ""


def stretches(t0: Time, length: Span, days: int) -> tuple[tuple[Time, Time], ...]:
    """The same stretch of each day before, newest first: as long as today's, ending at T-0's time of day."""
    return tuple((t0 - back * DAY - length, t0 - back * DAY) for back in range(1, days + 1))


def with_days(
    baseline: Baseline, windows: Windows, days: Iterable[Day], minimum: Span, rules: Sequence[Rule]
) -> Baseline:
    """Today's baseline, in which usual for each rule is the most that today or a healthy day before has shown.

    Args:
        windows: Today's.
        minimum: A day of which less is known is left out.
    """
    today = _quantiles(baseline, rules)
    known = [_look(day, minimum, rules) for day in days]
    typical = {
        name: median_low([one, *(each.quantiles[name] for each in known if name in each.quantiles)])
        for name, one in today.items()
    }
    looked = [_checked(one, typical, rules) for one in known]
    slowest = {
        name: max([one, *(each.quantiles[name] for each in looked if name in each.quantiles)])
        for name, one in today.items()
    }
    whole = replace(baseline, slowest=slowest)
    usual = _usual(windows, whole, baseline.since, baseline.until, rules)
    before: list[DayBefore] = []
    for one in looked:
        day = one.day
        found = _usual(day.windows, whole, day.since, day.until, rules) if day.windows and not one.why else {}
        usual |= {name: _most(usual[name], more) if name in usual else more for name, more in found.items()}
        shares = {name: more.share for name, more in found.items()}
        before.append(DayBefore(day.since, day.until, one.why, shares, dict(one.quantiles)))
    return replace(whole, usual=usual, days=tuple(before))


@dataclass(frozen=True, slots=True)
class _Looked:
    """A day with what was found; one that is left out (`why`) has found nothing."""

    day: Day
    why: str = ""
    quantiles: Mapping[str, float] = field(default_factory=dict)


def _look(day: Day, minimum: Span, rules: Sequence[Rule]) -> _Looked:
    """Whether a day by itself can be used."""
    if day.windows is None:
        return _Looked(day, day.why)
    found, refusal = freeze(day.windows, day.until, day.until - day.since, minimum, rules)
    if found is None:
        return _Looked(day, refusal)
    times = [at for group in day.windows.series.values() for series in group.values() for at in series.times]
    known = max(times) - found.since
    if known < minimum:
        return _Looked(day, f"only {say_span(known)} of samples, {say_span(minimum)} are asked for")
    if not found.usual:
        return _Looked(day, "nothing was counted that a rule is about")
    for rule in rules:
        usual = found.usual.get(rule.name)
        if isinstance(rule, RatioRule) and usual is not None and usual.share > rule.above:
            return _Looked(day, f"{rule.name}: {usual.share:.1%} of {rule.total} were bad, more than {rule.above:.1%}")
    return _Looked(day, quantiles=_quantiles(found, rules))


def _checked(one: _Looked, typical: Mapping[str, float], rules: Sequence[Rule]) -> _Looked:
    """The same day, left out when it was much slower than these days mostly are."""
    for rule in rules:
        if not isinstance(rule, LatencyRule) or rule.name not in one.quantiles or rule.name not in typical:
            continue
        found, usual = one.quantiles[rule.name], typical[rule.name]
        if found > max(rule.floor, rule.times_baseline * usual):
            why = f"{rule.name}: the p{rule.quantile * 100:g} of {rule.of} was {found:.3g} s, {usual:.3g} s is typical"
            return _Looked(one.day, why)
    return one


def _usual(windows: Windows, whole: Baseline, since: Time, until: Time, rules: Sequence[Rule]) -> dict[str, Usual]:
    """By rule. What is slow is what would be slow after T-0, on every day alike."""
    fitted = {rule.name: usual_of(rule, windows, whole, since, until) for rule in rules}
    return {name: one for name, one in fitted.items() if one is not None}


def _quantiles(baseline: Baseline, rules: Sequence[Rule]) -> dict[str, float]:
    found: dict[str, float] = {}
    for rule in rules:
        if isinstance(rule, LatencyRule):
            before = histogram_before(baseline, rule.of.signal, rule.of.where)
            value = quantile(before, rule.quantile) if before else None
            if value is not None:
                found[rule.name] = value
    return found


def _most(one: Usual, other: Usual) -> Usual:
    return Usual(max(one.share, other.share), max(one.burstiness, other.burstiness), one.readings + other.readings)
