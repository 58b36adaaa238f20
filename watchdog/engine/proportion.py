"""Statistics of the confident mode, in plain arithmetic."""

import math
from dataclasses import dataclass

from watchdog.model.signals import Histogram


@dataclass(frozen=True, slots=True)
class Bounds:
    """A share with its one-sided bounds (ratios 0 to 1)."""

    share: float
    lower: float
    upper: float
    effective: float


def wilson(bad: float, total: float, *, z: float, ticks: int = 1, burstiness: float = 0.0) -> Bounds:
    """Wilson's score interval for `bad` of `total` (E. B. Wilson, JASA 22, 1927).

    Events of one tick resemble one another: the sample size is divided by the design effect 1 + (m - 1) * rho, with m
    events a tick (L. Kish, Survey Sampling, 1965).
    """
    if total <= 0:
        return Bounds(0.0, 0.0, 1.0, 0.0)
    a_tick = max(1.0, total / max(1, ticks))
    effective = total / (1.0 + (a_tick - 1.0) * burstiness)
    share = min(1.0, max(0.0, bad / total))
    scale = 1.0 + z * z / effective
    centre = (share + z * z / (2.0 * effective)) / scale
    half = z / scale * math.sqrt(share * (1.0 - share) / effective + z * z / (4.0 * effective * effective))
    return Bounds(share, max(0.0, centre - half), min(1.0, centre + half), effective)


def poisson(count: float, *, z: float) -> tuple[float, float]:
    """Lower and upper bound of a Poisson mean of which `count` were seen (Byar's approximation)."""
    lower = 0.0
    if count > 0:
        lower = count * max(0.0, 1.0 - 1.0 / (9.0 * count) - z / (3.0 * math.sqrt(count))) ** 3
    above = count + 1.0
    upper = above * (1.0 - 1.0 / (9.0 * above) + z / (3.0 * math.sqrt(above))) ** 3
    return lower, upper


def quantile(histogram: Histogram, share: float) -> float | None:
    """The value below which this share (0 to 1) lies, linear within a bucket; None without observations.

    In the last bucket, which has no upper edge, it is that bucket's lower edge.
    """
    total = histogram.count
    if total <= 0:
        return None
    wanted = share * total
    below, edge = 0.0, 0.0
    for bound, count in zip(histogram.bounds, histogram.counts, strict=True):
        if count >= wanted:
            if math.isinf(bound):
                return edge
            inside = count - below
            return edge + (bound - edge) * ((wanted - below) / inside if inside > 0 else 1.0)
        below, edge = count, bound
    return edge


def slower_than(histogram: Histogram, limit: float) -> float:
    """How many observations were above a limit, linear within the bucket that holds it; never less than none.

    A limit beyond the last finite bound counts only what is above that bound: it cannot be told apart there.
    """
    below, edge = 0.0, 0.0
    for bound, count in zip(histogram.bounds, histogram.counts, strict=True):
        if limit <= bound:
            if math.isinf(bound):
                break
            inside = (limit - edge) / (bound - edge) if bound > edge else 1.0
            return max(0.0, histogram.count - (below + (count - below) * inside))
        below, edge = count, bound
    return max(0.0, histogram.count - below)
