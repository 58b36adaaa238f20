"""Points and spans of time: whole nanoseconds, so that arithmetic is exact and a journal replays alike."""

from typing import Final, TypeAlias

Time: TypeAlias = int
"""Nanoseconds since 1970-01-01 UTC, steady within one process (see `ports.clock`)."""

Span: TypeAlias = int
"""A length of time in nanoseconds."""

MILLISECOND: Final[Span] = 1_000_000
SECOND: Final[Span] = 1_000 * MILLISECOND
MINUTE: Final[Span] = 60 * SECOND
HOUR: Final[Span] = 60 * MINUTE


def span(seconds: float) -> Span:
    """A span of so many seconds, rounded to the nanosecond."""
    return round(seconds * SECOND)


def in_seconds(length: Span) -> float:
    """A span as seconds."""
    return length / SECOND


def say_span(length: Span) -> str:
    """A span as a person says it: `0.4 s`, `42 s`, `3 min 20 s`, `2 h 5 min`."""
    seconds = length / SECOND
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 120:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
