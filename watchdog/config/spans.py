"""Lengths of time and shares as a person writes them."""

import re
from fractions import Fraction
from typing import Final

from watchdog.model.time import HOUR, MILLISECOND, MINUTE, SECOND, Span

EXAMPLE: Final = "a number with a unit: 250ms, 30s, 5m, 1h or 3d"
PATTERN: Final = r"^([0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h|d))+$"
"""For JSON Schema."""
LONGEST: Final[Span] = 36_500 * 24 * HOUR
_UNITS: Final = {"ms": MILLISECOND, "s": SECOND, "m": MINUTE, "h": HOUR, "d": 24 * HOUR}
_PART: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h|d)")


def parse_span(text: str) -> Span:
    """`250ms`, `30s`, `5m`, `1h`, `3d`, also together (`1h30m`), in nanoseconds.

    Raises:
        ValueError: It is none of these, or longer than a hundred years.
    """
    if not re.fullmatch(f"(?:{_PART.pattern})+", text):
        raise ValueError("is not a length of time")
    total = sum((Fraction(number) * _UNITS[unit] for number, unit in _PART.findall(text)), Fraction(0))
    if total > LONGEST:
        raise ValueError("is longer than a hundred years")
    return int(total)


def parse_ratio(text: str) -> float:
    """`5%` or `0.05`.

    Raises:
        ValueError: It is neither, or not between 0 and 1.
    """
    number = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,15})?)(%?)", text)
    if number is None:
        raise ValueError("is not a share")
    ratio = Fraction(number[1]) / (100 if number[2] else 1)
    if ratio > 1:
        raise ValueError("is more than everything")
    return float(ratio)
