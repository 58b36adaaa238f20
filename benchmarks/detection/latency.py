"""Latencies as a histogram has them, and the limit that the engine derives from its baseline."""

from dataclasses import dataclass
from math import erf, inf, log, sqrt
from typing import Final

import numpy as np

from benchmarks.detection.traffic import bads, counter
from benchmarks.detection.twin import Bucket, Floats
from watchdog.engine.proportion import quantile
from watchdog.model.rules import LatencyRule
from watchdog.model.signals import Histogram

BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, inf)
"""The default buckets of Prometheus' client libraries."""
MEDIAN: Final = 0.06
"""Seconds."""
SPREAD: Final = 0.6
"""Standard deviation of the logarithm; the 95th percentile is 0.16 s."""


def beyond(edge: float, slow: Floats) -> Floats:
    """The share of requests above an edge in seconds, when all take `slow` times as long (log-normal)."""
    if edge == inf:
        return np.zeros_like(slow)
    levels, back = np.unique(slow, return_inverse=True)
    grid = levels if len(levels) < 1_000 else np.linspace(levels[0], levels[-1], 1_000)
    shares = np.array([0.5 * (1.0 - erf(log(edge / MEDIAN / factor) / (SPREAD * sqrt(2.0)))) for factor in grid])
    found: Floats = shares[back] if grid is levels else np.interp(slow, grid, shares)
    return found.reshape(slow.shape)


@dataclass(frozen=True)
class Limit:
    """Where slow begins for one series, as its own baseline has it.

    Attributes:
        lower: Edges of the bucket that it lies in, seconds.
        inside: How much of the bucket is below it (0 to 1).
    """

    seconds: float
    lower: float
    upper: float
    inside: float


def limit(rng: np.random.Generator, rule: LatencyRule, requests: int) -> Limit | None:
    """The limit from a baseline of so many requests; None without any."""
    edges = [0.0, *(1.0 - float(beyond(bound, np.ones(1))[0]) for bound in BOUNDS)]
    counts = np.cumsum(rng.multinomial(requests, np.diff(edges)))
    usual = quantile(Histogram(BOUNDS, tuple(map(float, counts)), 0.0), rule.quantile)
    if usual is None:
        return None
    seconds = max(rule.floor, rule.times_baseline * usual)
    index = next(index for index, bound in enumerate(BOUNDS) if seconds <= bound)
    lower, upper = ((0.0, *BOUNDS)[index], BOUNDS[index])
    # Beyond the last finite bound nothing can be told apart: all that is above that bound counts as slow.
    inside = 0.0 if upper == inf else (seconds - lower) / (upper - lower)
    return Limit(seconds, lower, upper, inside)


def bucket(rng: np.random.Generator, total: Floats, slow: Floats, burstiness: float, found: Limit) -> Bucket:
    """Counters of the limit's bucket for series that share one limit."""
    above, within = beyond(found.upper, slow), beyond(found.lower, slow)
    slower = bads(rng, total, above, burstiness)
    inner = np.divide(within - above, 1.0 - above, out=np.zeros_like(above), where=above < 1.0)
    inside = rng.binomial((total - slower).astype(np.int64), np.clip(inner, 0.0, 1.0))
    upto = total - slower
    return Bucket(counter(upto - inside), counter(upto), np.full(len(total), found.inside))
