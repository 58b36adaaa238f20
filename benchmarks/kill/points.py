"""Where a daemon is killed, and which of these places an undisturbed run passes."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Literal

from watchdog.model import events as ev
from watchdog.model.events import Event, Stored

Side = Literal["before", "after"]
SIDES: Final[tuple[Side, Side]] = ("before", "after")

CALLS: Final = ("service.send_term", "service.start", "cache.unlink", "slack.send")
"""Calls of targets and notifiers whose effect no transaction holds."""


@dataclass(frozen=True)
class Kill:
    """Where one life of the daemon ends.

    Attributes:
        site: `claim`, the event that leads an append (`StepIntended fence writers`), or one of `CALLS`.
        nth: Which of these in this life, from 1.
    """

    side: Side
    site: str
    nth: int = 1

    def __str__(self) -> str:
        """As the table shows it."""
        return f"{self.side} {self.site}" + (f" ({self.nth})" if self.nth > 1 else "")


Mode = Literal["unsent", "unanswered", "late", "never"]
MODES: Final[tuple[Mode, ...]] = ("unsent", "unanswered", "late", "never")
MODE_WORDS: Final[dict[Mode, str]] = {
    "unsent": "killed between effect and COMMIT",
    "unanswered": "killed after COMMIT, before its answer",
    "late": "killed at COMMIT, which reaches the server while the next daemon waits for the fence",
    "never": "killed at COMMIT, and the server keeps the transaction open",
}


@dataclass(frozen=True)
class Cut:
    """The daemon is killed when it sends a fenced transaction's COMMIT.

    Attributes:
        store: `db` or `graph`.
        nth: Which fenced transaction of the run, from 1.
        mode: What becomes of the COMMIT.
    """

    store: Literal["db", "graph"]
    nth: int
    mode: Mode

    def __str__(self) -> str:
        """As the table shows it."""
        return f"{self.store} transaction {self.nth}: {MODE_WORDS[self.mode]}"


@dataclass(frozen=True)
class Blocked:
    """The daemon is killed while the server still works on its statement, which waits for a lock.

    Attributes:
        table: Locked by somebody else until the next daemon is there.
    """

    table: str

    def __str__(self) -> str:
        """As the table shows it."""
        return f"killed while its statement waits for {self.table}, and the server does not notice"


@dataclass(frozen=True)
class Scenario:
    """One run: each life but the last ends at a kill, or at the cut."""

    kills: tuple[Kill, ...] = ()
    cut: Cut | Blocked | None = None

    @property
    def deaths(self) -> int:
        """How often the daemon dies."""
        return len(self.kills) + (self.cut is not None)

    def __str__(self) -> str:
        """As the table shows it."""
        parts = [str(kill) for kill in self.kills] + ([str(self.cut)] if self.cut is not None else [])
        return ", then ".join(parts) or "undisturbed"


def site_of(event: Event) -> str:
    """What names an append that this event leads."""
    name = type(event).__name__
    match event:
        case ev.StepIntended(step) | ev.StepSucceeded(step) | ev.StepReset(step):
            return f"{name} {step.split('/', 2)[2]}"
        case ev.RungEntered(rung) | ev.RungFinished(rung) | ev.RungJudged(rung):
            return f"{name} {rung}"
        case _:
            return name


def appends(stored: Sequence[Stored]) -> Iterator[tuple[Stored, ...]]:
    """Events that went into the journal together: they carry the same time."""
    for _, together in groupby(stored, key=lambda one: one.at):
        yield tuple(together)


def kills_of(stored: Sequence[Stored]) -> list[Kill]:
    """Both sides of the claim and of every append of a run; `stored` is all that one daemon has written."""
    kills = [Kill(side, "claim") for side in SIDES]
    seen: Counter[str] = Counter()
    for together in appends(stored):
        site = site_of(together[0].body)
        seen[site] += 1
        kills += [Kill(side, site, seen[site]) for side in SIDES]
    return kills


def calls_of(counts: dict[str, int]) -> list[Kill]:
    """Both sides of every call that no transaction holds."""
    return [Kill(side, site, nth) for site, count in counts.items() for nth in range(1, count + 1) for side in SIDES]


def chained(kills: Sequence[Kill], length: int, seed: int) -> list[Scenario]:
    """Kills put together so that a run dies `length` times, in the run's order; who comes together is drawn by lot."""
    order = {kill: place for place, kill in enumerate(kills)}
    drawn = list(kills)
    random.Random(seed).shuffle(drawn)  # noqa: S311 - repeatable, nothing to keep secret
    groups = [drawn[start : start + length] for start in range(0, len(drawn), length)]
    return [Scenario(tuple(sorted(group, key=order.__getitem__))) for group in groups]
