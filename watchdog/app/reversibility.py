"""What the databases keep for the way back of a release, looked up now and then, for metrics and status."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import structlog

from watchdog.app.way_back import WayBack, way_back
from watchdog.config import GuardConfiguration
from watchdog.model.guards import Guard
from watchdog.model.releases import ReleaseState
from watchdog.model.time import SECOND, Span, in_seconds
from watchdog.ports.clock import Clock
from watchdog.ports.errors import TargetError, WatchdogError
from watchdog.ports.kinds import Target
from watchdog.targets.postgres import PostgresTarget
from watchdog.web.reversibility import NOTHING_KEPT, Kept

log = structlog.get_logger(__name__)

EVERY: Final[Span] = 30 * SECOND
"""How often the databases are asked."""


class Keeper:
    """Knows for each guard what is kept for its release; `kept` answers at once from the last look."""

    def __init__(
        self,
        guards: Iterable[GuardConfiguration],
        targets: Iterable[Target],
        guard_of: Callable[[str], Guard],
        clock: Clock,
    ) -> None:
        """Looks at nothing yet.

        Args:
            guard_of: A guard as it stands, by its name; raises a `WatchdogError` while it is not known.
        """
        named = {target.name: target for target in targets}
        self._databases: Mapping[str, tuple[PostgresTarget, ...]] = {
            one.settings.name: _databases(one, named) for one in guards
        }
        self._guard_of = guard_of
        self._clock = clock
        self._kept: dict[str, Kept] = {}

    def kept(self, guard: str) -> Kept:
        """What was found at the last look."""
        return self._kept.get(guard, NOTHING_KEPT)

    async def look(self) -> None:
        """Asks every guard's databases once."""
        for name, databases in self._databases.items():
            try:
                guard = self._guard_of(name)
            except WatchdogError:
                continue
            self._kept[name] = await _look(guard, databases)

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        """Looks now and then while the block runs."""
        task = asyncio.create_task(self._look_again(), name="reversibility")
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _look_again(self) -> None:
        while True:
            await self.look()
            await self._clock.sleep(EVERY)


async def _look(guard: Guard, databases: tuple[PostgresTarget, ...]) -> Kept:
    record = guard.release
    if record is None or record.state in {ReleaseState.SETTLED, ReleaseState.DISARMED, ReleaseState.ROLLED_BACK}:
        return NOTHING_KEPT
    if not databases:
        return Kept(why="the guard acts on no PostgreSQL database")
    found = WayBack()
    for database in databases:
        try:
            found += await way_back(database, record.release.id, in_seconds(record.t0))
        except TargetError as error:
            log.debug("archives were not counted", guard=guard.settings.name, error=str(error))
            return Kept(why=str(error))
    return Kept(
        found.archived,
        "",
        past=found.past,
        predicted=None if found.predicted is None else round(found.predicted * SECOND),
        until=None if found.until is None else round(found.until * SECOND),
        lowered=found.lowered,
        backup_age=None if found.backup_age is None else round(found.backup_age * SECOND),
    )


def _databases(guard: GuardConfiguration, targets: Mapping[str, Target]) -> tuple[PostgresTarget, ...]:
    """The databases that a guard's playbook acts on."""
    steps = [step for rung in guard.settings.playbook.rungs for step in rung.steps if step.target]
    named = dict.fromkeys(guard.roles.get(step.target, step.target) for step in steps)
    return tuple(found for name in named if isinstance(found := targets.get(name), PostgresTarget))
