"""Times and numbers as JSON says them."""

import math
from datetime import UTC, datetime, timedelta
from typing import Final

from watchdog.model.time import MILLISECOND, SECOND, Span, Time, in_seconds

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def iso(at: Time | None) -> str | None:
    """A time as ISO 8601 in UTC with milliseconds: `2025-01-08T09:30:00.250Z`; None stays None."""
    if at is None:
        return None
    whole, rest = divmod(at, SECOND)
    return f"{_EPOCH + timedelta(seconds=whole):%Y-%m-%dT%H:%M:%S}.{rest // MILLISECOND:03d}Z"


def seconds(length: Span | None) -> float | None:
    """A span as seconds, to the millisecond; None stays None."""
    return None if length is None else round(in_seconds(length), 3)


def from_datetime(moment: datetime) -> Time:
    """The time of a datetime that knows its zone, to the microsecond."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def number(value: float) -> float | str:
    """A number; infinities and nan, which JSON cannot say, as `inf`, `-inf`, `nan`."""
    return value if math.isfinite(value) else str(value)
