"""A twin of `judge` and of the hold in `decide`, over arrays: many series and all their ticks at once.

It is there for volume only (thousands of simulated days); `tests/benchmarks/test_detection_twin.py` holds it to the
engine's own answers, tick by tick.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from watchdog.engine.fit import fit
from watchdog.engine.judge import measure
from watchdog.model.guards import Baseline, Usual
from watchdog.model.rules import LatencyRule, Mode, RatioRule
from watchdog.model.time import Span

Floats: TypeAlias = npt.NDArray[np.float64]
Whole: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]
Codes: TypeAlias = npt.NDArray[np.int8]


class Said(IntEnum):
    """What a rule said at a tick."""

    OK = 0
    LITERAL = 1
    CONFIDENT = 2
    NO_DATA = 3


@dataclass(frozen=True)
class Read:
    """What there is to see in each series (rows) at every tick (columns); the first reading alone is left out.

    Attributes:
        sure: The confident test agrees.
        over: The share of the recent window is above the threshold.
        enough: At least `min_samples` were counted in the recent window.
        some: Anything at all was counted in the long window.
    """

    sure: Bools
    over: Bools
    enough: Bools
    some: Bools


@dataclass(frozen=True)
class Limits:
    """What a series is compared with, one number a series.

    Attributes:
        written: The threshold of the share as the rule says it (0 to 1).
        above: The threshold of the confident test.
        burstiness: By which the sample size is deflated.
    """

    written: Floats
    above: Floats
    burstiness: Floats


@dataclass(frozen=True)
class Bucket:
    """Counters of the bucket that the limit of each series lies in.

    Attributes:
        below: Observations up to its lower edge.
        upto: Observations up to its upper edge.
        inside: How much of the bucket is below the limit (0 to 1), one number a series.
    """

    below: Floats
    upto: Floats
    inside: Floats


Usuals: TypeAlias = Sequence[Usual | None]
"""What each series looked like before T-0, as the engine fits it."""


def limits(rule: RatioRule | LatencyRule, usuals: Usuals) -> Limits:
    """By the engine's own reckoning."""
    written = rule.above if isinstance(rule, RatioRule) else 1.0 - rule.quantile
    baselines = (Baseline(0, 0, usual={rule.name: one}) if one is not None else None for one in usuals)
    found = [measure(rule, written, baseline) for baseline in baselines]
    return Limits(
        np.array([one.written for one in found]),
        np.array([one.above for one in found]),
        np.array([one.burstiness for one in found]),
    )


def usual(bad: Floats, total: Floats) -> list[Usual | None]:
    """What is usual in each series, from the bad and all events of each tick before T-0."""
    return [fit(list(zip(*one, strict=True))) for one in zip(bad.tolist(), total.tolist(), strict=True)]


def read_ratio(bad: Floats, total: Floats, rule: RatioRule, every: Span, usuals: Usuals | None = None) -> Read:
    """The share of bad among all; both arrays are counters as read, `every` apart."""

    def counted(ticks: int) -> tuple[Floats, Floats]:
        return _risen(bad, ticks), _risen(total, ticks)

    return _read(counted, rule, limits(rule, usuals or [None] * len(total)), every)


def read_latency(bucket: Bucket, total: Floats, rule: LatencyRule, every: Span, usuals: Usuals | None = None) -> Read:
    """The share that is slower than the limit."""
    inside = bucket.inside[:, None]

    def counted(ticks: int) -> tuple[Floats, Floats]:
        lower, upper, count = _risen(bucket.below, ticks), _risen(bucket.upto, ticks), _risen(total, ticks)
        return np.maximum(0.0, count - (lower + (upper - lower) * inside)), count

    return _read(counted, rule, limits(rule, usuals or [None] * len(total)), every)


def _risen(counter: Floats, ticks: int) -> Floats:
    """The rise over the last so many ticks, or since the first reading where there are fewer."""
    if counter.shape[1] <= ticks:
        return counter[:, 1:] - counter[:, :1]
    result = counter[:, 1:].copy()
    result[:, :ticks] -= counter[:, :1]
    result[:, ticks:] -= counter[:, 1:-ticks]
    return result


