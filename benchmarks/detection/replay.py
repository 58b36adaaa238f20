"""A false alarm played again with the engine itself: how far up the ladder it climbs."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from benchmarks.detection.traffic import TICK
from benchmarks.detection.twin import Floats
from benchmarks.detection.watched import START, Watched, later, release
from watchdog.model import inputs
from watchdog.model.guards import GuardSettings
from watchdog.model.rules import RungKind
from watchdog.model.signals import Sample, SignalId
from watchdog.model.time import HOUR

BASELINE: Final = 126
"""Ticks before T-0 that are read: a little more than the baseline."""
BACK: Final = 240
"""Ticks before the firing that are read: as much as windows keep."""
ON: Final = 96
"""Ticks after it: eight minutes, longer than the ladder's budget."""
USERS: Final = 1.0
"""SQLSTATE 23502 an hour that users' own mistakes cause on a clean day."""


def replay(settings: GuardSettings, bad: Floats, total: Floats, zero: int, fires: int, rng: np.random.Generator) -> str:
    """How the data rung fares: `automatic`, `proposed`, or `not reached`.

    Args:
        bad: Bad requests of each tick.
        total: All requests of each tick.
        zero: The tick of T-0.
        fires: The tick at which the twin saw the rule fire.
    """
    watched = Watched(replace(settings, bake=25 * HOUR))
    codes = rng.poisson(USERS * TICK / 3600, size=len(bad))
    read: list[Floats] = [np.cumsum(one) for one in (bad, total, codes.astype(np.float64))]
    for tick in range(zero - BASELINE, zero):
        watched.now = later(START, tick)
        watched.observe(_samples(read, tick))
    watched.start(release())
    watched.say(inputs.Arm("pipeline"))
    for tick in range(max(zero, fires - BACK), min(len(bad), fires + ON)):
        watched.now = later(START, tick)
        watched.observe(_samples(read, tick))
        if tick >= fires - BACK // 2:
            watched.judge()
            watched.step()
        if watched.over:
            break
    if watched.entered(RungKind.DATA):
        return "automatic"
    return "proposed" if watched.proposed(RungKind.DATA) else "not reached"


def _samples(read: Sequence[Floats], tick: int) -> list[Sample]:
    bad, total, codes = (float(one[tick]) for one in read)
    at, version = later(START, tick), (("version", "v2"),)
    return [
        Sample(SignalId("errors", version), at, bad),
        Sample(SignalId("requests", version), at, total),
        Sample(SignalId("db_errors", (("sqlstate", "23502"),)), at, codes),
        Sample(SignalId("connection_errors"), at, 0.0),
    ]
