"""What a tick costs: many signals and many rules in one daemon, on one core."""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from benchmarks.detection.bounds import percentile
from benchmarks.detection.latency import BOUNDS
from benchmarks.detection.traffic import EVERY
from benchmarks.detection.watched import Watched, release
from watchdog.engine.windows import SeriesWindow
from watchdog.model import inputs
from watchdog.model.guards import GuardSettings
from watchdog.model.rules import CountRule, GaugeRule, LatencyRule, RatioRule, Rule
from watchdog.model.signals import Histogram, Sample, Selector, SignalId, SignalKind, SignalSpec

SIZES: Final = (100, 1_000, 10_000)
A_GUARD: Final = 20
"""Signals of one guard, and rules."""
FULL: Final = 246
"""Ticks until the windows are full."""
GOAL: Final = 0.050
"""Seconds; the 99th percentile of a tick's work."""
SHARE: Final = (SignalKind.COUNTER,) * 12 + (SignalKind.DISTRIBUTION,) * 4 + (SignalKind.GAUGE,) * 4
"""The kinds of a guard's signals."""


@dataclass(frozen=True)
class Cost:
    """Seconds of a tick's work and bytes a signal.

    Attributes:
        observe: Taking up the samples.
        decide: Judging every rule and deciding.
    """

    signals: int
    observe: list[float]
    decide: list[float]
    whole: list[float]
    bytes_a_signal: dict[SignalKind, float]

    @property
    def p99(self) -> float:
        """Of the whole tick."""
        return percentile(self.whole, 0.99)


def cost(settings: GuardSettings, signals: int, ticks: int) -> Cost:
    """Guards of twenty signals and twenty rules each, one sample a signal and tick, windows full, all well."""
    guards = [_guard(settings, number) for number in range(signals // A_GUARD)]
    for tick in range(FULL):
        for watched in guards:
            watched.now += EVERY
            watched.observe(_samples(watched.settings.signals, tick, watched.now))
    for watched in guards:
        watched.start(release())
        watched.say(inputs.Arm("pipeline"))
    observe, decide, whole = [], [], []
    for tick in range(FULL, FULL + ticks):
        given = [(watched, _samples(watched.settings.signals, tick, watched.now + EVERY)) for watched in guards]
        began = time.perf_counter()
        for watched, samples in given:
            watched.now += EVERY
            watched.observe(samples)
        observed = time.perf_counter()
        for watched, _ in given:
            watched.judge()
        ended = time.perf_counter()
        observe.append(observed - began)
        decide.append(ended - observed)
        whole.append(ended - began)
    if any(watched.guard.incident is not None for watched in guards):
        raise AssertionError("a rule fired: what was measured is a climb")
    return Cost(signals, observe, decide, whole, _memory(guards))


def _guard(settings: GuardSettings, number: int) -> Watched:
    specs = tuple(SignalSpec(f"s{index}", kind, "api", EVERY) for index, kind in enumerate(SHARE))
    return Watched(replace(settings, name=f"guard{number}", signals=specs, rules=tuple(_rules()), evidence=()))


def _rules() -> Iterator[Rule]:
    """One rule a signal."""
    for index, kind in enumerate(SHARE):
        of = Selector(f"s{index}")
        match kind:
            case SignalKind.COUNTER if index % 2:
                yield RatioRule(name=f"r{index}", bad=Selector(f"s{index - 1}"), total=of, above=0.05)
            case SignalKind.COUNTER:
                yield CountRule(name=f"r{index}", of=of, above=1_000.0)
            case SignalKind.DISTRIBUTION:
                yield LatencyRule(name=f"r{index}", of=of)
            case _:
                yield GaugeRule(name=f"r{index}", of=of, above=1_000.0)


def _samples(specs: Sequence[SignalSpec], tick: int, at: int) -> list[Sample]:
    made = []
    for index, spec in enumerate(specs):
        value: float | Histogram = float(tick * (100 if index % 2 else 1))
        if spec.kind is SignalKind.DISTRIBUTION:
            value = Histogram(BOUNDS, tuple(float(tick * 8 * min(one + 1, 9)) for one in range(len(BOUNDS))), 0.0)
        elif spec.kind is SignalKind.GAUGE:
            value = float(tick % 7)
        made.append(Sample(SignalId(spec.name), at, value))
    return made


def _memory(guards: Sequence[Watched]) -> dict[SignalKind, float]:
    """Bytes of a window, by kind; every number is counted once for each window that holds it."""
    watched = guards[0]
    found: dict[SignalKind, float] = {}
    for group in watched.windows.series.values():
        for series in group.values():
            found[series.kind] = float(_size(series))
    return found


def _size(series: SeriesWindow) -> int:
    seen: dict[int, int] = {}

    def add(value: object) -> None:
        seen[id(value)] = sys.getsizeof(value)
        if isinstance(value, tuple):
            for one in value:
                add(one)

    for value in (series, series.times, series.raws, series.totals, series.bounds):
        add(value)
    return sum(seen.values())
