"""Incidents during a bake, innocent and guilty: a real guard judges, climbs and proposes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from benchmarks.detection.kinds import WELL, Acted, Kind
from benchmarks.detection.service import Conditions, Service
from benchmarks.detection.traffic import EVERY
from benchmarks.detection.watched import Watched, release
from watchdog.engine.doubts import Neighbour
from watchdog.model import events as ev
from watchdog.model import inputs
from watchdog.model.guards import GuardSettings, RunOutcome
from watchdog.model.playbooks import Step
from watchdog.model.rules import RungKind
from watchdog.model.time import Time, in_seconds

BEFORE: Final = 126
"""Ticks before T-0: ten minutes and a half."""
AFTER: Final = 144
"""Ticks that an incident is followed: twelve minutes."""


@dataclass(frozen=True)
class Outcome:
    """What came of one incident; seconds count from its beginning.

    Attributes:
        opened: When it was seen; negative when something had fired before.
        acted: The rungs that acted, in their order.
        data: How the data rung fared: `automatic`, `proposed` with its reason, or nothing.
        ended: When the service was found well after a rung that ends this kind of incident.
        healed: Whether the service is well at the end, proven or not.
    """

    kind: str
    opened: float | None
    acted: tuple[RungKind, ...]
    data: str
    reason: str
    origin: str
    ended: float | None
    healed: bool = False


def play(settings: GuardSettings, kind: Kind, seed: Sequence[int]) -> Outcome:
    """One release with one incident, from ten minutes before T-0 to twelve minutes after the incident began."""
    rng = np.random.default_rng(seed)
    service = Service(
        rng,
        rate=float(np.exp(rng.uniform(np.log(2), np.log(200)))),
        burstiness=float(rng.choice([0.0, 0.02])),
        users=float(rng.uniform(0, 4)),
    )
    watched = Watched(settings)
    for _ in range(BEFORE):
        watched.now += EVERY
        watched.observe(service.read(WELL, watched.now))
    watched.start(release(kind.compatible))
    # Half of the releases are rolled out step by step, so that old and new answer side by side.
    service.new = kind.share or float(rng.choice([rng.uniform(0.05, 0.6), 1.0]))
    if not kind.applying:
        watched.say(inputs.Arm("pipeline"))
    for _ in range(int(rng.integers(6, 120))):
        _tick(watched, service, WELL)
    began, acted, course = watched.now, Acted(), kind.make(rng)
    other = Watched(settings, now=began) if kind.neighbour else None
    applied = int(rng.integers(1, 12))
    for tick in range(AFTER):
        if other is not None:
            _deploy(other, watched.now, tick, applied)
        beside = () if other is None else (Neighbour(other.guard, shares=True),)
        _tick(watched, service, course(in_seconds(watched.now - began), acted), *beside)
        acted = _did(service, acted, watched.step())
        if watched.over:
            break
    healed = course(in_seconds(watched.now - began), acted) == WELL
    return _outcome(watched, kind, began, healed=healed)


def _tick(watched: Watched, service: Service, conditions: Conditions, *beside: Neighbour) -> None:
    watched.now += EVERY
    watched.observe(service.read(conditions, watched.now))
    watched.judge(*beside)


def _deploy(other: Watched, now: Time, tick: int, applied: int) -> None:
    """The other team's release: its change begins at the first tick and is out after some more."""
    other.now = now
    if tick == 0:
        other.start(release())
    elif tick == applied:
        other.say(inputs.Arm("their pipeline"))


def _did(service: Service, acted: Acted, step: Step | None) -> Acted:
    """What a step of the shipped ladder changes in the world."""
    match step.kind if step is not None else "":
        case "cancel_migration":
            return replace(acted, cancelled=True)
        case "feature_flag":
            return replace(acted, flags_off=True)
        case "process" if step is not None and step.name.startswith("start"):
            service.new = 0.0
            return replace(acted, old_code=True)
        case "migrations":
            return replace(acted, data_back=True)
        case _:
            return acted


def _outcome(watched: Watched, kind: Kind, began: Time, *, healed: bool) -> Outcome:
    entered = tuple(event.rung for _, event in watched.events if isinstance(event, ev.RungEntered))
    proposed = watched.proposed(RungKind.DATA)
    automatic = RungKind.DATA in entered
    run = watched.run
    well = run is not None and run.outcome in {RunOutcome.RECOVERED, RunOutcome.ROLLED_BACK}
    by_it = well and bool(entered) and entered[-1] in kind.ends
    incident = watched.guard.incident
    told = incident.attribution if incident is not None else None
    return Outcome(
        kind=kind.name,
        opened=None if watched.opened_at is None else in_seconds(watched.opened_at - began),
        acted=entered,
        data="automatic" if automatic else "proposed" if proposed else "",
        reason="; ".join(incident.proof.values()) if automatic and incident is not None else proposed,
        origin=str(told.origin) if told is not None else "",
        ended=in_seconds(watched.now - began) if by_it else None,
        healed=healed,
    )
