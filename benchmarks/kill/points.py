"""Where a daemon is killed, and which of these places an undisturbed run passes."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final, Literal

import yaml

from watchdog.demo.daemon import shipped
from watchdog.model import events as ev
from watchdog.model.events import Event, Stored

Side = Literal["before", "after"]
SIDES: Final[tuple[Side, Side]] = ("before", "after")

CALLS: Final = {"service.send_term": 1, "cache.unlink": 2, "service.start": 1, "slack.send": 6}
"""Calls of targets and notifiers whose effect no transaction holds, and how many of each a run surely makes."""


PASSING: Final = (ev.SightLost, ev.SightRegained)
"""Events of watching, which come when they come: no two runs have the same."""


Victim = Literal["daemon", "postgres", "neo4j", "redis"]
SERVERS: Final[tuple[Victim, ...]] = ("postgres", "neo4j", "redis")


@dataclass(frozen=True)
class Kill:
    """Where one life ends: the daemon's, or a server's while the daemon is kept still.

    Attributes:
        site: `claim`, the event that leads an append (`StepIntended fence writers`), or one of `CALLS`.
        nth: Which of these in this life, from 1.
        victim: Who is killed.
    """

    side: Side
    site: str
    nth: int = 1
    victim: Victim = "daemon"

    def __str__(self) -> str:
        """As the table shows it."""
        whose = "" if self.victim == "daemon" else f"{self.victim} "
        return f"{whose}{self.side} {self.site}" + (f" ({self.nth})" if self.nth > 1 else "")


Store = Literal["db", "graph"]
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

    store: Store
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
        """How often somebody dies."""
        return len(self.kills) + (self.cut is not None)

    @property
    def of_servers(self) -> bool:
        """Whether servers die, and not the daemon."""
        return any(kill.victim != "daemon" for kill in self.kills)

    def __str__(self) -> str:
        """As the table shows it."""
        parts = [str(kill) for kill in self.kills] + ([str(self.cut)] if self.cut is not None else [])
        return ", then ".join(parts) or "undisturbed"


def data_steps() -> dict[str, str]:
    """Names of the data rung's steps, in order, with their kinds, from the shipped playbook."""
    playbook = yaml.safe_load((shipped() / "rollbacks" / "emergency" / "playbook.yaml").read_text(encoding="utf-8"))
    data = next(rung for rung in playbook["rungs"] if rung["rung"] == "data")
    return {step["name"]: step["kind"] for step in data["steps"]}


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
        if isinstance(together[0].body, PASSING):
            continue
        site = site_of(together[0].body)
        seen[site] += 1
        kills += [Kill(side, site, seen[site]) for side in SIDES]
    return kills


def server_kills(stored: Sequence[Stored]) -> list[Scenario]:
    """Each server, at every append of the data rung's steps."""
    rung = [kill for kill in kills_of(stored) if kill.site.startswith(("StepIntended ", "StepSucceeded "))]
    return [Scenario((replace(kill, victim=victim),)) for victim in SERVERS for kill in rung]


def calls() -> list[Kill]:
    """Both sides of every call that no transaction holds."""
    return [Kill(side, site, nth) for site, count in CALLS.items() for nth in range(1, count + 1) for side in SIDES]


def recoveries(step: str) -> list[Scenario]:
    """The daemon that goes on dies as well: at each append by which it takes over in the middle of a step."""
    begun = Kill("after", f"StepIntended {step}")
    sites = ("claim", "EpochClaimed", f"StepReset {step}")
    return [
        *(Scenario((begun, Kill(side, site))) for site in sites for side in SIDES),
        *(Scenario((Kill("before", f"StepSucceeded {step}"), Kill(side, f"StepSucceeded {step}"))) for side in SIDES),
    ]


def cuts(transactions: int) -> list[Scenario]:
    """Every mode at every fenced transaction."""
    places: list[tuple[Store, int]] = [*(("db", nth) for nth in range(1, transactions + 1)), ("graph", 1)]
    return [Scenario(cut=Cut(store, nth, mode)) for store, nth in places for mode in MODES]


def seeded(steps: Sequence[str], seed: int, runs: int = 5) -> list[Scenario]:
    """A few runs that die often: at every step once before and once after an event of it, and around the others.

    Args:
        steps: Names of the rung's steps, in order.
        seed: Draws which of a step's events stands for which side.
        runs: How many runs the kills are dealt out to, so that those of one run lie apart.
    """
    draw = random.Random(seed)  # noqa: S311 - repeatable, nothing to keep secret
    kills: list[Kill] = []
    for step in steps:
        names = ["StepIntended", "StepSucceeded"]
        # Whatever comes first in the run must come first in the list: a side and an event are drawn together.
        sides = draw.choice([("before", "after"), ("after", "before")])
        kills += [
            Kill("after" if side == "after" else "before", f"{name} {step}")
            for name, side in zip(names, sides, strict=True)
        ]
    for call, nth in (("service.send_term", 1), ("cache.unlink", 2), ("service.start", 1)):
        place = next(i for i, kill in enumerate(kills) if kill.site == f"StepSucceeded {_step_of(call, steps)}")
        kills.insert(place, Kill(draw.choice(SIDES), call, nth))
    kills += [Kill(draw.choice(SIDES), site) for site in ("RungJudged data", "Resolved")]
    first = [
        Kill("before", "EpochClaimed"),
        Kill("before", "IncidentOpened"),
        Kill("after", "IncidentOpened"),
        Kill(draw.choice(SIDES), "NoticeIntended"),
        Kill("after", "slack.send"),
    ]
    dealt = [kills[run::runs] for run in range(runs)]
    return [Scenario((head, *rest)) for head, rest in zip(first, dealt, strict=False)]


def _step_of(call: str, steps: Sequence[str]) -> str:
    """The step that makes a call, by the words of its name."""
    word = {"service.send_term": "stop", "cache.unlink": "cache", "service.start": "start"}[call]
    return next(step for step in steps if word in step)
