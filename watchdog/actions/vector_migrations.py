"""Takes back what a release applied to vectors through `watchdog migration apply`, the last migration first."""

from typing import cast

from watchdog.actions.release_runs import ReleaseOptions, complaints_of, left, name, names, release_of
from watchdog.migrations.releases import close
from watchdog.migrations.session import RefusedError
from watchdog.migrations.vectors.rollback import Report, take_back
from watchdog.migrations.vectors.runs import VectorRun, runs_of
from watchdog.ports.actions import Applied, StepContext, Verification
from watchdog.ports.errors import FencedError, StepError, StepUncertainError, TargetError, WatchdogError
from watchdog.ports.kinds import ActionKind, Resources
from watchdog.targets.fence import run_fenced_session, verify_fenced
from watchdog.targets.postgres import Connection, PostgresTarget


class VectorMigrationsAction:
    """One after the other; each run knows how far it was taken back. A file's `refill` by a command is not run.

    From then on nothing more is applied for the release.
    """

    def __init__(self, target: PostgresTarget, options: ReleaseOptions) -> None:
        self._target = target
        self._options = options

    async def execute(self, context: StepContext) -> str:
        """Takes them back once; see `Action.execute`."""
        reports: list[str] = []

        async def back(connection: Connection) -> str:
            await self._left(connection, context)  # what cannot be taken back is not closed
            await close(connection, release_of(self._options, context))
            for run in await self._left(connection, context):
                reports.append(_sentence(run, await take_back(connection, "", run.run)))  # noqa: PERF401 - one by one
            return f"took back {'; '.join(reports) or 'nothing, as all is rolled back'}"

        try:
            return await run_fenced_session(self._target, context, back)
        except (StepError, StepUncertainError, FencedError, TargetError):
            raise
        except RefusedError as error:
            raise (StepUncertainError if reports else StepError)(str(error)) from None
        except WatchdogError as error:
            raise StepUncertainError(str(error)) from None

    async def verify(self, context: StepContext) -> Verification:
        """Asks for the receipt, then the runs; see `Action.verify`."""

        async def look(connection: Connection) -> Verification:
            standing = await self._left(connection, context)
            if standing:
                return Verification(Applied.NO, f"{len(standing)} migrations are not rolled back yet")
            return Verification(Applied.YES, "every migration is rolled back")

        return await verify_fenced(self._target, context, look)

    async def preview(self, context: StepContext) -> str:
        """Says which."""
        async with self._target.observe() as connection:
            standing = await self._left(connection, context)
        return f"would take back {names(standing)} on {self._target.name}"

    async def _left(self, connection: Connection, context: StepContext) -> list[VectorRun]:
        return left(await runs_of(connection), self._options, context, self._target.name)


def _sentence(run: VectorRun, report: Report) -> str:
    if not report.later:
        return f"{name(run)}: no row was written since"
    listed = f"{report.later:,} rows written since are listed in {report.table}"
    return f"{name(run)}: {listed}, {report.left:,} of them without vector"


def _build(role: str, options: ReleaseOptions, resources: Resources) -> VectorMigrationsAction:
    return VectorMigrationsAction(cast("PostgresTarget", resources.target(role)), options)


KIND: ActionKind[ReleaseOptions] = ActionKind(
    name="vector_migrations",
    options=ReleaseOptions,
    targets=("postgres",),
    transactional=lambda _: False,
    build=_build,
    complaints=complaints_of,
    destroys=lambda _: True,
)
