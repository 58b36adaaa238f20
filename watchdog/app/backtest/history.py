"""History: what probes would have answered, moment by moment, wherever it was kept."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import pairwise
from statistics import median_low
from typing import Protocol, Self

from watchdog.model.signals import Sample
from watchdog.model.time import SECOND, Span, Time

UNKNOWN_INTERVAL: Span = 5 * SECOND
"""Of a history with one moment."""


class History(Protocol):
    """Samples by moment; the moments rise."""

    @property
    def source(self) -> str:
        """Where it is from, for people."""
        ...

    @property
    def times(self) -> Sequence[Time]:
        """Its moments."""
        ...

    @property
    def signals(self) -> AbstractSet[str]:
        """Names of the signals that it has."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of how it was read."""
        ...

    def samples(self, index: int) -> Iterable[Sample]:
        """What was read at a moment."""
        ...


@dataclass(frozen=True)
class Recorded:
    """A history made of samples, in any order: a test's series, or the answer of a server."""

    source: str
    times: Sequence[Time]
    by_time: Mapping[Time, Sequence[Sample]]
    signals: AbstractSet[str]
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, source: str, samples: Iterable[Sample], times: Iterable[Time] = (), *notes: str) -> Self:
        """A history of these samples; `times` adds moments at which nothing was read."""
        by_time: dict[Time, list[Sample]] = {}
        for sample in samples:
            by_time.setdefault(sample.at, []).append(sample)
        names = {sample.signal.name for group in by_time.values() for sample in group}
        return cls(source, sorted({*by_time, *times}), by_time, names, notes)

    def samples(self, index: int) -> Iterable[Sample]:
        """What was read at a moment."""
        return self.by_time.get(self.times[index], ())


def interval(history: History) -> Span:
    """The usual distance of two moments."""
    times = history.times
    if len(times) < 2:
        return UNKNOWN_INTERVAL
    return median_low([after - before for before, after in pairwise(times)])


def index_at(times: Sequence[Time], at: Time) -> int:
    """Index of the last moment at or before; -1 before the first."""
    index = bisect_left(times, at)
    return index if index < len(times) and times[index] == at else index - 1
