"""Attribution: what hurts, and why we think so. It decides where the climb begins, and whether data may be touched.

The old version and the new one run side by side while a release rolls out, on the same schema, behind the same
dependencies. So who fails, and with which errors, tells code, data and everything else apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from watchdog.engine.proportion import Bounds, wilson
from watchdog.engine.windows import Rise, Windows, rise, select
from watchdog.model.attribution import Attribution, Comparison, Origin, Queries
from watchdog.model.guards import Baseline
from watchdog.model.releases import Release
from watchdog.model.signals import Labels, Selector, SignalId
from watchdog.model.time import MINUTE, Span, Time, in_seconds

_LEAST_BAD = 5
"""Fewer are the last requests of a process that ends, or bad luck."""
_Z = 2.326
"""99 % one-sided, as the rules' own test."""

LEAST_CALLS: Final = 50
"""Fewer statements have no mean."""

_LATELY: Final[Span] = MINUTE
_THEIRS: Final = "statements on the release's tables"


@dataclass(frozen=True, slots=True)
class _Side:
    """One version, or all that are not it."""

    name: str
    bad: float
    total: float
    bounds: Bounds

    def fails(self, above: float) -> bool:
        """Whether it surely does."""
        return self.bad >= _LEAST_BAD and self.bounds.lower > above

    def is_well(self, above: float) -> bool:
        """Whether it surely is."""
        return self.total > 0 and self.bounds.upper < above

    @property
    def said(self) -> str:
        """With its numbers."""
        return f"{self.name} {self.bounds.share:.1%} of {self.total:.0f}"


def attribute(
    windows: Windows, comparison: Comparison, release: Release, proof: Mapping[str, str], t0: Time, now: Time
) -> Attribution:
    """What hurts, from the shares of bad among all of each version while they ran side by side.

    Args:
        proof: Positive evidence that the release hurts the schema or the data, one sentence by kind.
        t0: The start of the first change; what happened before says nothing about the release.
    """
    since = max(t0, now - comparison.window, _began(windows, comparison, release.new_version))
    new = _side(windows, comparison, release.new_version, since, now)
    old = _others(windows, comparison, release.new_version, since, now)
    if damaged := next((said for kind, said in proof.items() if kind.startswith("integrity")), ""):
        return Attribution(Origin.DATA, damaged)
    schema = next(iter(proof.values()), "")
    return _of(comparison, new, old, schema)


def _of(comparison: Comparison, new: _Side | None, old: _Side | None, schema: str) -> Attribution:
    above = comparison.above
    if new and old and new.fails(above) and old.is_well(above):
        return Attribution(Origin.CODE, f"only the new version fails: {new.said}, {old.said}")
    if old and old.fails(above):
        if schema:
            return Attribution(Origin.DATA, f"the old version fails too ({old.said}), and {schema}", both=True)
        if new is None or new.fails(above):
            both = f"{new.said}, {old.said}" if new else old.said
            return Attribution(
                Origin.ELSEWHERE, f"the old version fails alike ({both}), and no error points at the schema", both=True
            )
        if new.is_well(above):
            return Attribution(Origin.ELSEWHERE, f"only the old version fails: {old.said}, {new.said}")
    if schema:
        return Attribution(Origin.DATA, schema)
    if new is None or not new.total:
        return Attribution(Origin.UNKNOWN, "the new version has answered nothing yet")
    if old is None or not old.total:
        return Attribution(Origin.UNKNOWN, "no old version runs beside the new one, so nothing tells code from data")
    return Attribution(Origin.UNKNOWN, f"the versions cannot be told apart yet: {new.said}, {old.said}")


def _began(windows: Windows, comparison: Comparison, version: str) -> Time:
    """When a version was first seen, as far back as samples reach."""
    where = ((comparison.label, version),)
    labels = tuple(sorted({*comparison.total.where, *where}))
    seen = (series.times[0] for _, series in select(windows, Selector(comparison.total.signal, labels)) if series.times)
    return min(seen, default=0)


def _side(windows: Windows, comparison: Comparison, version: str, t0: Time, now: Time) -> _Side | None:
    if not version:
        return None
    where = ((comparison.label, version),)
    total = _rise(windows, comparison.total, where, t0, now)
    if total is None:
        return None
    bad = _rise(windows, comparison.bad, where, t0, now)
    return _measured(version, bad.amount if bad else 0.0, total)


