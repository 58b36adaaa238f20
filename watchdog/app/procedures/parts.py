"""What a procedure answers: one part after the other, each well, failed or not run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Outcome(StrEnum):
    """How one part went; what was not run is neither good nor bad news, and says why."""

    OK = "ok"
    FAILED = "failed"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Part:
    """One part of a procedure.

    Attributes:
        detail: One sentence: what was found, or why it was not run.
        lines: More of it, one thing a line; no values of rows.
        numbers: Figures by name, their unit in the name (`p95_seconds`, `error_ratio`).
    """

    name: str
    outcome: Outcome
    detail: str
    lines: tuple[str, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)


def settled(
    name: str,
    detail: str,
    *,
    wrong: tuple[str, ...],
    unseen: tuple[str, ...] = (),
    numbers: Mapping[str, float] | None = None,
) -> Part:
    """A part that looked at many things: failed if one is wrong, not run if nothing is but not all could be seen.

    Args:
        detail: What was looked at, when all of it is well.
    """
    figures = numbers or {}
    if wrong:
        return Part(name, Outcome.FAILED, _count(wrong, "finding"), (*wrong, *unseen), figures)
    if unseen:
        return Part(name, Outcome.NOT_RUN, f"{_count(unseen, 'thing')} could not be looked at", unseen, figures)
    return Part(name, Outcome.OK, detail, (), figures)


def _count(lines: tuple[str, ...], word: str) -> str:
    return f"{len(lines)} {word}{'' if len(lines) == 1 else 's'}"
