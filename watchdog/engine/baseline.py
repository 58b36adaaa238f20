"""Baselines: what every series looked like before T-0."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from watchdog.engine.fit import fit, shares, slow_shares
from watchdog.engine.proportion import quantile, slower_than
from watchdog.engine.windows import SeriesWindow, Windows
from watchdog.model.guards import Baseline, BaselineEntry, Usual
from watchdog.model.rules import LatencyRule, RatioRule, Rule
from watchdog.model.signals import Histogram, Labels, SignalId, SignalKind
from watchdog.model.time import Span, Time, in_seconds, say_span


def freeze(
    windows: Windows, t0: Time, length: Span, minimum: Span, rules: Iterable[Rule] = ()
) -> tuple[Baseline | None, str]:
    """The baseline of the last `length` before T-0, or None and why it cannot be used.

    Args:
        rules: Those whose usual share is fitted.
    """
    since = t0 - length
    entries: dict[SignalId, BaselineEntry] = {}
    oldest = t0
    for name, group in windows.series.items():
        for labels, series in group.items():
            inside = [index for index, at in enumerate(series.times) if since <= at <= t0]
            if not inside:
                continue
            oldest = min(oldest, series.times[inside[0]])
            entries[SignalId(name, labels)] = _entry(series, inside[0], inside[-1])
    if not entries:
        return None, "no signal has been read yet"
    if t0 - oldest < minimum:
        return None, f"only {say_span(t0 - oldest)} of samples before T-0, {say_span(minimum)} are asked for"
    baseline = Baseline(max(since, oldest), t0, entries)
    fitted = {rule.name: usual_of(rule, windows, baseline, baseline.since, baseline.until) for rule in rules}
    return replace(baseline, usual={name: one for name, one in fitted.items() if one is not None}), ""


def usual_of(rule: Rule, windows: Windows, baseline: Baseline, since: Time, until: Time) -> Usual | None:
    """What is usual for a rule about a share; None for another one, and without any event.

    Args:
        baseline: Says what is slow.
    """
    match rule:
        case RatioRule():
            whole = fit(shares(windows, rule.bad, rule.total, since, until))
            if whole is None or whole.share <= rule.above:
                return whole
            # An outage that was over before T-0 is no measure of what is well; a share that stays high is.
            last = fit(shares(windows, rule.bad, rule.total, until - (until - since) // 4, until))
            return last if last is not None and last.share <= rule.above else whole
        case LatencyRule():
            limit = slow_from(rule, baseline)
            if limit is None:
                return None
            slow = partial(slower_than, limit=limit)
            return fit(slow_shares(windows, rule.of, since, until, slow))
        case _:
            return None


def slow_from(rule: LatencyRule, baseline: Baseline) -> float | None:
    """From how many seconds on a request is slow; None when nothing was measured before T-0."""
    before = histogram_before(baseline, rule.of.signal, rule.of.where)
    usual = quantile(before, rule.quantile) if before else None
    if usual is None:
        return None
    return max(rule.floor, rule.times_baseline * max(usual, baseline.slowest.get(rule.name, 0.0)))


def _entry(series: SeriesWindow, first: int, last: int) -> BaselineEntry:
    samples = last - first + 1
    seconds = in_seconds(series.times[last] - series.times[first])
    rise = tuple(new - old for new, old in zip(series.totals[last], series.totals[first], strict=True))
    if series.kind is SignalKind.COUNTER:
        return BaselineEntry(series.kind, rate=rise[-1] / seconds if seconds else 0.0, samples=samples)
    if series.kind is SignalKind.DISTRIBUTION:
        return BaselineEntry(
            series.kind,
            rate=rise[-1] / seconds if seconds else 0.0,
            bounds=series.bounds,
            counts=rise,
            samples=samples,
        )
    values = [series.raws[index][-1] for index in range(first, last + 1)]
    level = values[-1] if series.kind is SignalKind.CHECK else sum(values) / samples
    return BaselineEntry(series.kind, mean=level, low=min(values), high=max(values), samples=samples)


def histogram_before(baseline: Baseline, name: str, where: Labels) -> Histogram | None:
    """The distribution of a signal before T-0, over its series that carry these labels."""
    counts: tuple[float, ...] = ()
    bounds: tuple[float, ...] = ()
    for signal, entry in baseline.entries.items():
        if signal.name != name or not entry.bounds or not all(pair in signal.labels for pair in where):
            continue
        if bounds and entry.bounds != bounds:
            continue
        bounds = entry.bounds
        counts = tuple(map(sum, zip(counts, entry.counts, strict=True))) if counts else entry.counts
    return Histogram(bounds, counts, 0.0) if counts else None


def rate_before(baseline: Baseline, name: str, where: Labels) -> float:
    """A counter's rise a second before T-0."""
    return sum(
        entry.rate
        for signal, entry in baseline.entries.items()
        if signal.name == name and all(pair in signal.labels for pair in where)
    )


def level_before(baseline: Baseline, name: str, where: Labels) -> float | None:
    """A gauge's mean or a check's last value before T-0, summed over its series; None when it was never read."""
    found = [
        entry.mean
        for signal, entry in baseline.entries.items()
        if signal.name == name and all(pair in signal.labels for pair in where)
    ]
    return sum(found) if found else None
