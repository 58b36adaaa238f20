"""Takes back what a release applied to a graph through `watchdog migration apply`, the last migration first."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, cast

import neo4j

from watchdog.actions.facts import complaints, fill
from watchdog.migrations.graph.rollback import rollback_graph
from watchdog.migrations.graph.runs import GraphRun, close, runs_graph
from watchdog.ports.actions import Applied, StepContext, Verification
from watchdog.ports.errors import StepError, WatchdogError
from watchdog.ports.kinds import ActionKind, Resources
from watchdog.targets.graph_fence import run_fenced_session, verify_fenced
from watchdog.targets.neo4j import Neo4jTarget


@dataclass(frozen=True, kw_only=True)
class GraphMigrationsOptions:
    """Which migrations.

    Attributes:
        do: What to do with them.
        release: The release that they were applied for.
        names: Only the migrations of these names; all of the release without it.
    """

    do: Literal["rollback"] = "rollback"
    release: str = "{release}"
    names: tuple[str, ...] = ()


class GraphMigrationsAction:
    """One after the other; each run knows whether it was taken back, so a second try goes on where the first ended."""

    def __init__(self, target: Neo4jTarget, options: GraphMigrationsOptions) -> None:
        self._target = target
        self._options = options

    async def execute(self, context: StepContext) -> str:
        """Takes them back once; see `Action.execute`."""
        self._left(await self._found(context), context.facts.get("rehearsed_scripts"))

        async def take_back(_: neo4j.AsyncSession) -> str:
            await close(self._target, fill(self._options.release, context))
            left = self._left(await self._found(context), context.facts.get("rehearsed_scripts"))
            said: list[str] = []
            for run in left:
                report = await rollback_graph(self._target, run.run)
                said.append(
                    f"{_name(run)}: {report.restored:,} as before, {report.deleted:,} of the script gone,"
                    f" {report.kept:,} as users left them"
                )
            return f"took back {'; '.join(said) or 'nothing, as all is rolled back'}"

        return await run_fenced_session(self._target, context, take_back)

    async def verify(self, context: StepContext) -> Verification:
        """Asks for the receipt, then the runs; see `Action.verify`."""
        found = await self._found(context)

        async def look(_: neo4j.AsyncTransaction) -> Verification:
            if self._left(found):
                return Verification(Applied.NO, f"{len(self._left(found))} migrations are not rolled back yet")
            return Verification(Applied.YES, "every migration is rolled back")

        return await verify_fenced(self._target, context, look)

    async def preview(self, context: StepContext) -> str:
        """Says which."""
        left = self._left(await self._found(context))
        return f"would take back {', '.join(map(_name, left)) or 'nothing'} on {self._target.name}"

    async def _found(self, context: StepContext) -> list[GraphRun]:
        release = fill(self._options.release, context)
        try:
            every = await runs_graph(self._target)
        except WatchdogError as error:
            raise StepError(str(error)) from None
        wanted = self._options.names
        found = [run for run in every if run.release == release and (not wanted or run.name in wanted)]
        if not found and context.facts.get("release_state") != "applying":
            raise StepError(
                f"No migration of release {release} was applied to {self._target.name} by `watchdog migration apply`;"
                " nothing was done."
            )
        return found[::-1]

    def _left(self, found: list[GraphRun], rehearsed: str | None = None) -> list[GraphRun]:
        if settled := [run for run in found if run.state == "settled"]:
            raise StepError(f"{', '.join(map(_name, settled))}: settled, the archive is gone; nothing was done.")
        left = [run for run in found if run.state != "rolled back"]
        if other := [run for run in left if rehearsed is not None and run.script_hash not in rehearsed.split(",")]:
            raise StepError(
                f"{', '.join(map(_name, other))}: not the script that was rehearsed; nothing was done. Rehearse what"
                " was applied, or take it back by `watchdog migration rollback`."
            )
        return left


def _name(run: GraphRun) -> str:
    return run.name or f"run {run.run}"


def _complaints(options: GraphMigrationsOptions) -> Iterator[str]:
    for complaint in complaints(options.release):
        yield f"release: {complaint}"
    if not options.release:
        yield "release: is empty; write {release} for the one that is being taken back."


def _build(role: str, options: GraphMigrationsOptions, resources: Resources) -> GraphMigrationsAction:
    return GraphMigrationsAction(cast("Neo4jTarget", resources.target(role)), options)


KIND: ActionKind[GraphMigrationsOptions] = ActionKind(
    name="graph_migrations",
    options=GraphMigrationsOptions,
    targets=("neo4j",),
    transactional=lambda _: False,
    build=_build,
    complaints=_complaints,
    destroys=lambda _: True,
)
