"""Names of series as Prometheus writes them, and the short notation for their values."""

import math
import re
from collections.abc import Iterator
from typing import Final, TypeAlias

from watchdog.model.signals import Cause, Missing, SignalId

MOST_VALUES: Final = 100_000
"""That one series of a test may have."""

_SERIES: Final = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*(?:\{(.*)\}\s*)?")
_PAIR: Final = re.compile(r'\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(,|$)')
_FLOAT: Final = r"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_RUN: Final = re.compile(rf"(-?{_FLOAT})(?:([+-])({_FLOAT}))?(?:x([0-9]{{1,6}}))?")
_GAP: Final = re.compile(r"(_|stale|broken)(?:x([0-9]{1,6}))?")
_ESCAPED: Final = re.compile(r"\\(.)")

Point: TypeAlias = float | Missing | None
"""A value, a reading that says why it has none, or no reading at all."""


def parse_series(text: str) -> SignalId:
    """`errors`, or `errors{status="500",pod="a"}`.

    Raises:
        ValueError: It is neither; reads on after the text itself.
    """
    found = _SERIES.fullmatch(text)
    if found is None:
        raise ValueError('is no series; write name or name{label="value"}')
    rest, labels = found[2] or "", dict[str, str]()
    while rest.strip():
        pair = _PAIR.match(rest)
        if pair is None or pair[1] in labels:
            raise ValueError('has labels that cannot be read; write {label="value",other="value"}')
        labels[pair[1]] = _ESCAPED.sub(lambda mark: "\n" if mark[1] == "n" else mark[1], pair[2])
        rest = rest[pair.end() :]
    return SignalId(found[1], tuple(sorted(labels.items())))


def parse_values(text: str) -> list[Point]:
    """The values of a series, one an interval, in the notation of `promtool test rules`.

    `5` is a value; `0+10x3` is 0 10 20 30 and `7x3` is 7 7 7 7; `_` is no reading, `_x3` three of them. `stale` is a
    reading that says that the target does not answer, `broken` one that says that the probe makes no sense.

    Raises:
        ValueError: Something in it is none of these, or there are too many; names it.
    """
    values: list[Point] = []
    for word in text.split():
        found = list(_values(word))
        if len(values) + len(found) > MOST_VALUES:
            raise ValueError(f"has more than {MOST_VALUES} values")
        values += found
    return values


def _values(word: str) -> Iterator[Point]:
    if gap := _GAP.fullmatch(word):
        yield from [_absent(gap[1])] * int(gap[2] or 1)
        return
    run = _RUN.fullmatch(word)
    if run is None:
        raise ValueError(f"has {word!r}; write values like 5, 0+10x3, 7x3, _, _x3, stale or broken")
    start = float(run[1])
    step = float(f"{run[2]}{run[3]}") if run[2] else 0.0
    last = int(run[4]) if run[4] else 0
    if run[2] and not run[4]:
        raise ValueError(f"has {word!r} without how often; write {word}x3 for three steps more")
    if not math.isfinite(start + step * last):
        raise ValueError(f"has {word!r}, which grows without bounds")
    yield from (start + step * index for index in range(last + 1))


def _absent(word: str) -> Missing | None:
    match word:
        case "stale":
            return Missing(Cause.UNREACHABLE, "stale: the series says that its target does not answer")
        case "broken":
            return Missing(Cause.PROBE_BROKEN, "broken: the series says that its probe makes no sense")
        case _:
            return None
