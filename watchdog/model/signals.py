"""What a probe answers with."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from watchdog.model.time import Span, Time

Labels: TypeAlias = tuple[tuple[str, str], ...]
"""Label pairs in the order of their names."""


class SignalKind(StrEnum):
    """How the values of a signal are read."""

    GAUGE = "gauge"
    COUNTER = "counter"
    DISTRIBUTION = "distribution"
    CHECK = "check"


class Cause(StrEnum):
    """Why there is no value."""

    NO_TRAFFIC = "no traffic"
    UNREACHABLE = "unreachable"
    PROBE_BROKEN = "probe broken"
    NOT_YET = "not yet"
    TOO_OLD = "too old"


@dataclass(frozen=True, slots=True, order=True)
class SignalId:
    """One series of a signal: its name and, where the signal is split, its labels."""

    name: str
    labels: Labels = ()

    def __str__(self) -> str:
        if not self.labels:
            return self.name
        return self.name + "{" + ",".join(f'{key}="{value}"' for key, value in self.labels) + "}"


@dataclass(frozen=True, slots=True)
class Histogram:
    """Cumulative counts at or below each upper bound; the last bound is infinity, so its count is the total."""

    bounds: tuple[float, ...]
    counts: tuple[float, ...]
    sum: float

    @property
    def count(self) -> float:
        """All observations."""
        return self.counts[-1] if self.counts else 0.0


@dataclass(frozen=True, slots=True)
class Missing:
    """There is no value, and this is why."""

    cause: Cause
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading of one series. A check's value is its number of violations."""

    signal: SignalId
    at: Time
    value: float | Histogram | Missing


@dataclass(frozen=True, slots=True)
class Selector:
    """Every series of a signal whose labels include these pairs."""

    signal: str
    where: Labels = ()

    def matches(self, labels: Labels) -> bool:
        """Whether a series with these labels is meant."""
        return all(pair in labels for pair in self.where)

    def __str__(self) -> str:
        return str(SignalId(self.signal, self.where))


@dataclass(frozen=True, slots=True)
class SignalSpec:
    """A signal as the rules file declares it."""

    name: str
    kind: SignalKind
    target: str
    every: Span
    help: str = ""
