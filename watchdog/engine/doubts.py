"""Doubts: what happens at the same time and may be the cause instead of the release. Data then waits for a person."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from watchdog.engine.windows import Windows, levels
from watchdog.model.guards import Guard, ReleaseRecord
from watchdog.model.rules import Brake, Phase
from watchdog.model.time import MINUTE, Time, say_span

TOGETHER = 5 * MINUTE
"""Incidents that open within this time of one another are seen as one event until a person says otherwise."""


@dataclass(frozen=True)
class Neighbour:
    """Another guard of the same daemon.

    Attributes:
        shares: Whether it looks at, or acts on, something that this guard does, too.
    """

    guard: Guard
    shares: bool


def doubts(guard: Guard, neighbours: Iterable[Neighbour], windows: Windows, now: Time) -> dict[str, str]:
    """What speaks against the release as the cause, by kind: one sentence each; nothing without a release."""
    release = guard.release
    if release is None or not release.watched:
        return {}
    found = dict(_changed(guard.settings.brakes, release, guard.well_since, windows, now))
    for neighbour in neighbours:
        found.update(_beside(neighbour, now))
    return found


def _changed(
    brakes: tuple[Brake, ...], release: ReleaseRecord, well_since: Time, windows: Windows, now: Time
) -> Iterator[tuple[str, str]]:
    """Levels that changed meanwhile: a server that was started anew, a primary that is another, a foreign change."""
    for brake in brakes:
        armed, whole = release.armed_at, Phase.APPLYING not in brake.during
        if not brake.during or (whole and armed is None):
            continue
        # What the release did itself may be read for the first time just after it was armed.
        since = max(release.t0 if armed is None or not whole else armed, well_since)
        until = now if Phase.BAKING in brake.during or armed is None else armed
        for (before, was), (at, value) in pairwise(levels(windows, brake.of, 0, until)):
            if at > since and (before > since or not whole) and value != was:
                yield f"changed {brake.of}", f"{brake.why}, {say_span(at - release.t0)} after T-0"
                break


def _beside(neighbour: Neighbour, now: Time) -> Iterator[tuple[str, str]]:
    name, release, incident = neighbour.guard.settings.name, neighbour.guard.release, neighbour.guard.incident
    if incident is not None and incident.resolved_at is None and now - incident.opened_at <= TOGETHER:
        yield f"incident {name}", f"guard {name} is in trouble at the same time ({incident.id})"
    if neighbour.shares and release is not None and release.watched:
        yield f"deploy {name}", f"release {release.release.id} of guard {name} goes out over the same targets"
