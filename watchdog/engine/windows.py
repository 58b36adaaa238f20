"""Windows: the recent samples of every series, ready to be asked for rises and levels.

Counters and distributions are kept twice: as read, and corrected for resets, so that a rise over any stretch is one
subtraction. A sample that comes late is sorted in; one of an instant that is there already is dropped, and so is one
that is no reading at all (not finite, a negative count, a late one of other buckets).
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

from watchdog.model.signals import Histogram, Labels, Missing, Sample, Selector, SignalKind, SignalSpec
from watchdog.model.time import MINUTE, SECOND, Span, Time


@dataclass(frozen=True, slots=True)
class SeriesWindow:
    """One series.

    Attributes:
        totals: For counters the reset-corrected count, for distributions the corrected cumulative counts (the last
            one is the number of observations), for others the value, each as a tuple.
        missing: The newest reading, when it was none.
        swaps: When a count fell and was back above where it had been at the next reading: another process answered.
    """

    kind: SignalKind
    times: tuple[Time, ...] = ()
    raws: tuple[tuple[float, ...], ...] = ()
    totals: tuple[tuple[float, ...], ...] = ()
    bounds: tuple[float, ...] = ()
    missing: Missing | None = None
    missing_at: Time = 0
    swaps: tuple[Time, ...] = ()

    @property
    def newest(self) -> Time | None:
        """Time of the newest value."""
        return self.times[-1] if self.times else None


@dataclass(frozen=True, slots=True)
class Windows:
    """Every series of a guard, by signal name and labels.

    Attributes:
        keep: Older samples are let go; the newest before that is kept, so that a rise has its start.
        ages: By signal name, how old its newest value may be before there is no data.
        floor: Judging looks at nothing earlier: it belongs to an incident that is dealt with.
    """

    kinds: Mapping[str, SignalKind]
    keep: Span = 15 * MINUTE
    ages: Mapping[str, Span] = field(default_factory=dict)
    floor: Time = 0
    series: Mapping[str, Mapping[Labels, SeriesWindow]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rise:
    """How far a counter rose.

    Attributes:
        since: Where the stretch that was really covered begins: at the last sample before the asked start, unless that
            is older than the signal's age, because nobody looked; then at the first sample after it.
        points: Samples in the stretch, over all series the most.
    """

    amount: float
    since: Time
    until: Time
    points: int


STALE_INTERVALS = 4
"""A signal whose newest value is older than this many of its intervals has no data."""

SWAPS = 3
"""So many swaps within `SWAPPED_WITHIN` mean that several processes answer under one name."""
SWAPPED_WITHIN: Span = 2 * MINUTE

COUNTED = frozenset({SignalKind.COUNTER, SignalKind.DISTRIBUTION})
"""Kinds whose values only rise, until they are reset."""

DEFAULT_AGE: Span = 15 * SECOND
"""The age of a signal whose interval is not known."""


def empty(signals: Iterable[SignalSpec], keep: Span) -> Windows:
    """Windows for these signals, with nothing in them."""
    specs = tuple(signals)
    return Windows(
        kinds={spec.name: spec.kind for spec in specs},
        keep=keep,
        ages={spec.name: STALE_INTERVALS * spec.every + SECOND for spec in specs},
    )


def observe(windows: Windows, sample: Sample) -> Windows:
    """The windows with one more sample; a sample of an unknown signal changes nothing."""
    return observe_all(windows, (sample,))


def observe_all(windows: Windows, samples: Iterable[Sample]) -> Windows:
    """The windows with more samples."""
    by_name: dict[str, dict[Labels, SeriesWindow]] = {}
    for sample in samples:
        kind = windows.kinds.get(sample.signal.name)
        if kind is None:
            continue
        name = sample.signal.name
        if name not in by_name:
            by_name[name] = dict(windows.series.get(name, {}))
        if isinstance(sample.value, Missing):
            _mark_missing(by_name[name], kind, sample, sample.value)
        else:
            series = by_name[name].get(sample.signal.labels, SeriesWindow(kind))
            added = _add(series, sample.at, sample.value, windows.keep)
            if added.times:
                by_name[name][sample.signal.labels] = added
    if not by_name:
        return windows
    return replace(
        windows, series={**windows.series, **{name: _alive(by_name[name], windows.keep) for name in by_name}}
    )


def age(windows: Windows, name: str) -> Span:
    """How old the newest value of a signal may be before there is no data."""
    return windows.ages.get(name, DEFAULT_AGE)


def _alive(group: dict[Labels, SeriesWindow], keep: Span) -> dict[Labels, SeriesWindow]:
    """Without the series that no reading has named for so long: labels come and go (pods), memory stays bounded."""
    if len(group) == 1:
        return group
    last = {labels: max(series.newest or 0, series.missing_at) for labels, series in group.items()}
    newest = max(last.values(), default=0)
    return {labels: series for labels, series in group.items() if last[labels] > newest - keep}


def _mark_missing(group: dict[Labels, SeriesWindow], kind: SignalKind, sample: Sample, missing: Missing) -> None:
    """A reading without labels speaks for every series of its signal."""
    labels = sample.signal.labels
    for key in list(group) if not labels and group else [labels]:
        series = group.get(key, SeriesWindow(kind))
        if sample.at > max(series.missing_at, series.newest or 0):
            group[key] = replace(series, missing=missing, missing_at=sample.at)


def _add(series: SeriesWindow, at: Time, value: float | Histogram, keep: Span) -> SeriesWindow:
    raw = _raw(series, value)
    if raw is None:
        return series
    bounds = value.bounds if isinstance(value, Histogram) else ()
    late = bool(series.times) and at <= series.times[-1]
    if bounds != series.bounds and series.times:
        if late:
            return series
        series = SeriesWindow(series.kind, missing=series.missing, missing_at=series.missing_at)
    if late:
        return _insert(series, at, raw, keep)
    total = _next_total(series.kind, series.totals[-1] if series.totals else None, _last(series.raws), raw)
    drop = _too_old(series.times, at, keep)
    # Copied as a whole: this is done for every sample, and unpacking takes three times as long.
    times, raws, totals = series.times[drop:] + (at,), series.raws[drop:] + (raw,), series.totals[drop:] + (total,)  # noqa: RUF005
    cleared = series.missing if series.missing_at > at else None
    swaps = series.swaps
    if series.kind in COUNTED and len(series.raws) > 1 and series.raws[-1][-1] < series.raws[-2][-1] <= raw[-1]:
        swaps = (*swaps[-SWAPS:], at)
    return SeriesWindow(series.kind, times, raws, totals, bounds, cleared, series.missing_at, swaps)


def _too_old(times: tuple[Time, ...], newest: Time, keep: Span) -> int:
    """How many of the first samples are let go."""
    return max(0, bisect_right(times, newest - keep) - 1)


def _insert(series: SeriesWindow, at: Time, raw: tuple[float, ...], keep: Span) -> SeriesWindow:
    index = bisect_left(series.times, at)
    if series.times[index] == at:
        return series
    times = (*series.times[:index], at, *series.times[index:])
    raws = (*series.raws[:index], raw, *series.raws[index:])
    drop = _too_old(times, times[-1], keep)
    times, raws = times[drop:], raws[drop:]
    totals = [raws[0]]
    for before, after in pairwise(raws):
        totals.append(_next_total(series.kind, totals[-1], before, after))
    return replace(series, times=times, raws=raws, totals=tuple(totals))


def _raw(series: SeriesWindow, value: float | Histogram) -> tuple[float, ...] | None:
    if (series.kind is SignalKind.DISTRIBUTION) != isinstance(value, Histogram):
        return None
    counted = series.kind in COUNTED
    if not isinstance(value, Histogram):
        number = float(value)
        return (number,) if math.isfinite(number) and not (counted and number < 0) else None
    numbers = value.counts
    if not numbers or len(numbers) != len(value.bounds):
        return None
    # What is not finite makes the sum so, too; one that only overflows is no count of anything either.
    return numbers if math.isfinite(sum(numbers)) and min(numbers) >= 0 else None


def _last(raws: tuple[tuple[float, ...], ...]) -> tuple[float, ...] | None:
    return raws[-1] if raws else None


def _next_total(
    kind: SignalKind, total: tuple[float, ...] | None, before: tuple[float, ...] | None, raw: tuple[float, ...]
) -> tuple[float, ...]:
    """A counter that fell has been reset: what it shows now rose since (Prometheus reads counters the same way)."""
    if kind not in COUNTED or total is None or before is None:
        return raw
    if len(raw) == 1:
        risen = raw[0] - before[0]
        return (total[0] + (risen if risen >= 0 else raw[0]),)
    if any(new < was for new, was in zip(raw, before, strict=True)):
        return tuple(old + new for old, new in zip(total, raw, strict=True))
    return tuple(old + (new - was) for old, new, was in zip(total, raw, before, strict=True))


def select(windows: Windows, selector: Selector) -> Iterator[tuple[Labels, SeriesWindow]]:
    """The series that a selector means."""
    group = windows.series.get(selector.signal, {})
    if not selector.where:
        yield from group.items()
        return
    for labels, series in group.items():
        if selector.matches(labels):
            yield labels, series


def rise(windows: Windows, selector: Selector, since: Time, until: Time, *, strict: bool = False) -> Rise | None:
    """How far the selected counters rose together from `since` to `until`; None without two samples.

    There is no extrapolation to the edges: the stretch is the one that samples cover, and it is reported. It begins at
    the last sample before `since` that is not too old; with `strict` at the first one after, so that nothing earlier
    is in it.
    """
    reach = 0 if strict else age(windows, selector.signal)
    parts = (_rise_of(series, since, until, reach) for _, series in select(windows, selector))
    found = [part for part in parts if part is not None]
    if not found:
        return None
    return Rise(
        amount=sum(part.totals[-1] for part in found),
        since=min(part.since for part in found),
        until=max(part.until for part in found),
        points=max(part.points for part in found),
    )


@dataclass(frozen=True, slots=True)
class _Part:
    totals: tuple[float, ...]
    since: Time
    until: Time
    points: int


def _rise_of(series: SeriesWindow, since: Time, until: Time, reach: Span) -> _Part | None:
    """`reach` is how long before `since` the sample may be that the stretch begins with."""
    last = bisect_right(series.times, until) - 1
    first = bisect_right(series.times, since) - 1
    if first < 0 or since - series.times[first] > reach:
        first += 1
    if last <= first:
        return None
    difference = tuple(new - old for new, old in zip(series.totals[last], series.totals[first], strict=True))
    return _Part(difference, series.times[first], series.times[last], last - first)


def spread(
    windows: Windows, selector: Selector, since: Time, until: Time, *, strict: bool = False
) -> tuple[tuple[Histogram, ...], Rise] | None:
    """The distributions of what was observed from `since` to `until`: one for all series of the same buckets."""
    counts: dict[tuple[float, ...], tuple[float, ...]] = {}
    parts: list[_Part] = []
    reach = 0 if strict else age(windows, selector.signal)
    for _, series in select(windows, selector):
        part = _rise_of(series, since, until, reach)
        if part is None:
            continue
        known = counts.get(series.bounds)
        counts[series.bounds] = tuple(map(sum, zip(known, part.totals, strict=True))) if known else part.totals
        parts.append(part)
    if not parts:
        return None
    amount = sum(one[-1] for one in counts.values())
    whole = Rise(amount, min(p.since for p in parts), max(p.until for p in parts), max(p.points for p in parts))
    return tuple(Histogram(bounds, found, math.nan) for bounds, found in counts.items()), whole


def levels(windows: Windows, selector: Selector, since: Time, until: Time) -> tuple[tuple[Time, float], ...]:
    """Values of the selected gauges or checks after `since`, up to `until`, by time; several series are summed."""
    sums: dict[Time, float] = {}
    for _, series in select(windows, selector):
        for index in range(bisect_right(series.times, since), bisect_right(series.times, until)):
            sums[series.times[index]] = sums.get(series.times[index], 0.0) + series.raws[index][-1]
    return tuple(sorted(sums.items()))


def is_swapping(windows: Windows, selector: Selector, now: Time) -> bool:
    """Whether several processes answer in turn under one name, so that their counts say nothing together.

    A process that is started again and again is not that: its count begins low and stays low.
    """
    since = now - SWAPPED_WITHIN
    return any(sum(at > since for at in series.swaps) >= SWAPS for _, series in select(windows, selector))


def absence(windows: Windows, selector: Selector, now: Time, max_age: Span) -> Missing | Span | None:
    """Why there is no fresh value: the probe's own word, the age of the newest value, or None when it is fresh.

    A signal that was never read answers with its whole age, `now`.
    """
    newest, missing, missing_at = 0, None, 0
    for _, series in select(windows, selector):
        newest = max(newest, series.newest or 0)
        if series.missing is not None and series.missing_at > missing_at:
            missing, missing_at = series.missing, series.missing_at
    if missing is not None and missing_at > newest:
        return missing
    return None if newest and now - newest <= max_age else now - newest
