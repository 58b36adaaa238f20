"""What a guard is read too rarely for, or not at all."""

from collections.abc import Iterable, Mapping
from typing import Final

from watchdog.config.problems import quoted
from watchdog.config.rules_file import DeclaredProbe, DeclaredRule
from watchdog.config.shapes import Place
from watchdog.model.rules import LatencyRule, RatioRule
from watchdog.model.time import Span, say_span

REMEMBER: Final = ("prometheus",)
"""Probes that can be asked for the past."""
LEAST: Final = 2
"""Intervals that the recent window of a rule should hold: with fewer, one reading alone can be the verdict."""


def warn_sparse(rules: Iterable[DeclaredRule], intervals: Mapping[str, Span]) -> None:
    """Warns of rules whose recent window is shorter than two intervals of what they read.

    Args:
        intervals: By the signal's name.
    """
    for declared in rules:
        rule = declared.rule
        if not isinstance(rule, RatioRule | LatencyRule):
            continue
        rarest = max((selector.signal for _, _, selector, _ in declared.reads), key=lambda name: intervals.get(name, 0))
        every = intervals.get(rarest, 0)
        if rule.confidence.recent < LEAST * every:
            declared.place.at("recent").warn(
                f"{say_span(rule.confidence.recent)} is less than two readings of {quoted(rarest)}, which come every "
                f"{say_span(every)}: the verdict is late, and hangs on a single one",
                f"`every: {_seconds(rule.confidence.recent // LEAST)}` or less there, or `recent: "
                f"{_seconds(LEAST * every)}` or more",
            )


def check_days(place: Place, days: int, probes: Iterable[DeclaredProbe]) -> None:
    """Days before can only be known where something remembers them.

    Args:
        place: Of the option.
    """
    if days and not any(probe.kind.name in REMEMBER for probe in probes):
        wanted = " or ".join(REMEMBER)
        place.error(f"no signal of this guard is read by a probe that knows the past ({wanted})", "0, or leave it out")


def _seconds(length: Span) -> str:
    """A length as a file says it."""
    milliseconds = length // 1_000_000
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"
