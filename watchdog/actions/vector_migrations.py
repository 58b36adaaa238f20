"""Takes back what a release applied to vectors through `watchdog migration apply`, the last migration first."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, cast

from watchdog.actions.facts import complaints, fill
from watchdog.migrations.releases import close
from watchdog.migrations.session import RefusedError
from watchdog.migrations.vectors.rollback import Report, take_back
from watchdog.migrations.vectors.runs import VectorRun, runs_of
from watchdog.ports.actions import Applied, StepContext, Verification
from watchdog.ports.errors import FencedError, StepError, StepUncertainError, TargetError, WatchdogError
from watchdog.ports.kinds import ActionKind, Resources
from watchdog.targets.fence import run_fenced_session, verify_fenced
from watchdog.targets.postgres import Connection, PostgresTarget


@dataclass(frozen=True, kw_only=True)
class VectorMigrationsOptions:
    """Which migrations.

    Attributes:
        do: What to do with them.
        release: The release that they were applied for.
        names: Only the migrations of these names; all of the release without it.
    """

    do: Literal["rollback"] = "rollback"
    release: str = "{release}"
    names: tuple[str, ...] = ()


class VectorMigrationsAction:
    """One after the other; each run knows how far it was taken back. A file's `refill` by a command is not run.

    From then on nothing more is applied for the release.
    """

    def __init__(self, target: PostgresTarget, options: VectorMigrationsOptions) -> None:
        self._target = target
        self._options = options

    async def execute(self, context: StepContext) -> str:
        """Takes them back once; see `Action.execute`."""
        reports: list[str] = []

        async def back(connection: Connection) -> str:
            await self._found(connection, context)  # a release that nobody knows is not closed
            await close(connection, fill(self._options.release, context))
            for run in self._left(await self._found(connection, context)):
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
            left = self._left(await self._found(connection, context))
            if left:
                return Verification(Applied.NO, f"{len(left)} migrations are not rolled back yet")
            return Verification(Applied.YES, "every migration is rolled back")

        return await verify_fenced(self._target, context, look)

    async def preview(self, context: StepContext) -> str:
        """Says which."""
        async with self._target.observe() as connection:
            left = self._left(await self._found(connection, context))
        return f"would take back {', '.join(map(_name, left)) or 'nothing'} on {self._target.name}"

    async def _found(self, connection: Connection, context: StepContext) -> list[VectorRun]:
        release = fill(self._options.release, context)
        wanted = self._options.names
        every = await runs_of(connection)
        found = [run for run in every if run.release == release and (not wanted or run.name in wanted)]
        if not found and context.facts.get("release_state") != "applying":
            raise StepError(
                f"No migration of vectors of release {release} was applied to {self._target.name} by"
                " `watchdog migration apply`; nothing was done."
            )
        return found[::-1]

    def _left(self, found: list[VectorRun]) -> list[VectorRun]:
        if settled := [run for run in found if run.state == "settled"]:
            raise StepError(f"{', '.join(map(_name, settled))}: settled, the old is gone; nothing was done.")
        return [run for run in found if run.state != "rolled back"]


def _name(run: VectorRun) -> str:
    return run.name or f"run {run.run}"


def _sentence(run: VectorRun, report: Report) -> str:
    if not report.later:
        return f"{_name(run)}: no row was written since"
    listed = f"{report.later:,} rows written since are listed in {report.table}"
    return f"{_name(run)}: {listed}, {report.left:,} of them without vector"


def _complaints(options: VectorMigrationsOptions) -> Iterator[str]:
    for complaint in complaints(options.release):
        yield f"release: {complaint}"
    if not options.release:
        yield "release: is empty; write {release} for the one that is being taken back."


def _build(role: str, options: VectorMigrationsOptions, resources: Resources) -> VectorMigrationsAction:
    return VectorMigrationsAction(cast("PostgresTarget", resources.target(role)), options)


KIND: ActionKind[VectorMigrationsOptions] = ActionKind(
    name="vector_migrations",
    options=VectorMigrationsOptions,
    targets=("postgres",),
    transactional=lambda _: False,
    build=_build,
    complaints=_complaints,
    destroys=lambda _: True,
)
