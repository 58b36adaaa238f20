"""T-0 where nobody has named it."""

from watchdog.app.backtest.errors import InputError
from watchdog.app.backtest.history import History
from watchdog.app.backtest.moments import EXAMPLE, parse_moment_or_span
from watchdog.config.problems import quoted
from watchdog.model.time import Span, Time
from watchdog.web.moments import iso


def choose_t0(history: History, wanted: str, baseline: Span) -> tuple[Time, tuple[str, ...]]:
    """T-0, and notes on it.

    Args:
        wanted: A point of time, or a length of time from the beginning of the history; empty to choose.
        baseline: How much history before T-0 a baseline asks for.

    Raises:
        InputError: It is no time, or leaves nothing to judge.
    """
    first, last = history.times[0], history.times[-1]
    if not wanted:
        t0 = first + min(baseline, (last - first) // 3)
        return t0, (f"T-0 is taken to be {iso(t0)}; say --t0 when the release began",)
    try:
        t0 = parse_moment_or_span(wanted, first)
    except ValueError as error:
        raise InputError(f"--t0 {quoted(wanted)} {error}; write {EXAMPLE}, or 10m from the beginning") from error
    if t0 >= last:
        raise InputError(f"--t0 is {iso(t0)}, but {history.source} ends at {iso(last)}: nothing is left to judge")
    return t0, () if t0 >= first else (f"T-0 is before the history, which begins at {iso(first)}",)
