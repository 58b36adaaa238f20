"""What was known at an earlier time: for a release that was only seen after it had begun. Pure."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import replace

from watchdog.engine.windows import SeriesWindow, Windows
from watchdog.model.time import Time
from watchdog.model.verdicts import Breach, Ok, Verdict


def as_of(windows: Windows, at: Time) -> Windows:
    """The windows without everything that was read later."""
    earlier = {
        name: {labels: kept for labels, series in group.items() if (kept := _as_of(series, at)) is not None}
        for name, group in windows.series.items()
    }
    return replace(windows, series=earlier)


def in_hindsight(then: Mapping[str, Verdict], now: Mapping[str, Verdict]) -> dict[str, Verdict]:
    """The verdicts at T-0 by which a release starts, as far as anything was known then.

    A rule that had no data then is blind only if it still has none; in breach now, it may be so by the release.
    """
    return {
        name: verdict if isinstance(verdict, Breach | Ok) else now.get(name, verdict)
        for name, verdict in then.items()
        if isinstance(verdict, Breach | Ok) or not isinstance(now.get(name), Breach | Ok)
    }


def _as_of(series: SeriesWindow, at: Time) -> SeriesWindow | None:
    known = bisect_right(series.times, at)
    missed = series.missing is not None and series.missing_at <= at
    if not known and not missed:
        return None
    return replace(
        series,
        times=series.times[:known],
        raws=series.raws[:known],
        totals=series.totals[:known],
        missing=series.missing if missed else None,
        missing_at=series.missing_at if missed else 0,
    )
