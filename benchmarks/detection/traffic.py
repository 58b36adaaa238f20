"""Requests as chance sends them, in ticks of five seconds: clean days, and faults."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from benchmarks.detection.twin import Floats
from watchdog.model.time import SECOND, Span

EVERY: Final[Span] = 5 * SECOND
TICK: Final = 5.0
"""Seconds."""
DAY: Final = 17_280
"""Ticks of a day."""


class Shape(StrEnum):
    """What a clean day looks like."""

    STEADY = "steady"
    CYCLE = "daily cycle"
    SPIKES = "deploy spikes"
    DRIFT = "slow drift"


SAYS: Final = {
    Shape.STEADY: "nothing changes",
    Shape.CYCLE: "the rate swings by 70 % over the day, the share of errors (or the latency) by 20 %",
    Shape.SPIKES: "six times a day one minute at 10 % errors (or with twice the latency)",
    Shape.DRIFT: "the share of errors grows by half over the day (the latency by a fifth)",
}


@dataclass(frozen=True)
class Regime:
    """One kind of clean day.

    Attributes:
        rate: Requests a second.
        burstiness: Correlation of the requests of one tick.
        errors: Share of bad requests (0 to 1) that is normal; for latencies it is not used.
    """

    rate: float
    burstiness: float
    errors: float
    shape: Shape

    def __str__(self) -> str:
        return f"{self.rate:g}/s, burstiness {self.burstiness:g}, {self.errors:.0%} errors, {self.shape}"


def totals(rng: np.random.Generator, rate: Floats) -> Floats:
    """Requests of each tick at a rate a second."""
    return rng.poisson(rate * TICK).astype(np.float64)


def bads(rng: np.random.Generator, total: Floats, share: Floats, burstiness: float) -> Floats:
    """How many of them are bad: binomial, or beta-binomial where the requests of a tick resemble one another."""
    if not burstiness:
        return rng.binomial(total.astype(np.int64), share).astype(np.float64)
    scale = (1.0 - burstiness) / burstiness
    inner = np.clip(share, 1e-9, 1.0 - 1e-9)
    drawn = rng.beta(inner * scale, (1.0 - inner) * scale)
    # Certainty stays certain: a total outage has no lucky ticks.
    drawn = np.where(share >= 1.0, 1.0, np.where(share <= 0.0, 0.0, drawn))
    return rng.binomial(total.astype(np.int64), drawn).astype(np.float64)


def counter(risen: Floats) -> Floats:
    """A counter that begins at 0, as read: one column more."""
    return np.concatenate([np.zeros((len(risen), 1)), np.cumsum(risen, axis=1)], axis=1)


def day_rates(regime: Regime, days: int, before: int) -> Floats:
    """Requests a second at every tick of each day, with `before` ticks ahead of T-0."""
    at = np.arange(-before, DAY) / DAY
    factor = 1.0 + 0.7 * np.sin(2 * np.pi * at) if regime.shape is Shape.CYCLE else np.ones(before + DAY)
    return np.broadcast_to(regime.rate * factor, (days, before + DAY)).copy()


def day_levels(rng: np.random.Generator, regime: Regime, days: int, before: int) -> tuple[Floats, Floats]:
    """The normal share of errors at every tick, and the factor of the latency."""
    at = np.arange(-before, DAY) / DAY
    level = np.ones((days, before + DAY))
    spike = np.zeros((days, before + DAY), dtype=np.bool_)
    slow = level.copy()
    if regime.shape is Shape.CYCLE:
        level += 0.2 * np.sin(2 * np.pi * (at + rng.random((days, 1))))
        slow = level.copy()
    elif regime.shape is Shape.DRIFT:
        level += 0.5 * np.maximum(0.0, at)
        slow += 0.2 * np.maximum(0.0, at)
    elif regime.shape is Shape.SPIKES:
        starts = rng.integers(before, before + DAY - 12, size=(days, 6))
        for offset in range(12):
            np.put_along_axis(spike, starts + offset, values=True, axis=1)
        slow[spike] = 2.0
    return np.where(spike, 0.10, level * regime.errors), slow
