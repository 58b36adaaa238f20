"""Doubts: what happens at the same time and may be the cause instead of the release. Data then waits for a person."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from watchdog.engine.windows import Windows, levels
from watchdog.model.guards import Guard
from watchdog.model.rules import Brake
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
    since = max(release.t0, guard.well_since)
    found = dict(_changed(guard.settings.brakes, windows, since, now))
    for neighbour in neighbours:
        found.update(_beside(neighbour, now))
    return found


def _changed(brakes: tuple[Brake, ...], windows: Windows, since: Time, now: Time) -> Iterator[tuple[str, str]]:
    """Levels that are another than just before T-0: a server that was started anew, a primary that is another."""
    for brake in brakes:
        before = levels(windows, brake.of, 0, since)
        after = levels(windows, brake.of, since, now)
        if before and (other := next((at for at, value in after if value != before[-1][1]), None)) is not None:
            yield f"changed {brake.of}", f"{brake.why}, {say_span(other - since)} after T-0"


def _beside(neighbour: Neighbour, now: Time) -> Iterator[tuple[str, str]]:
    name, release, incident = neighbour.guard.settings.name, neighbour.guard.release, neighbour.guard.incident
    if incident is not None and incident.resolved_at is None and now - incident.opened_at <= TOGETHER:
        yield f"incident {name}", f"guard {name} is in trouble at the same time ({incident.id})"
    if neighbour.shares and release is not None and release.watched:
        yield f"deploy {name}", f"release {release.release.id} of guard {name} goes out over the same targets"
