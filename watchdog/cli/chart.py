"""One small chart in the terminal: a line of blocks, and a line of marks below it."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

BLOCKS: Final = "▁▂▃▄▅▆▇█"
GAP: Final = "·"


def sparkline(values: Sequence[float], width: int = 60, *, top: float | None = None) -> str:
    """The values as blocks from 0 (or the least, when it is negative) to the highest or `top`; gaps are dots.

    Where several values share a column, the highest is shown.
    """
    columns = [_highest(values[first:last]) for first, last in pairwise(_edges(len(values), width))]
    known = [value for value in columns if not math.isnan(value)]
    least = min([0.0, *known])
    height = max([*known, least if top is None else top]) - least
    return "".join(
        GAP if math.isnan(value) else _block((value - least) / height if height else 0.0) for value in columns
    )


def marks(marked: Iterable[tuple[int, str]], length: int, width: int = 60) -> str:
    """A line with a sign below the column of each of these values; of two in one column the last."""
    columns = max(1, len(_edges(length, width)) - 1)
    line = [" "] * columns
    for index, sign in marked:
        line[min(columns - 1, index * columns // max(1, length))] = sign
    return "".join(line).rstrip()


def _edges(length: int, width: int) -> list[int]:
    columns = min(length, width)
    return [-(-column * length // columns) for column in range(columns + 1)] if columns else [0]


def _highest(values: Sequence[float]) -> float:
    return max((value for value in values if not math.isnan(value)), default=math.nan)


def _block(share: float) -> str:
    return BLOCKS[min(len(BLOCKS) - 1, max(0, round(share * (len(BLOCKS) - 1))))]
