"""Takes back what a release applied through `watchdog migration apply`, the last migration first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import psycopg

from watchdog.actions.facts import complaints, fill
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

_RUNS = """
    SELECT id, state, coalesce(nullif(name, ''), 'run ' || id), script_hash FROM watchdog.migration_runs
    WHERE release = %(release)s AND (%(names)s::text[] = '{}' OR name = ANY (%(names)s))
    ORDER BY id DESC
"""


@dataclass(frozen=True, kw_only=True)
class MigrationsOptions:
    """Which migrations.

    Attributes:
        do: What to do with them.
        release: The release that they were applied for.
        names: Only the migrations of these names; all of the release without it.
        lock_timeout: How long each statement waits for a lock; a few retries follow.
    """

    do: Literal["rollback"] = "rollback"
    release: str = "{release}"
    names: tuple[str, ...] = ()
    lock_timeout: Duration = _LOCK_TIMEOUT


@dataclass(frozen=True)
class _Run:
    number: int
    state: str
    name: str
    script_hash: str


class MigrationsAction:
    """All of them in one transaction. From then on nothing more is applied for the release."""

    def __init__(self, target: PostgresTarget, options: MigrationsOptions) -> None:
        self._target = target
        self._options = options

    async def execute(self, context: StepContext) -> str:
        """Takes them back once; see `Action.execute`."""

        async def first(connection: Connection) -> None:
            await close(connection, fill(self._options.release, context))
            for run in await self._applied(connection, context):
                await _finish(connection, run.number)
                await make_ready(connection, run.number)

        async def transact(connection: Connection) -> str:
            found = await self._applied(connection, context)
            try:
                async with as_before(connection, context):
                    reports = [await take_back(connection, run.number) for run in found]
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
            found = await self._applied(connection, context)
        return f"would take back {_names(found)} on {self._target.name}"

    async def _applied(self, connection: Connection, context: StepContext) -> list[_Run]:
        release = fill(self._options.release, context)
        there = await (await connection.execute("SELECT to_regclass('watchdog.migration_runs') IS NOT NULL")).fetchone()
        values = {"release": release, "names": list(self._options.names)}
        try:
            rows = await (await connection.execute(_RUNS, values)).fetchall() if there and there[0] else []
        except psycopg.errors.UndefinedColumn:
            rows = []  # applied by an early version, which knew no release
        if not rows and context.facts.get("release_state") == "applying":
            return []
        if not rows:
            wanted = f" named {', '.join(self._options.names)}" if self._options.names else ""
            raise StepError(
                f"No migration{wanted} of release {release} was applied to {self._target.name} by"
                " `watchdog migration apply`; nothing was done."
            )
        runs = [_Run(*row) for row in rows]
        if settled := [run for run in runs if run.state == "settled"]:
            raise StepError(
                f"{_names(settled)} of release {release}: settled, the archives are gone; nothing was done."
            )
        left = [run for run in runs if run.state != "rolled back"]
        rehearsed = context.facts.get("rehearsed_scripts")
        other = [run for run in left if rehearsed is not None and run.script_hash not in rehearsed.split(",")]
        if other:
            raise StepError(
                f"{_names(other)} of release {release}: not the script that was rehearsed; nothing was done. Rehearse"
                " what was applied, or take it back by `watchdog migration rollback`."
            )
        return left


async def _finish(connection: Connection, run: int) -> None:
    """Finishes a run whose process died while its tool worked, as only then it is known what it did."""
    try:
        await resume_beside(connection, run)
    except WatchdogError as error:
        raise StepError(str(error)) from None


def _names(runs: Sequence[_Run]) -> str:
    return ", ".join(run.name for run in runs) or "nothing, as all is rolled back"


def _sentence(runs: Sequence[_Run], reports: Sequence[Report]) -> str:
    aside = sum(r.quarantined for r in reports)
    return f"took back {_names(runs)}; {aside:,} rows that do not fit are in watchdog.migration_quarantine"


def _complaints(options: MigrationsOptions) -> Iterator[str]:
    for complaint in complaints(options.release):
        yield f"release: {complaint}"
    if not options.release:
        yield "release: is empty; write {release} for the one that is being taken back."


def _build(role: str, options: MigrationsOptions, resources: Resources) -> MigrationsAction:
    return MigrationsAction(cast("PostgresTarget", resources.target(role)), options)


KIND: ActionKind[MigrationsOptions] = ActionKind(
    name="migrations",
    options=MigrationsOptions,
    targets=("postgres",),
    transactional=lambda _: True,
    build=_build,
    complaints=_complaints,
    destroys=lambda _: True,
)
