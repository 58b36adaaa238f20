"""Points of time as histories and people write them."""

import re
from datetime import UTC, datetime
from fractions import Fraction
from typing import Final

from watchdog.config.spans import parse_span
from watchdog.model.time import SECOND, Time
from watchdog.web.moments import from_datetime

EXAMPLE: Final = "2025-01-08T09:30:00Z, or seconds since 1970 like 1736328600"
LATEST: Final = 9_000_000_000
"""Seconds, in the year 2255: beyond, nanoseconds do not fit into 64 bits."""

_NUMBER: Final = re.compile(r"[0-9]{1,20}(\.[0-9]{1,12})?")
_SMALLER: Final = (1, 1_000, 1_000_000, 1_000_000_000)
"""Seconds, and the thousandths of thousandths that tools export instead."""


def parse_moment(text: str) -> Time:
    """ISO 8601 (without a zone it is UTC), or seconds since 1970, or milliseconds and smaller by their size.

    Raises:
        ValueError: It is neither; reads on after the text itself.
    """
    if _NUMBER.fullmatch(text):
        value = Fraction(text)
        for parts in _SMALLER:
            if value < LATEST * parts:
                return int(value * SECOND / parts)
        raise ValueError("is beyond the year 2255")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("is no time") from None
    try:
        found = from_datetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except OverflowError:
        raise ValueError("is no time that can be counted from 1970") from None
    if not 0 <= found < LATEST * SECOND:
        raise ValueError("is before 1970 or after 2255")
    return found


def parse_moment_or_span(text: str, since: Time) -> Time:
    """A point of time, or a length of time counted from `since` (`10m`).

    Raises:
        ValueError: It is neither.
    """
    if re.fullmatch(r"([0-9.]+(ms|s|m|h|d))+", text):
        return since + parse_span(text)
    return parse_moment(text)
