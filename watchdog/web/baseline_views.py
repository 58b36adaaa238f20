"""What was frozen at T-0, as JSON."""

from typing import Any, Final, TypeAlias

from watchdog.engine.proportion import quantile
from watchdog.model.days import DayBefore
from watchdog.model.guards import Baseline, BaselineEntry, Guard, Usual
from watchdog.model.signals import Histogram, SignalId
from watchdog.web.moments import iso, number, seconds

Json: TypeAlias = dict[str, Any]

COUNTED: Final = frozenset({"counter", "distribution"})


def baseline_view(guard: Guard) -> Json:
    """The baseline of a guard's current release, or why there is none."""
    record = guard.release
    baseline = record.baseline if record is not None else None
    return {
        "guard": guard.settings.name,
        "release": record.release.id if record is not None else None,
        "t0": iso(record.t0) if record is not None else None,
        "refused": record.baseline_refused if record is not None else "",
        "baseline": _baseline(baseline) if baseline is not None else None,
    }


def _baseline(found: Baseline) -> Json:
    return {
        "since": iso(found.since),
        "until": iso(found.until),
        "seconds": seconds(found.until - found.since),
        "series": [_series(signal, entry) for signal, entry in sorted(found.entries.items())],
        "usual": {rule: _usual(usual) for rule, usual in found.usual.items()},
        "slowest_seconds": {rule: number(value) for rule, value in found.slowest.items()},
        "days": [_day(day) for day in found.days],
    }


def _series(signal: SignalId, entry: BaselineEntry) -> Json:
    """What does not apply to a series of this kind is null."""
    counted = entry.kind in COUNTED
    before = Histogram(entry.bounds, entry.counts, 0.0) if entry.bounds else None
    return {
        "signal": signal.name,
        "labels": dict(signal.labels),
        "kind": entry.kind,
        "samples": entry.samples,
        "rate": number(entry.rate) if counted else None,
        "mean": None if counted else number(entry.mean),
        "low": None if counted else number(entry.low),
        "high": None if counted else number(entry.high),
        "p50_seconds": quantile(before, 0.5) if before else None,
        "p95_seconds": quantile(before, 0.95) if before else None,
    }


def _usual(usual: Usual) -> Json:
    return {"share": usual.share, "burstiness": usual.burstiness, "readings": usual.readings}


def _day(day: DayBefore) -> Json:
    return {
        "since": iso(day.since),
        "until": iso(day.until),
        "left_out": day.left_out,
        "shares": dict(day.shares),
        "quantile_seconds": {rule: number(value) for rule, value in day.quantiles.items()},
    }
