"""Which series of numbers make which samples: counters and gauges by themselves, histograms out of their buckets."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from watchdog.config.problems import one_of, quoted
from watchdog.model.signals import Histogram, Missing, SignalId, SignalKind

BUCKET: Final = "_bucket"
_UNUSED: Final = ("_sum", "_count", "_created")


@dataclass(frozen=True)
class Group:
    """One series of a signal, and the positions of the numbers that it is made of.

    Attributes:
        bounds: Of a distribution, rising, the last one infinity; empty for anything else.
    """

    signal: SignalId
    kind: SignalKind
    positions: tuple[int, ...]
    bounds: tuple[float, ...] = ()

    def value(self, numbers: Sequence[float | Missing | None]) -> float | Histogram | Missing | None:
        """The reading; None when there is none.

        Raises:
            ValueError: The numbers are no reading; says why, without naming the place.
        """
        found = [numbers[position] for position in self.positions]
        for one in found:
            if isinstance(one, Missing):
                return one
        values = [one for one in found if isinstance(one, float)]
        if not values:
            return None
        if len(values) < len(found):
            raise ValueError(f"{self.signal} has {len(values)} of its {len(found)} buckets")
        if self.kind in {SignalKind.COUNTER, SignalKind.DISTRIBUTION} and min(values) < 0:
            raise ValueError(f"{self.signal} is negative, and a {self.kind} never is")
        if not self.bounds:
            return values[0]
        if values != sorted(values):
            raise ValueError(f"{self.signal} falls with rising bounds; its buckets must be cumulative")
        return Histogram(self.bounds, tuple(values), math.nan)


def group(series: Sequence[SignalId], kinds: Mapping[str, SignalKind]) -> tuple[dict[SignalId, Group], dict[int, str]]:
    """The groups that these series make, and by position what is wrong with a series.

    Buckets carry the label `le`; `_sum` and `_count` of a distribution are not needed and passed over.
    """
    groups: dict[SignalId, Group] = {}
    wrong: dict[int, str] = {}
    buckets: dict[SignalId, dict[float, int]] = {}
    seen: set[SignalId] = set()
    for position, one in enumerate(series):
        if one in seen:
            wrong[position] = "stands twice"
        seen.add(one)
        kind = kinds.get(one.name)
        if kind is SignalKind.DISTRIBUTION:
            wrong[position] = f'is a distribution: give its buckets, {one.name}{BUCKET}{{le="0.1"}} to le="+Inf"'
        elif kind is not None:
            groups[one] = Group(one, kind, (position,))
        elif _of(one.name, (BUCKET,), kinds):
            said = _add_bucket(buckets, one, position)
            wrong |= {position: said} if said else {}
        elif not _of(one.name, _UNUSED, kinds):
            wrong[position] = f"is no signal of these rules; {_instead(one.name, kinds)}"
    for signal, positions in buckets.items():
        bounds = tuple(sorted(positions))
        ordered = tuple(positions[bound] for bound in bounds)
        if bounds[-1] != math.inf:
            wrong.setdefault(ordered[-1], f'is the last bucket of {signal}: le="+Inf", which counts all, is missing')
        groups[signal] = Group(signal, SignalKind.DISTRIBUTION, ordered, bounds)
    return groups, wrong


def _of(name: str, endings: Iterable[str], kinds: Mapping[str, SignalKind]) -> bool:
    bases = (name.removesuffix(ending) for ending in endings if name.endswith(ending))
    return any(kinds.get(base) is SignalKind.DISTRIBUTION for base in bases)


def _add_bucket(buckets: dict[SignalId, dict[float, int]], one: SignalId, position: int) -> str:
    """What is wrong with it; empty for nothing."""
    labels = dict(one.labels)
    try:
        bound = float(labels.pop("le", "nan"))
    except ValueError:
        bound = math.nan
    if math.isnan(bound):
        return 'is a bucket without a number in le="…"'
    group_of = buckets.setdefault(SignalId(one.name.removesuffix(BUCKET), tuple(labels.items())), {})
    if bound in group_of:
        return "is a bucket that stands twice"
    group_of[bound] = position
    return ""


def _instead(name: str, kinds: Mapping[str, SignalKind]) -> str:
    known = one_of(name, kinds)
    return f"write {known}, or leave it out" if known else f"no rule reads {quoted(name)}, leave it out"
