"""What others do with the same numbers: so many of the last minutes over the threshold, and a rank test."""

from math import sqrt
from typing import Final

import numpy as np

from benchmarks.detection.traffic import TICK
from benchmarks.detection.twin import Bools, Floats

MINUTE: Final = round(60 / TICK)
HOUR: Final = 60
"""Minutes; the length of both samples of the rank test."""
REJUDGED: Final = 10
"""Minutes between two rank tests."""
Z: Final = 2.326
"""Two-sided 98 %, which Kayenta's judge uses."""
TOLERANCE: Final = 0.25
"""Kayenta calls a metric high when the interval lies above this share of the estimated shift."""
FEWEST: Final = 50
"""Kayenta's documentation asks for this many points."""


def minutes(bad: Floats, total: Floats) -> Floats:
    """The share of bad in each whole minute; 0 where nothing was counted. Rises by tick are asked for."""
    whole = bad.shape[1] // MINUTE * MINUTE
    bad_sum = bad[:, :whole].reshape(len(bad), -1, MINUTE).sum(axis=2)
    total_sum = total[:, :whole].reshape(len(bad), -1, MINUTE).sum(axis=2)
    shares: Floats = np.zeros_like(bad_sum)
    np.divide(bad_sum, total_sum, out=shares, where=total_sum > 0)
    return shares


def three_of_five(shares: Floats, above: float) -> Bools:
    """An alarm of "3 of 5 data points", by minute."""
    over = np.cumsum(shares > above, axis=1)
    before = np.concatenate([np.zeros((len(over), 5), dtype=over.dtype), over[:, :-5]], axis=1)
    result: Bools = over - before >= 3
    return result


def mann_whitney(shares: Floats, before: int) -> Bools:
    """Whether the hour since is higher than the hour before T-0, judged again and again.

    Args:
        before: Minutes before T-0 at the beginning of each row.

    Returns:
        One column a judgement.
    """
    count = shares.shape[1]
    ends = np.arange(before + FEWEST, count + 1, REJUDGED)
    result = np.zeros((len(shares), len(ends)), dtype=np.bool_)
    for row, series in enumerate(shares):
        control = series[before - HOUR : before]
        for column, end in enumerate(ends):
            result[row, column] = _higher(control, series[max(before, end - HOUR) : end])
    return result


def _higher(control: Floats, experiment: Floats) -> bool:
    """The Hodges-Lehmann shift with its interval from the ordered differences (Moses)."""
    n, m = len(control), len(experiment)
    middle = n * m // 2
    low = max(0, int(n * m / 2.0 - Z * sqrt(n * m * (n + m + 1) / 12.0)))
    ordered = np.partition(np.subtract.outer(experiment, control).ravel(), (low, middle))
    return bool(ordered[low] > TOLERANCE * abs(ordered[middle]))
