"""What rules read of the windows, and why they cannot."""

from watchdog.engine.windows import Rise, Windows, absence, age, is_swapping, rise, select
from watchdog.model.signals import Cause, Missing, Selector
from watchdog.model.time import Span, Time, say_span
from watchdog.model.verdicts import NoData, ProbeFailed


def unavailable(selector: Selector, windows: Windows, now: Time) -> NoData | ProbeFailed | None:
    """Why a signal cannot be judged now; None when it is fresh."""
    if is_swapping(windows, selector, now):
        return ProbeFailed(
            f"{selector} falls and rises by turns: several processes answer under one name; read each of them"
            " (`endpoints: each`)"
        )
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


def lost(selector: Selector, windows: Windows, now: Time) -> NoData | ProbeFailed | None:
    """Why a counter that was there once cannot be read now; one that never was has simply not counted anything yet."""
    if not any(series.times for _, series in select(windows, selector)):
        return None
    gone = absence(windows, selector, now, age(windows, selector.signal))
    return unavailable(selector, windows, now) if isinstance(gone, Missing) else None


def recent_rise(windows: Windows, selector: Selector, length: Span, now: Time) -> Rise | None:
    """How far counters rose in the last `length`, nothing of it before the windows' floor."""
    since = now - length
    return rise(windows, selector, max(since, windows.floor), now, strict=since < windows.floor)
