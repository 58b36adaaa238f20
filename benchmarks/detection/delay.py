"""How long it takes to see a fault, by its size."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import inf
from typing import Final

import numpy as np

from benchmarks.detection import latency
from benchmarks.detection.clean import BURSTINESS, OF_ERRORS, OF_LATENCY, RATES
from benchmarks.detection.traffic import EVERY, TICK, bads, counter, totals
from benchmarks.detection.twin import Bools, Floats, Read, firing, read_latency, read_ratio, usual, verdicts
from watchdog.model.guards import GuardSettings
from watchdog.model.rules import LatencyRule, Mode, RatioRule

SHARES: Final = (0.1, 0.2, 0.5, 1.0)
FACTORS: Final = (1.5, 2.0, 3.0, 10.0)
NORMAL: Final = 0.003
"""Share of errors before the fault."""
BASELINE: Final = 120
"""Ticks before T-0."""
MIDDLE: Final = 180
"""Ticks from T-0 to a fault in the middle of a bake."""
FOLLOWED: Final = 240
"""Ticks that a fault lasts: twenty minutes."""
GOALS: Final = {1.0: 30.0, 0.5: 60.0, 0.2: 120.0}
"""Median seconds, of `confident` and `either` from 2 requests a second up, burstiness at most 0.02."""


@dataclass(frozen=True)
class Fault:
    """A share of errors, or a factor of the latency, at a rate and a burstiness; from T-0 or in the middle."""

    what: str
    size: float
    rate: float
    burstiness: float
    middle: bool


@dataclass(frozen=True)
class Delays:
    """Seconds from the beginning of the fault to the firing, by mode; infinite where there was none.

    Attributes:
        early: Faults before which the rule had fired already; they are not counted.
        later: Faults that `either` saw later than `literal`: there must be none.
    """

    fault: Fault
    seconds: dict[Mode, list[float]]
    early: int
    later: int


def faults() -> list[Fault]:
    """Every combination."""
    sizes = [(OF_ERRORS, size) for size in SHARES] + [(OF_LATENCY, size) for size in FACTORS]
    return [
        Fault(what, size, rate, burstiness, middle)
        for (what, size), rate, burstiness, middle in product(sizes, RATES, BURSTINESS, (False, True))
    ]


def delays(fault: Fault, settings: GuardSettings, count: int, seed: Sequence[int]) -> Delays:
    """So many faults of this kind."""
    rng = np.random.default_rng(seed)
    zero = BASELINE + (MIDDLE if fault.middle else 0)
    # The fault begins at any moment between two readings.
    late = rng.random((count, 1))
    part = np.zeros((count, zero + FOLLOWED))
    part[:, zero:] = 1.0
    part[:, zero : zero + 1] = 1.0 - late
    total = totals(rng, np.full(part.shape, fault.rate))
    read, rule = (_latency if fault.what == OF_LATENCY else _errors)(rng, fault, settings, part, total)
    fires = {mode: firing(verdicts(read, mode), rule.hold, EVERY) for mode in Mode}
    early = np.logical_or.reduce([one[:, :zero].any(axis=1) for one in fires.values()])
    found = {mode: _first(one[:, zero:], late)[~early] for mode, one in fires.items()}
    slower = int(np.count_nonzero(found[Mode.EITHER] > found[Mode.LITERAL]))
    return Delays(fault, {mode: one.tolist() for mode, one in found.items()}, int(early.sum()), slower)


def _errors(
    rng: np.random.Generator, fault: Fault, settings: GuardSettings, part: Floats, total: Floats
) -> tuple[Read, RatioRule | LatencyRule]:
    rule = next(rule for rule in settings.rules if isinstance(rule, RatioRule))
    hit = rng.binomial(total.astype(np.int64), part).astype(np.float64)
    bad = bads(rng, hit, np.full(part.shape, fault.size), fault.burstiness)
    bad += bads(rng, total - hit, np.full(part.shape, NORMAL), fault.burstiness)
    usuals = usual(bad[:, :BASELINE], total[:, :BASELINE])
    return read_ratio(counter(bad), counter(total), rule, EVERY, usuals), rule


def _latency(
    rng: np.random.Generator, fault: Fault, settings: GuardSettings, part: Floats, total: Floats
) -> tuple[Read, RatioRule | LatencyRule]:
    rule = next(rule for rule in settings.rules if isinstance(rule, LatencyRule))
    # In the reading in which it begins some requests are slow already; their factor lies between.
    slow = 1.0 + (fault.size - 1.0) * part
    reads: list[Read] = []
    for row in range(len(part)):
        one = slice(row, row + 1)
        zero = int(np.argmax(part[row] > 0))
        found = latency.limit(rng, rule, int(total[row, zero - BASELINE : zero].sum()))
        if found is not None:
            counted = latency.bucket(rng, total[one], slow[one], fault.burstiness, found)
            reads.append(read_latency(counted, counter(total[one]), rule, EVERY))
        else:
            nothing = np.zeros((1, part.shape[1]), dtype=np.bool_)
            reads.append(Read(nothing, nothing, nothing, nothing))
    return (
        Read(
            np.concatenate([one.sure for one in reads]),
            np.concatenate([one.over for one in reads]),
            np.concatenate([one.enough for one in reads]),
            np.concatenate([one.some for one in reads]),
        ),
        rule,
    )


def _first(fires: Bools, late: Floats) -> Floats:
    """Seconds to the first firing: a reading comes five seconds after the one before it."""
    seconds = (np.argmax(fires, axis=1) + 1.0 - late[:, 0]) * TICK
    return np.where(fires.any(axis=1), seconds, inf)