def _read(
    counted: Callable[[int], tuple[Floats, Floats]], rule: RatioRule | LatencyRule, limits: Limits, every: Span
) -> Read:
    confidence = rule.confidence
    windows = [length // every for length in (confidence.window, confidence.recent)]
    (bad, total), (recent_bad, recent_total) = (counted(ticks) for ticks in windows)
    share, recent, above = _share(bad, total), _share(recent_bad, recent_total), limits.above[:, None]
    # A lower bound is below its share, so only these can pass: a few ticks among millions.
    rows, columns = np.nonzero((share > above) & (recent > above) & (bad >= confidence.min_bad))
    sure = np.zeros(bad.shape, dtype=np.bool_)
    lowers = [
        _lower(
            bads[rows, columns],
            totals[rows, columns],
            np.minimum(columns + 1, ticks),
            z=confidence.z,
            burstiness=limits.burstiness[rows],
        )
        for bads, totals, ticks in zip((bad, recent_bad), (total, recent_total), windows, strict=True)
    ]
    sure[rows, columns] = (lowers[0] > limits.above[rows]) & (lowers[1] > limits.above[rows])
    return Read(sure, recent > limits.written[:, None], recent_total >= rule.min_samples, total > 0)


def _share(bad: Floats, total: Floats) -> Floats:
    shares = np.zeros_like(bad)
    np.divide(bad, total, out=shares, where=total > 0)
    return np.clip(shares, 0.0, 1.0)


def _lower(bad: Floats, total: Floats, ticks: Whole, *, z: float, burstiness: Floats) -> Floats:
    """Wilson's lower bound in the order of operations of `engine.proportion`, so that it is equal to the last bit."""
    a_tick = np.maximum(1.0, total / np.maximum(1, ticks))
    effective = total / (1.0 + (a_tick - 1.0) * burstiness)
    share = np.minimum(1.0, np.maximum(0.0, bad / total))
    scale = 1.0 + z * z / effective
    centre = (share + z * z / (2.0 * effective)) / scale
    half = z / scale * np.sqrt(share * (1.0 - share) / effective + z * z / (4.0 * effective * effective))
    result: Floats = np.maximum(0.0, centre - half)
    return result


def verdicts(read: Read, mode: Mode) -> Codes:
    """What a rule of this mode says, as codes of `Said`."""
    said = np.where(read.over, np.int8(Said.LITERAL), np.int8(Said.OK))
    if mode is Mode.CONFIDENT:
        said = np.zeros_like(said)
    else:
        said[~read.enough] = Said.NO_DATA
    if mode is not Mode.LITERAL:
        said[read.sure] = Said.CONFIDENT
    said[~read.some] = Said.NO_DATA
    return said


def firing(said: Codes, hold: Span, every: Span) -> Bools:
    """Where a breach may open an incident: a confident one at once, a literal one after the hold.

    A breach is pending from its first tick to the next Ok, or to when there is no traffic to speak of, which is the
    only way in which there is no data here.
    """
    breach: Bools = (said == Said.LITERAL) | (said == Said.CONFIDENT)
    if not hold:
        return breach
    at = np.arange(said.shape[1])
    began = _first_after(breach, _last((said == Said.OK) | (said == Said.NO_DATA), at))
    held: Bools = (breach & ((at - began) * every >= hold)) | (said == Said.CONFIDENT)
    return held


def _last(where: Bools, at: Whole) -> Whole:
    """The newest column up to each at which it holds; -1 where there is none."""
    result: Whole = np.maximum.accumulate(np.where(where, at, -1), axis=1)
    return result


def _first_after(where: Bools, column: Whole) -> Whole:
    """The first column after the given ones at which it holds."""
    count = where.shape[1]
    marked = np.where(where, np.arange(count), count)
    following = np.minimum.accumulate(marked[:, ::-1], axis=1)[:, ::-1]
    padded = np.concatenate([following, np.full((len(where), 1), count)], axis=1)
    result: Whole = np.take_along_axis(padded, column + 1, axis=1)
    return result
