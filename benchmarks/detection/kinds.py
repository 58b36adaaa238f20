"""Kinds of incidents: what they do to a service, and which reversal ends them, if any does."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np

from benchmarks.detection.service import NEW, OLD, Conditions
from watchdog.model.releases import Compatibility
from watchdog.model.rules import RungKind

WELL: Final = Conditions()


@dataclass(frozen=True)
class Acted:
    """What the ladder has done."""

    cancelled: bool = False
    flags_off: bool = False
    old_code: bool = False
    data_back: bool = False


Course: TypeAlias = Callable[[float, Acted], Conditions]
"""The conditions so many seconds after the beginning, with what has been done."""


@dataclass(frozen=True)
class Kind:
    """A kind of incident.

    Attributes:
        ends: Rungs of which one ends it; none for an innocent one.
        applying: It happens while the migration is still applied.
        share: Of requests that the new version answers; drawn by lot where it is 0.
        neighbour: Another guard of the same daemon, over the same database, starts a release when it begins.
    """

    name: str
    make: Callable[[np.random.Generator], Course]
    ends: tuple[RungKind, ...] = ()
    compatible: Compatibility = Compatibility.COMPATIBLE
    applying: bool = False
    share: float = 0.0
    neighbour: bool = False
    note: str = ""


def _both(value: float) -> Mapping[str, float]:
    return {OLD: value, NEW: value}


def _for(seconds: float, conditions: Conditions, after: Conditions = WELL) -> Course:
    """It ends by itself, whatever is done."""
    return lambda since, acted: conditions if since < seconds else after  # noqa: ARG005 - nothing that is done helps


def _until(ended: Callable[[Acted], bool], conditions: Conditions) -> Course:
    """It ends by what is done, and by nothing else."""
    return lambda since, acted: WELL if ended(acted) else conditions  # noqa: ARG005 - time does not heal it


def _dependency(rng: np.random.Generator) -> Course:
    bad = Conditions(errors=_both(rng.uniform(0.2, 1.0)), slow=_both(rng.uniform(1, 10)))
    return _for(rng.uniform(180, 1_800), bad)


def _node(rng: np.random.Generator) -> Course:
    bad = Conditions(errors=_both(rng.uniform(0.1, 0.5)), codes={"08006": 0.5}, connections=rng.uniform(0, 1))
    return _for(rng.uniform(30, 180), bad)


def _failover(rng: np.random.Generator) -> Course:
    codes = {"57P03": 0.5, "08006": 0.3, "25006": 0.1}
    bad = Conditions(
        errors=_both(rng.uniform(0.8, 1.0)), codes=codes, connections=rng.uniform(1, 20), done=rng.uniform(0, 1)
    )
    return _for(rng.uniform(20, 90), bad, Conditions(slow=_both(1.5)))


def _network(rng: np.random.Generator) -> Course:
    if rng.random() < 0.5:
        return _for(rng.uniform(15, 180), Conditions(dark=True))
    bad = Conditions(errors=_both(rng.uniform(0.05, 0.4)), slow=_both(rng.uniform(2, 6)), codes={"08006": 0.3})
    return _for(rng.uniform(60, 600), bad)


def _surge(rng: np.random.Generator) -> Course:
    bad = Conditions(
        errors=_both(rng.uniform(0, 0.2)),
        slow=_both(rng.uniform(2, 6)),
        codes={"53300": 0.3},
        connections=rng.uniform(0, 2),
        load=rng.uniform(3, 8),
    )
    return _for(rng.uniform(300, 1_200), bad)


def _neighbour(rng: np.random.Generator) -> Course:
    bad = Conditions(errors=_both(rng.uniform(0.05, 0.5)), slow=_both(rng.uniform(1, 3)))
    return _for(rng.uniform(120, 900), bad)


def _foreign_schema(rng: np.random.Generator) -> Course:
    code = "42P01" if rng.random() < 0.5 else "42703"
    bad = Conditions(errors=_both(rng.uniform(0.05, 0.5)), codes={code: 0.9}, schema=1.0)
    return _for(rng.uniform(300, 1_800), bad, replace(WELL, schema=1.0))


def _schema(rng: np.random.Generator) -> Course:
    code = rng.choice(["42703", "42P01", "23502"])
    return _until(
        lambda acted: acted.data_back, Conditions(errors=_both(rng.uniform(0.1, 0.9)), codes={str(code): 0.9})
    )


def _new_code(rng: np.random.Generator) -> Course:
    behind_flag = rng.random() < 0.5
    bad = Conditions(errors={NEW: rng.uniform(0.1, 0.9)}, codes={"42703": 0.9})
    return _until(lambda acted: acted.old_code or (behind_flag and acted.flags_off), bad)


def _canary(rng: np.random.Generator) -> Course:
    return _until(lambda acted: acted.old_code, Conditions(errors={NEW: rng.uniform(0.9, 1.0)}))


def _hangs(rng: np.random.Generator) -> Course:
    waiting = Conditions(done=0.0, blocked=0.0, slow=_both(rng.uniform(1, 2)))
    return _until(lambda acted: acted.old_code, waiting)


def _locks(rng: np.random.Generator) -> Course:
    bad = Conditions(
        errors=_both(rng.uniform(0, 0.5)),
        slow=_both(rng.uniform(3, 20)),
        codes={"57014": 0.5, "55P03": 0.3},
        done=rng.uniform(0, 0.9),
        blocked=float(rng.integers(1, 20)),
    )
    return _until(lambda acted: acted.cancelled, bad)


def _query(rng: np.random.Generator) -> Course:
    behind_flag = rng.random() < 0.5
    bad = Conditions(slow={NEW: rng.uniform(3, 10)})
    return _until(lambda acted: acted.old_code or (behind_flag and acted.flags_off), bad)


def _index(rng: np.random.Generator) -> Course:
    return _until(lambda acted: acted.data_back, Conditions(slow=_both(rng.uniform(3, 10))))


def _wrong_data(rng: np.random.Generator) -> Course:
    first, pace = float(rng.integers(1, 50)), rng.uniform(0, 2)

    def course(since: float, acted: Acted) -> Conditions:
        return WELL if acted.data_back else replace(WELL, violations=first + float(int(pace * since)))

    return course


BEHIND: Final = (RungKind.FLAG, RungKind.CODE)
INNOCENT: Final = (
    Kind("a dependency is down", _dependency),
    Kind("a node is lost", _node),
    Kind("database failover", _failover),
    Kind("network loss", _network),
    Kind("traffic surge", _surge),
    Kind("another team's deploy", _neighbour, note="their service answers with errors and late"),
    Kind(
        "another team's schema change",
        _foreign_schema,
        neighbour=True,
        note="in a database that both share, so that our own service counts 42P01 or 42703; another guard of the same"
        " daemon watches it, and it takes a second to a minute to apply",
    ),
    Kind("the same, and nobody knows", _foreign_schema, note="no guard watches what the other team does"),
)
GUILTY: Final = (
    Kind("schema errors", _schema, (RungKind.DATA,), Compatibility.INCOMPATIBLE, note="in both versions"),
    Kind("schema errors of the new code", _new_code, BEHIND, note="half of them behind the flag"),
    Kind("broken new code", _canary, (RungKind.CODE,), note="90 % and more of its requests fail, no SQLSTATE"),
    Kind(
        "broken canary of 5 %", _canary, (RungKind.CODE,), share=0.05, note="the same; the total stays at 5 % or less"
    ),
    Kind(
        "nothing completes",
        _hangs,
        (RungKind.CODE,),
        note="requests are taken and not answered, until the old code is back",
    ),
    Kind("lock queue", _locks, (RungKind.STOP,), applying=True, note="an ALTER waits, and everybody behind it"),
    Kind("missing index, a new query", _query, BEHIND, note="3 to 10 times slower, half of them behind the flag"),
    Kind("missing index, dropped", _index, (RungKind.DATA,), note="both versions 3 to 10 times slower"),
    Kind("wrong data", _wrong_data, (RungKind.DATA,), note="an integrity check finds rows; requests look well"),
)


def kinds() -> Iterator[Kind]:
    """All of them."""
    yield from INNOCENT
    yield from GUILTY
