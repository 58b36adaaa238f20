"""Clean days: nothing is wrong, so whatever fires is a false alarm."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Final

import numpy as np

from benchmarks.detection import latency
from benchmarks.detection.compare import MINUTE, mann_whitney, minutes, three_of_five
from benchmarks.detection.replay import replay
from benchmarks.detection.traffic import DAY, EVERY, Regime, Shape, bads, counter, day_levels, day_rates, totals
from benchmarks.detection.twin import Bools, Read, firing, read_latency, read_ratio, usual, verdicts
from watchdog.model.guards import GuardSettings
from watchdog.model.rules import LatencyRule, Mode, RatioRule

RATES: Final = (0.2, 2.0, 20.0, 200.0)
BURSTINESS: Final = (0.0, 0.02, 0.1)
ERRORS: Final = (0.01, 0.03)
BEFORE: Final = 720
"""Ticks before T-0: an hour, which the rank test asks for; the engine's baseline is the last ten minutes."""
BASELINE: Final = 120
"""Ticks."""
CHUNK: Final = 10
"""Days at a time, so that arrays stay small."""
QUIET: Final = 180
"""Ticks: firings less than a quarter of an hour apart are one."""
RANKED: Final = 60
"""Days of a regime that the rank test is tried on; it is slow."""
REPLAYED: Final = 10
"""Firings of a regime that the engine itself plays again, with its ladder."""
OF_ERRORS: Final = "errors"
OF_LATENCY: Final = "latency"
THREE: Final = "3 of 5"
RANKS: Final = "Mann-Whitney"


@dataclass
class Tally:
    """What fired in one regime.

    Attributes:
        fired: Days with a firing, by mode or method.
        firings: Firings, by mode or method.
        ranked: Days that the rank test saw.
        data: How the data rung fared in the firings of `either` that the engine played again.
    """

    what: str
    regime: Regime
    days: int = 0
    fired: Counter[str] = field(default_factory=Counter)
    firings: Counter[str] = field(default_factory=Counter)
    ranked: int = 0
    data: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, fires: Bools, quiet: int = QUIET) -> None:
        """Counts days and firings."""
        for day in np.flatnonzero(fires.any(axis=1)):
            self.fired[name] += 1
            self.firings[name] += 1 + int(np.count_nonzero(np.diff(np.flatnonzero(fires[day])) > quiet))


def regimes() -> Iterator[tuple[str, Regime]]:
    """Every combination."""
    for rate, burstiness, shape in product(RATES, BURSTINESS, Shape):
        for errors in ERRORS:
            yield OF_ERRORS, Regime(rate, burstiness, errors, shape)
        yield OF_LATENCY, Regime(rate, burstiness, 0.0, shape)


def tally(what: str, regime: Regime, settings: GuardSettings, days: int, seed: Sequence[int]) -> Tally:
    """So many clean days of one regime."""
    rng = np.random.default_rng(seed)
    result = Tally(what, regime)
    while result.days < days:
        count = min(CHUNK, days - result.days)
        (_latency if what == OF_LATENCY else _errors)(rng, result, settings, count)
        result.days += count
    return result


def _errors(rng: np.random.Generator, result: Tally, settings: GuardSettings, count: int) -> None:
    rule = next(rule for rule in settings.rules if isinstance(rule, RatioRule))
    regime = result.regime
    share, _ = day_levels(rng, regime, count, BEFORE)
    total = totals(rng, day_rates(regime, count, BEFORE))
    bad = bads(rng, total, share, regime.burstiness)
    before = slice(BEFORE - BASELINE, BEFORE)
    usuals = usual(bad[:, before], total[:, before])
    fires = _modes(result, read_ratio(counter(bad), counter(total), rule, EVERY, usuals), rule)
    shares = minutes(bad, total)
    hour = BEFORE // MINUTE
    result.add(THREE, three_of_five(shares, rule.above)[:, hour:], quiet=15)
    ranked = max(0, min(count, RANKED - result.ranked))
    result.add(RANKS, mann_whitney(shares[:ranked], hour), quiet=1)
    result.ranked += ranked
    for day in np.flatnonzero(fires.any(axis=1)):
        if sum(result.data.values()) < REPLAYED:
            at = BEFORE + int(np.flatnonzero(fires[day])[0])
            result.data[replay(settings, bad[day], total[day], BEFORE, at, rng)] += 1


def _latency(rng: np.random.Generator, result: Tally, settings: GuardSettings, count: int) -> None:
    rule = next(rule for rule in settings.rules if isinstance(rule, LatencyRule))
    regime = result.regime
    _, slow = day_levels(rng, regime, count, BASELINE)
    total = totals(rng, day_rates(regime, count, BASELINE))
    for day in range(count):
        found = latency.limit(rng, rule, int(total[day, :BASELINE].sum()))
        if found is None:
            continue  # without a baseline the rule has no data, and cannot fire
        one = slice(day, day + 1)
        counted = latency.bucket(rng, total[one], slow[one], regime.burstiness, found)
        _modes(result, read_latency(counted, counter(total[one]), rule, EVERY), rule)


def _modes(result: Tally, read: Read, rule: RatioRule | LatencyRule) -> Bools:
    """Counts all three modes after T-0; the answer is where `either` fires."""
    fires = {mode: firing(verdicts(read, mode), rule.hold, EVERY)[:, -DAY:] for mode in Mode}
    for mode, found in fires.items():
        result.add(mode, found)
    return fires[Mode.EITHER]