def _others(windows: Windows, comparison: Comparison, version: str, t0: Time, now: Time) -> _Side | None:
    """Every other version together."""
    names = {
        value
        for labels, _ in select(windows, comparison.total)
        if (value := dict(labels).get(comparison.label)) and value != version
    }
    pairs = [((comparison.label, name),) for name in sorted(names)]
    found = [
        (_rise(windows, comparison.total, pair, t0, now), _rise(windows, comparison.bad, pair, t0, now))
        for pair in pairs
    ]
    totals = [total for total, _ in found if total is not None]
    if not totals:
        return None
    whole = Rise(
        sum(one.amount for one in totals),
        min(one.since for one in totals),
        max(one.until for one in totals),
        max(one.points for one in totals),
    )
    return _measured(", ".join(sorted(names)), sum(bad.amount for _, bad in found if bad is not None), whole)


def _rise(windows: Windows, of: Selector, where: Labels, since: Time, now: Time) -> Rise | None:
    labels = tuple(sorted({*of.where, *where}))
    return rise(windows, Selector(of.signal, labels), since, now, strict=True)


def _measured(name: str, bad: float, total: Rise) -> _Side:
    bounds = wilson(bad, total.amount, z=_Z, ticks=total.points, burstiness=0.02)
    return _Side(name, bad, total.amount, bounds)


def slower(windows: Windows, queries: Queries, baseline: Baseline | None, t0: Time, now: Time) -> str:
    """That statements on the release's tables became slower and others did not; empty where that is not so.

    A job that reads the same tables looks alike, so this is no evidence, and says nothing of the origin.
    """
    if baseline is None:
        return ""
    since = max(t0, now - _LATELY)
    theirs = _times_before(windows, queries, "release", baseline, since, now)
    others = _times_before(windows, queries, "other", baseline, since, now)
    if theirs is None or others is None or not (theirs >= queries.times and others < queries.times / 2):
        return ""
    return f"{_THEIRS} take {theirs:.1f} times as long as before T-0, others {others:.1f} times"


def _times_before(
    windows: Windows, queries: Queries, value: str, baseline: Baseline, since: Time, now: Time
) -> float | None:
    """The mean of these statements as a multiple of the baseline's; None where one of the two is not known.

    Series are compared one by one: without a baseline of its own a series is about other tables than before T-0.
    """
    length = in_seconds(baseline.until - baseline.since)
    calls = seconds = calls_before = seconds_before = 0.0
    for labels, _ in select(windows, Selector(queries.calls, ((queries.label, value),))):
        lately = _lately(windows, queries, labels, since, now)
        if lately is None:
            continue
        counted = baseline.entries.get(SignalId(queries.calls, labels))
        took = baseline.entries.get(SignalId(queries.seconds, labels))
        if counted is None or took is None:
            return None
        calls, seconds = calls + lately[0], seconds + lately[1]
        calls_before, seconds_before = calls_before + counted.rate * length, seconds_before + took.rate * length
    if min(calls, calls_before) < LEAST_CALLS or seconds_before <= 0:
        return None
    return seconds * calls_before / (calls * seconds_before)


def _lately(windows: Windows, queries: Queries, labels: Labels, since: Time, now: Time) -> tuple[float, float] | None:
    """How far calls and seconds rose over the same stretch; not across a fall, which tells nothing of either."""
    pair = Selector(queries.calls, labels), Selector(queries.seconds, labels)
    since = max(since, *(_fell(windows, one, now) for one in pair))
    calls, seconds = (rise(windows, one, since, now, strict=True) for one in pair)
    if calls is None or seconds is None or (calls.since, calls.until) != (seconds.since, seconds.until):
        return None
    return calls.amount, seconds.amount


def _fell(windows: Windows, counter: Selector, now: Time) -> Time:
    """When a counter last fell; 0 for never."""
    falls = (
        at
        for _, series in select(windows, counter)
        for at, (before, after) in zip(series.times[1:], pairwise(series.raws), strict=True)
        if at <= now and after[-1] < before[-1]
    )
    return max(falls, default=0)
