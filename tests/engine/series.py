"""Samples and windows, written down shortly."""

from collections.abc import Iterable, Sequence

from watchdog.engine.windows import Windows, empty, observe_all
from watchdog.model.signals import Histogram, Labels, Missing, Sample, SignalId, SignalKind, SignalSpec
from watchdog.model.time import MINUTE, SECOND, Span, Time

T0 = 1_700_000_000 * SECOND
EVERY = 5 * SECOND


def signal(name: str, kind: SignalKind = SignalKind.COUNTER, every: Span = EVERY) -> SignalSpec:
    return SignalSpec(name, kind, "api", every)


def read(
    name: str,
    values: Iterable[float | Histogram | Missing],
    *,
    start: Time = T0,
    every: Span = EVERY,
    labels: Labels = (),
) -> list[Sample]:
    """One sample after the other, `every` apart."""
    return [Sample(SignalId(name, labels), start + index * every, value) for index, value in enumerate(values)]


def at(seconds: float) -> Time:
    return T0 + round(seconds * SECOND)


def windows(specs: Sequence[SignalSpec], *samples: Iterable[Sample], keep: Span = 15 * MINUTE) -> Windows:
    made = empty(specs, keep)
    for group in samples:
        made = observe_all(made, group)
    return made


def histogram(*counts: float, bounds: tuple[float, ...] = (0.1, 0.5, float("inf"))) -> Histogram:
    """Cumulative counts over the usual three buckets."""
    return Histogram(bounds, counts, 0.0)
