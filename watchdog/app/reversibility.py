"""What the databases keep for the way back of a release, looked up now and then, for metrics and status."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import structlog

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

_THERE: Final = b"SELECT to_regclass('watchdog.migration_runs') IS NOT NULL"
# A table of the first version does not know of releases, and all of its runs can be taken back.
_NAMED: Final = b"""
SELECT count(*) = 2 FROM pg_attribute
WHERE attrelid = to_regclass('watchdog.migration_runs') AND attname IN ('release', 'reversible') AND NOT attisdropped
"""
# A run that was applied without a release's name counts for the release that was standing then.
_BY_NAME: Final = b"""
SELECT count(*) FROM watchdog.migration_runs
WHERE state = 'applied' AND reversible
    AND (release = %(release)s OR (release = '' AND began_at >= to_timestamp(%(t0)s)))
"""
_BY_TIME: Final = b"""
SELECT count(*) FROM watchdog.migration_runs WHERE state = 'applied' AND began_at >= to_timestamp(%(t0)s)
"""


async def archived_runs(database: PostgresTarget, release: str, t0: float) -> int:
    """Runs in a database that are applied and belong to a release; none when nothing was applied through us.

    Args:
        t0: When the release began, in seconds since 1970.

    Raises:
        PostgresError: The server cannot be reached, or does not let us look.
    """
    async with database.observe() as connection:
        there = await (await connection.execute(_THERE)).fetchone()
        if not (there and there[0]):
            return 0
        named = await (await connection.execute(_NAMED)).fetchone()
        query = _BY_NAME if named and named[0] else _BY_TIME
        row = await (await connection.execute(query, {"release": release, "t0": t0})).fetchone()
        return int(row[0]) if row else 0


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
    archived = 0
    for database in databases:
        try:
            archived += await archived_runs(database, record.release.id, in_seconds(record.t0))
        except TargetError as error:
            log.debug("archives were not counted", guard=guard.settings.name, error=str(error))
            return Kept(why=str(error))
    return Kept(archived, "")


def _databases(guard: GuardConfiguration, targets: Mapping[str, Target]) -> tuple[PostgresTarget, ...]:
    """The databases that a guard's playbook acts on."""
    steps = [step for rung in guard.settings.playbook.rungs for step in rung.steps if step.target]
    named = dict.fromkeys(guard.roles.get(step.target, step.target) for step in steps)
    return tuple(found for name in named if isinstance(found := targets.get(name), PostgresTarget))
