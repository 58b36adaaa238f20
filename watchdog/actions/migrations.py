"""Takes back what a release applied through `watchdog migration apply`, the last migration first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import psycopg

from watchdog.actions.release_runs import ReleaseOptions, complaints_of, left, names, release_of
from watchdog.migrations.releases import close
from watchdog.migrations.rollback import Report, make_ready, take_back
from watchdog.migrations.tools.finish import resume_beside
from watchdog.model.time import SECOND
from watchdog.ports.actions import StepContext, Verification
from watchdog.ports.errors import StepError, WatchdogError
from watchdog.ports.kinds import ActionKind, Duration, Resources
from watchdog.targets.fence import run_fenced, verify_fenced
from watchdog.targets.grants import as_before
from watchdog.targets.postgres import Connection, PostgresTarget

_LOCK_TIMEOUT = Duration(2 * SECOND)

_RUNS = "SELECT id, name, release, state, script_hash FROM watchdog.migration_runs ORDER BY id"


@dataclass(frozen=True, kw_only=True)
class MigrationsOptions(ReleaseOptions):
    """Which migrations.

    Attributes:
        lock_timeout: How long each statement waits for a lock; a few retries follow.
    """

    lock_timeout: Duration = _LOCK_TIMEOUT


@dataclass(frozen=True)
class _Run:
    run: int
    name: str
    release: str
    state: str
    script_hash: str


class MigrationsAction:
    """All of them in one transaction. From then on nothing more is applied for the release."""

    def __init__(self, target: PostgresTarget, options: MigrationsOptions) -> None:
        self._target = target
        self._options = options

    async def execute(self, context: StepContext) -> str:
        """Takes them back once; see `Action.execute`."""

        async def first(connection: Connection) -> None:
            await self._left(connection, context)  # what cannot be taken back is not closed
            await close(connection, release_of(self._options, context))
            for run in await self._left(connection, context):
                await _finish(connection, run.run)
                await make_ready(connection, run.run)

        async def transact(connection: Connection) -> str:
            found = await self._left(connection, context)
            try:
                async with as_before(connection, context):
                    reports = [await take_back(connection, run.run) for run in found]
            except WatchdogError as error:
                raise StepError(str(error)) from None
            await connection.execute(b"SET LOCAL search_path TO DEFAULT")
            return _sentence(found, reports)

        return await run_fenced(self._target, context, transact, lock_timeout=self._options.lock_timeout, first=first)

    async def verify(self, context: StepContext) -> Verification:
        """Asks for the receipt; see `Action.verify`."""
        return await verify_fenced(self._target, context)

    async def preview(self, context: StepContext) -> str:
        """Says which."""
        async with self._target.observe() as connection:
            found = await self._left(connection, context)
        return f"would take back {names(found)} on {self._target.name}"

    async def _left(self, connection: Connection, context: StepContext) -> list[_Run]:
        there = await (await connection.execute("SELECT to_regclass('watchdog.migration_runs') IS NOT NULL")).fetchone()
        try:
            rows = await (await connection.execute(_RUNS)).fetchall() if there and there[0] else []
        except psycopg.errors.UndefinedColumn:
            rows = []  # applied by an early version, which knew no release
        return left([_Run(*row) for row in rows], self._options, context, self._target.name)


async def _finish(connection: Connection, run: int) -> None:
    """Finishes a run whose process died while its tool worked, as only then it is known what it did."""
    try:
        await resume_beside(connection, run)
    except WatchdogError as error:
        raise StepError(str(error)) from None


def _sentence(runs: Sequence[_Run], reports: Sequence[Report]) -> str:
    aside = sum(r.quarantined for r in reports)
    return f"took back {names(runs)}; {aside:,} rows that do not fit are in watchdog.migration_quarantine"


def _build(role: str, options: MigrationsOptions, resources: Resources) -> MigrationsAction:
    return MigrationsAction(cast("PostgresTarget", resources.target(role)), options)


KIND: ActionKind[MigrationsOptions] = ActionKind(
    name="migrations",
    options=MigrationsOptions,
    targets=("postgres",),
    transactional=lambda _: True,
    build=_build,
    complaints=complaints_of,
    destroys=lambda _: True,
)
