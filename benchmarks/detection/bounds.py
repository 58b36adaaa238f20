"""Exact bounds of counts, and small statistics for tables."""

from collections.abc import Sequence
from math import exp, inf, lgamma, log


def _poisson_at_most(count: int, mean: float) -> float:
    if mean <= 0:
        return 1.0
    return min(1.0, sum(exp(k * log(mean) - mean - lgamma(k + 1)) for k in range(count + 1)))


def _solve(count: int, wanted: float) -> float:
    """The mean at which so few or fewer have this probability."""
    low, high = 0.0, 10.0 + 3.0 * count
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _poisson_at_most(count, middle) > wanted else (low, middle)
    return high


def poisson_bounds(count: int) -> tuple[float, float]:
    """Two-sided 95 % bounds of a Poisson mean (Garwood, 1936); of 0 the upper one is 3.69."""
    lower = _solve(count - 1, 0.975) if count else 0.0
    return lower, _solve(count, 0.025)


def a_day(count: int, days: int) -> str:
    """Events a day with their two-sided 95 % bounds."""
    if not days:
        return "-"
    lower, upper = poisson_bounds(count)
    return f"{count / days:.3g} ({lower / days:.2g} to {upper / days:.2g})"


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share (0 to 1) does not exceed; infinite where that many were not seen."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else inf
