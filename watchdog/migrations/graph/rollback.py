"""Takes an applied Cypher migration back from its archive in the graph alone."""

import json

import neo4j
from neo4j import exceptions

from watchdog.migrations.graph import runs
from watchdog.migrations.graph.decide import GraphReport
from watchdog.migrations.graph.restore import restore
from watchdog.migrations.graph.schema import after_statement, from_text, kept, read_schema, way_back
from watchdog.migrations.graph.views import Runner, run
from watchdog.migrations.session import RefusedError
from watchdog.ports.errors import WatchdogError
from watchdog.targets.neo4j import Neo4jTarget

_SCHEMA = "MATCH (a:WatchdogArchive {run: $run, phase: $phase, sort: 'schema'}) RETURN a.before, a.after, a.running"
_LATER = (
    "MATCH (r:WatchdogMigrationRun) WHERE r.run > $run AND r.state IN ['applying', 'applied', 'rolling back']"
    " MATCH (b:WatchdogArchive {run: r.run}) UNWIND [b.element, b.start, b.end] AS one"
    " MATCH (a:WatchdogArchive {element: one}) USING INDEX a:WatchdogArchive(element)"
    " WHERE a.run = $run RETURN DISTINCT r.run ORDER BY r.run DESC"
)
_REPORT = (
    "MATCH (r:WatchdogMigrationRun {run: $run})"
    " SET r.state = 'rolled back', r.done = 0, r.ended_at = datetime(), r.report = $report"
)


async def rollback_graph(target: Neo4jTarget, number: int) -> GraphReport:
    """Takes a run back, also one that stopped half way.

    Raises:
        RefusedError: There is nothing to take back, a later run stands on it, or the graph would not be as before.
            Nothing was changed in the phase that is named.
        WatchdogError: There is no such run, or it failed.
        TargetError: The graph does not answer or refuses the login.
    """
    with target.translated(), runs.fitting(target, "run it when less else is going on"):
        return await take_phases_back(target, number)


async def take_phases_back(target: Neo4jTarget, number: int) -> GraphReport:
    """As `rollback_graph`, with the driver's own errors."""
    async with target.session() as session:
        stand = await runs.read_stand(session, number)
        _check(stand)
        if later := await runs.one(session, _LATER, run=number):
            raise RefusedError((f"run {later[0]} wrote the same nodes after it; take that one back first",))
    report = GraphReport(number)
    # What is behind the finished phases may be a schema phase that stopped half way.
    for phase in reversed(range(min(stand.done + 1, len(stand.phases)))):
        if stand.phases[phase] == "schema":
            await _schema_back(target, stand, phase, report)
        elif phase < stand.done:
            await _data_back(target, stand, phase, report)
    if stand.phases != ("data",):
        async with target.session() as session:
            await _finish(session, report)
    return report


def _check(stand: runs.Stand) -> None:
    if stand.state == "rolled back":
        raise RefusedError((f"run {stand.run} is rolled back already: nothing to take back",))
    if stand.state == "settled":
        raise RefusedError((f"run {stand.run} is settled, so its archive was dropped: nothing to take back",))


async def _data_back(target: Neo4jTarget, stand: runs.Stand, phase: int, report: GraphReport) -> None:
    async def once() -> GraphReport:
        mine = GraphReport(stand.run)
        async with runs.writing(target) as work:
            await runs.lock_runs(work.inside)
            now = await runs.read_stand(work.inside, stand.run)
            _check(now)
            if now.done > phase:
                await restore(work.outside, work.inside, now, phase, mine)
                await runs.step(work.inside, stand.run, "rolling back", phase)
                if phase == 0:
                    await _finish(work.inside, mine)
        return mine

    report.add(await runs.retried(once))


async def _schema_back(target: Neo4jTarget, stand: runs.Stand, phase: int, report: GraphReport) -> None:
    async with target.session() as session:
        found = await runs.one(session, _SCHEMA, run=stand.run, phase=phase)
        if not found:
            return
        live = await read_schema(session)
        before, after, running = from_text(found[0]), from_text(found[1]), found[2]
        if running:
            after = after_statement(after, live, running)
        if changed := kept(before, after, live):
            report.keep("an index or constraint that users changed since", len(changed))
        await runs.step(session, stand.run, "rolling back", min(phase + 1, stand.done))
        for statement in way_back(before, after, live):
            await _executed(target, session, stand, statement)
            report.restored += statement.startswith("CREATE")
            report.deleted += statement.startswith("DROP")
        await runs.step(session, stand.run, "rolling back", phase)


async def _executed(target: Neo4jTarget, session: neo4j.AsyncSession, stand: runs.Stand, statement: str) -> None:
    try:
        await run(session, statement)
    except exceptions.Neo4jError as error:
        raise WatchdogError(
            f"Run {stand.run} is half way back: {statement} failed: {target.translate(error)}"
            " Mend what stands in its way and take the run back again."
        ) from None


async def _finish(runner: Runner, report: GraphReport) -> None:
    await run(runner, _REPORT, run=report.run, report=json.dumps(vars(report)))
