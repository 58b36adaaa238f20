"""What is usual for a rule: its share before T-0, and how much alike the events of one reading are."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from watchdog.engine.windows import Windows, select
from watchdog.model.guards import Usual
from watchdog.model.signals import Histogram, Selector
from watchdog.model.time import Time

Pair: TypeAlias = tuple[float, float]
"""Bad and all events of one reading."""

LEAST_READINGS = 20
"""Fewer readings say nothing about how their shares scatter."""


def fit(pairs: Sequence[Pair]) -> Usual | None:
    """The share of all, and the intra-cluster correlation of events of one reading; None without any event.

    Pearson's dispersion phi of the readings' shares around the common share is 1 + (m - 1) * rho for clusters of m
    events (L. Kish, Survey Sampling, 1965; P. McCullagh and J. Nelder, Generalized Linear Models, 1989, 4.5).
    """
    used = [(bad, total) for bad, total in pairs if total > 0]
    everything = sum(total for _, total in used)
    if not used:
        return None
    share = min(1.0, sum(bad for bad, _ in used) / everything)
    mean = everything / len(used)
    if len(used) < LEAST_READINGS or not 0.0 < share < 1.0 or mean <= 1.0:
        return Usual(share, 0.0, len(used))
    scatter = sum((bad - total * share) ** 2 / (total * share * (1.0 - share)) for bad, total in used)
    phi = scatter / (len(used) - 1)
    return Usual(share, min(1.0, max(0.0, (phi - 1.0) / (mean - 1.0))), len(used))


def shares(windows: Windows, bad: Selector, total: Selector, since: Time, until: Time) -> list[Pair]:
    """Bad and all events between two readings each."""
    bads = _rises(windows, bad, since, until, lambda counts, _: counts[-1])
    totals = _rises(windows, total, since, until, lambda counts, _: counts[-1])
    return [(bads.get(at, 0.0), count) for at, count in totals.items()]


def slow_shares(
    windows: Windows, of: Selector, since: Time, until: Time, slower: Callable[[Histogram], float]
) -> list[Pair]:
    """Slow and all observations between two readings each."""
    slow = _rises(
        windows, of, since, until, lambda counts, bounds: slower(Histogram(bounds, counts, 0.0)) if bounds else 0.0
    )
    totals = _rises(windows, of, since, until, lambda counts, _: counts[-1])
    return [(slow.get(at, 0.0), count) for at, count in totals.items()]


def _rises(
    windows: Windows,
    selector: Selector,
    since: Time,
    until: Time,
    count: Callable[[tuple[float, ...], tuple[float, ...]], float],
) -> dict[Time, float]:
    """By reading, over all series that are meant."""
    found: dict[Time, float] = {}
    for _, series in select(windows, selector):
        for index in range(1, len(series.times)):
            at = series.times[index]
            if series.times[index - 1] < since or at > until:
                continue
            pairs = zip(series.totals[index], series.totals[index - 1], strict=True)
            risen = tuple(new - old for new, old in pairs)
            found[at] = found.get(at, 0.0) + count(risen, series.bounds)
    return found
