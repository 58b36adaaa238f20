"""Takes back what a release applied to a graph through `watchdog migration apply`, the last migration first."""

from typing import cast

import neo4j

from watchdog.actions.release_runs import ReleaseOptions, complaints_of, left, name, names, release_of
from watchdog.migrations.graph.decide import GraphReport
from watchdog.migrations.graph.rollback import rollback_graph
from watchdog.migrations.graph.runs import GraphRun, close, runs_graph
from watchdog.ports.actions import Applied, StepContext, Verification
from watchdog.ports.errors import StepError, TargetError, WatchdogError
from watchdog.ports.kinds import ActionKind, Resources
from watchdog.targets.graph_fence import run_fenced_session, verify_fenced
from watchdog.targets.neo4j import Neo4jTarget
from watchdog.targets.retries import retried


class GraphMigrationsAction:
    """One after the other; each run knows whether it was taken back, so a second try goes on where the first ended."""

    def __init__(self, target: Neo4jTarget, options: ReleaseOptions) -> None:
        self._target = target
        self._options = options

    async def execute(self, context: StepContext) -> str:
        """Takes them back once; see `Action.execute`."""
        said: list[str] = []

        async def standing() -> list[GraphRun]:
            return await self._left(context)

        async def back() -> str:
            with self._target.translated():
                await close(self._target, release_of(self._options, context))
                for run in await standing():
                    said.append(_sentence(run, await rollback_graph(self._target, run.run)))  # noqa: PERF401 - one by one
            return f"took back {'; '.join(said) or 'nothing, as all is rolled back'}"

        async def take_back(_: neo4j.AsyncSession) -> str:
            # A server that was away goes on where it was: each run knows how far it has come.
            return await retried(context, back)

        try:
            await retried(context, standing)  # what cannot be taken back is not closed
        except TargetError as error:
            raise StepError(str(error)) from None
        return await run_fenced_session(self._target, context, take_back)

    async def verify(self, context: StepContext) -> Verification:
        """Asks for the receipt, then the runs; see `Action.verify`."""
        standing = await self._left(context)

        async def look(_: neo4j.AsyncTransaction) -> Verification:
            if standing:
                return Verification(Applied.NO, f"{len(standing)} migrations are not rolled back yet")
            return Verification(Applied.YES, "every migration is rolled back")

        return await verify_fenced(self._target, context, look)

    async def preview(self, context: StepContext) -> str:
        """Says which."""
        return f"would take back {names(await self._left(context))} on {self._target.name}"

    async def _left(self, context: StepContext) -> list[GraphRun]:
        try:
            every = await runs_graph(self._target)
        except TargetError:
            raise
        except WatchdogError as error:
            raise StepError(str(error)) from None
        return left(every, self._options, context, self._target.name)


def _sentence(run: GraphRun, report: GraphReport) -> str:
    return (
        f"{name(run)}: {report.restored:,} as before, {report.deleted:,} of the script gone,"
        f" {report.kept:,} as users left them"
    )


def _build(role: str, options: ReleaseOptions, resources: Resources) -> GraphMigrationsAction:
    return GraphMigrationsAction(cast("Neo4jTarget", resources.target(role)), options)


KIND: ActionKind[ReleaseOptions] = ActionKind(
    name="graph_migrations",
    options=ReleaseOptions,
    targets=("neo4j",),
    transactional=lambda _: False,
    build=_build,
    complaints=complaints_of,
    destroys=lambda _: True,
)
