"""Releases that nobody announced: looked for at an interval, and told to their guard."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol

import structlog

from watchdog.app.registries import DISCOVERERS, LazyKinds
from watchdog.config import Configuration, Discover
from watchdog.config.options import canonical
from watchdog.discovery.changes import Reading
from watchdog.discovery.kinds import DiscovererKind, Sought
from watchdog.discovery.lookout import Lookout, Sighting
from watchdog.discovery.memory import Memory
from watchdog.discovery.releases import is_discovered
from watchdog.discovery.watch import Discoverer
from watchdog.engine.refused import RefusedError
from watchdog.model.events import Event
from watchdog.model.guards import Guard, ReleaseRecord
from watchdog.model.inputs import Arm, Input
from watchdog.model.releases import Release, ReleaseState
from watchdog.model.time import SECOND, Span, Time
from watchdog.ports.clock import Clock
from watchdog.ports.errors import JournalError, TargetError, WatchdogError
from watchdog.ports.kinds import Target
from watchdog.runtime.bounded import within
from watchdog.runtime.daemon import DaemonParts

log = structlog.get_logger(__name__)

WHO: Final = "watchdog (discovered)"
LONGEST: Final[Span] = 20 * SECOND
"""How long one target may take to answer; the others are not kept waiting for longer."""


QUIET_LOOKS: Final = 2
"""So often in a row nothing may be under way before a release counts as out."""


class Told(Protocol):
    """The part of a daemon that is told of releases."""

    def guard(self, name: str) -> Guard: ...

    async def say(self, name: str, given: Input) -> tuple[Event, ...]: ...

    async def start_release(self, name: str, release: Release, began_at: Time | None = None) -> tuple[Event, ...]: ...


class Discovery:
    """Looks for one guard.

    Attributes:
        name: Of the job.
    """

    def __init__(self, guard: str, every: Span, lookout: Lookout, told: Told, flags: tuple[str, ...] = ()) -> None:
        """Looks at nothing yet; `flags` are those of every release that is found."""
        self.name = f"{guard}/discover"
        self.every = every
        self._guard = guard
        self._lookout = lookout
        self._told = told
        self._flags = flags
        self._quiet = 0
        self._untold: Sighting | None = None
        self._watched = ""
        self._said: set[tuple[str, str]] = set()

    async def look(self) -> None:
        """Looks once, and tells the guard what is new; what it could not be told is told at the next look."""
        try:
            self._told.guard(self._guard)
            seen = await self._lookout.look()
            if seen is not None:
                self._untold = seen if self._untold is None else self._untold.then(seen)
            await self._tell()
            await self._arm()
        except JournalError as error:  # It is still being read, cannot be written, or is another process's.
            log.info("nothing can be told of what was discovered yet", guard=self._guard, error=str(error))
        except WatchdogError as error:
            log.warning("what was discovered could not be told", guard=self._guard, error=str(error))
        else:
            await self._lookout.keep()

    async def _tell(self) -> None:
        record = self._told.guard(self._guard).release
        seen = self._untold
        if seen is not None:
            await self._judge(seen, record)
            self._untold = None
        record = self._told.guard(self._guard).release
        self._watched = record.release.id if record is not None and record.watched else ""

    async def _judge(self, seen: Sighting, record: ReleaseRecord | None) -> None:
        incident = self._told.guard(self._guard).incident
        about = log.bind(guard=self._guard, seen=list(seen.said))
        if seen.release is None:
            about.info("changes were taken back; that is no release")
        elif record is not None and self._belongs(record, seen.began_at):
            self._once(about, "it belongs to the release that is watched", record.release.id)
        elif incident is not None and incident.resolved_at is None:
            about.warning("no release is started for it while an incident is open", incident=incident.id)
        else:
            await self._start(about, seen, seen.release)

    @staticmethod
    def _is_ours(record: ReleaseRecord) -> bool:
        return is_discovered(record.release.id, record.release.protection)

    def _belongs(self, record: ReleaseRecord, began_at: Time) -> bool:
        """Whether the release was watched at some time since the look before the change."""
        if record.watched or record.release.id == self._watched or record.t0 >= began_at:
            return True
        over = record.state in {ReleaseState.REVERSIBLE, ReleaseState.SETTLED, ReleaseState.ROLLED_BACK}
        until = max(record.bake_until or 0, self._told.guard(self._guard).well_since)
        return over and until > began_at

    async def _start(self, about: structlog.stdlib.BoundLogger, seen: Sighting, release: Release) -> None:
        try:
            await self._told.start_release(self._guard, replace(release, flags=self._flags), seen.began_at)
        except RefusedError as error:  # Somebody announced one in this very moment.
            about.warning("no release is started for it", error=str(error))
        else:
            about.warning("a release that nobody announced", release=release.id, advice=list(seen.advice))

    async def _arm(self) -> None:
        """Says that every change is out, when nothing is under way any more in a release that we started."""
        record = self._told.guard(self._guard).release
        if record is None or record.state is not ReleaseState.APPLYING or not self._lookout.is_quiet:
            self._quiet = 0
            return
        # Between two migrations of one run it is quiet, too.
        self._quiet += 1
        if self._quiet < QUIET_LOOKS:
            return
        if not self._is_ours(record):
            return
        try:
            await self._told.say(self._guard, Arm(WHO))
        except RefusedError as error:
            self._once(log.bind(guard=self._guard, error=str(error)), "it is watched, unarmed", record.release.id)

    def _once(self, about: structlog.stdlib.BoundLogger, message: str, release: str) -> None:
        """Logs it once for a release, in full; after that for those who look closely."""
        said = (message, release)
        (about.debug if said in self._said else about.info)(message, release=release)
        self._said = {one for one in self._said if one[1] == release} | {said}


@dataclass(frozen=True)
class Bounded:
    """A discoverer that must answer in time."""

    name: str
    discoverer: Discoverer
    clock: Clock

    async def read(self) -> Reading:
        """One look.

        Raises:
            TargetError: The target cannot be reached, refuses, or does not answer in time.
        """
        task = await within(self.clock, self.discoverer.read(), self.clock.now() + LONGEST)
        if task.cancelled():
            raise TargetError(f"{self.name} has not answered in {LONGEST // SECOND} s.", away=True)
        return task.result()


def discoveries(configuration: Configuration, parts: DaemonParts, told: Told) -> Iterator[Discovery]:
    """A job for each guard that says `discover`."""
    targets = {target.name: target for target in parts.targets}
    for guard in configuration.guards:
        discover = guard.discover
        if discover is None:
            continue
        names = dict.fromkeys(guard.roles[role] for role in discover.targets)
        kinds = {name: configuration.targets[name].kind for name in names}
        folder = _folder(configuration.state)
        memories = {
            name: Memory(folder / f"{guard.settings.name}.{name}{_mark(discover, kinds[name])}.json") for name in names
        }
        discoverers = {name: _discoverer(kinds[name], targets[name], discover, parts.clock) for name in names}
        lookout = Lookout(discoverers, memories)
        yield Discovery(guard.settings.name, discover.every, lookout, told, discover.flags)


_KINDS: Mapping[str, DiscovererKind] = LazyKinds(DISCOVERERS)


def _discoverer(kind: str, target: Target, discover: Discover, clock: Clock) -> Discoverer:
    sought = Sought(discover.tables, discover.deployments)
    return Bounded(target.name, _KINDS[kind].build(target, clock, sought), clock)


def _mark(discover: Discover, kind: str) -> str:
    """Tells memories of different places apart: what is looked at since today only is no news."""
    places = {"tables": discover.tables, "deployments": sorted(discover.deployments)}.get(_KINDS[kind].takes)
    return f"-{sha256(canonical(places).encode()).hexdigest()[:8]}" if places else ""


def _folder(state: Path) -> Path:
    folder = state / "discovered"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        log.warning("what was seen cannot be kept", path=str(folder), error=error.strerror)
    return folder
