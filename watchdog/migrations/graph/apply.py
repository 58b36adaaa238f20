"""Applies a Cypher script so that it can be taken back: run, compared from inside and outside, archived, committed."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from neo4j import exceptions

from watchdog.migrations.cypher import Statement
from watchdog.migrations.graph import archive, runs
from watchdog.migrations.graph.changes import Change, counted, is_all, is_balanced, seen
from watchdog.migrations.graph.rollback import take_phases_back
from watchdog.migrations.graph.schema import as_text, read_schema
from watchdog.migrations.graph.script import Phase, Script, read_script
from watchdog.migrations.graph.views import Runner, Sort, changes, is_ours, run
from watchdog.migrations.session import RefusedError
from watchdog.ports.errors import TargetError, WatchdogError
from watchdog.targets.neo4j import Neo4jTarget

_INTENT = "CREATE (:WatchdogArchive {run: $run, phase: $phase, sort: 'schema', before: $schema, after: $schema})"
_OUTCOME = (
    "MATCH (a:WatchdogArchive {run: $run, phase: $phase, sort: 'schema'}) SET a.after = $schema, a.running = $running"
)
_OWN_ENDS = (
    "MATCH (n) WHERE elementId(n) IN $ids AND any(one IN labels(n) WHERE one STARTS WITH 'Watchdog') RETURN count(*)"
)
_PUT_BACK = "MATCH (n) WHERE elementId(n) = $id SET n = $values"
_DRIVER = (exceptions.Neo4jError, exceptions.DriverError)
_Failure: TypeAlias = WatchdogError | exceptions.Neo4jError | exceptions.DriverError
_AWAIT = "CALL db.awaitIndexes(600)"


class _TakenOverError(RefusedError):
    """Somebody takes back what we still apply."""


@dataclass(frozen=True)
class GraphApplied:
    """A migration that was applied.

    Attributes:
        archived: How many nodes and relationships it created, changed or deleted.
    """

    run: int
    archived: int


async def apply_cypher(target: Neo4jTarget, script: str, *, name: str = "", release: str = "") -> GraphApplied:
    """Applies a script, with everything archived that it overwrites or deletes.

    Raises:
        RefusedError: It cannot be taken back; nothing was changed.
        WatchdogError: It failed; nothing was changed, or the run stands as `applying` and the message says so.
        TargetError: The graph does not answer or refuses the login.
    """
    with target.translated():
        async with target.session() as session:
            read = await read_script(session, script)
        phases = tuple("schema" if phase.schema else "data" for phase in read.phases)
        header = runs.Header(name, release, script, phases)
        await runs.prepare(target)
        if phases == ("data",):
            return await runs.retried(lambda: _at_once(target, read, header))
        return await _in_phases(target, read, header)


async def _at_once(target: Neo4jTarget, script: Script, header: runs.Header) -> GraphApplied:
    async with runs.writing(target) as work:
        await runs.lock_runs(work.inside)
        number = await runs.next_number(work.inside)
        archived = await _data(target, work, script, number, 0)
        await runs.begin(work.inside, number, header, (archived,))
    return GraphApplied(number, archived)


async def _in_phases(target: Neo4jTarget, script: Script, header: runs.Header) -> GraphApplied:
    """Neo4j keeps schema and data apart, so the run stands in the graph before the first phase."""
    async with runs.writing(target) as work:
        await runs.lock_runs(work.inside)
        number = await runs.next_number(work.inside)
        await runs.begin(work.inside, number, header)
    archived = 0
    for index, phase in enumerate(script.phases):
        done: runs.State = "applied" if index + 1 == len(script.phases) else "applying"
        try:
            if phase.schema:
                await _schema(target, phase, number, index, done)
            else:
                archived += await runs.retried(partial(_data_phase, target, script, number, index, done))
        except _TakenOverError:
            raise
        except (WatchdogError, *_DRIVER) as error:
            await asyncio.shield(_forgotten(target, number, error))
            raise
    return GraphApplied(number, archived)


async def _data_phase(target: Neo4jTarget, script: Script, number: int, index: int, done: runs.State) -> int:
    async with runs.writing(target) as work:
        await runs.lock_runs(work.inside)
        await _still_ours(work.inside, number, index)
        archived = await _data(target, work, script, number, index)
        await runs.advance(work.inside, number, done, index + 1, archived)
        return archived


async def _still_ours(runner: Runner, number: int, index: int) -> None:
    stand = await runs.read_stand(runner, number)
    if (stand.state, stand.done) != ("applying", index):
        raise _TakenOverError((f"somebody else took run {number} back while it was applied",))


async def _forgotten(target: Neo4jTarget, number: int, cause: _Failure) -> None:
    """Takes the finished phases of a failed run back, and the run with them."""
    try:
        await take_phases_back(target, number)
        async with runs.writing(target) as work:
            await runs.forget(work.inside, number)
    except (WatchdogError, *_DRIVER) as error:
        said = [each if isinstance(each, WatchdogError) else target.translate(each) for each in (cause, error)]
        raise WatchdogError(
            f"The script failed half way: {said[0]} What was done is still there: {said[1]} Take run {number} back."
        ) from None


async def _schema(target: Neo4jTarget, phase: Phase, number: int, index: int, done: runs.State) -> None:
    async with target.session() as session:
        await _still_ours(session, number, index)
        there = as_text(await read_schema(session))
        await run(session, _INTENT, run=number, phase=index, schema=there)
        for statement in phase.statements:
            await run(session, _OUTCOME, run=number, phase=index, schema=there, running=statement.text)
            await _executed(target, session, statement)
            there = as_text(await read_schema(session))
        await run(session, _AWAIT)
        await run(session, _OUTCOME, run=number, phase=index, schema=there, running=None)
        await runs.advance(session, number, done, index + 1)


async def _executed(target: Neo4jTarget, runner: Runner, statement: Statement) -> Counter[str]:
    try:
        return counted((await run(runner, statement.text)).counters)
    except exceptions.TransientError:
        raise  # for another try
    except exceptions.Neo4jError as error:
        said = target.translate(error)
        raise TargetError(
            f"line {statement.line}: the statement failed, and nothing was changed: {said}", retryable=said.retryable
        ) from None


async def _data(target: Neo4jTarget, work: runs.Work, script: Script, number: int, index: int) -> int:
    server: Counter[str] = Counter()
    for statement in script.phases[index].statements:
        server += await _executed(target, work.inside, statement)
    if not script.uncounted and not any(server.values()):
        return 0
    found = _Archiving(work, number, index, server)
    if script.uncounted or not await found.look(script.names):
        complete = await found.look(None)
        if not (complete or script.uncounted or is_balanced(server, found.counted)):
            raise RefusedError(("it did more than can be seen, by a trigger or a procedure",))
    return len(found.archived)


class _Archiving:
    """What was seen of a script so far."""

    def __init__(self, work: runs.Work, number: int, phase: int, server: Counter[str]) -> None:
        self._work = work
        self._number = number
        self._phase = phase
        self._server = server
        self.counted: Counter[str] = Counter()
        self.archived: set[str] = set()

    async def look(self, names: frozenset[str] | None) -> bool:
        """Archives what differs in these labels and types, or in the whole graph; whether that is certainly all."""
        sorts: tuple[Sort, Sort] = ("node", "relationship")
        for sort in sorts:
            async for batch in changes(self._work.outside, self._work.inside, sort, names):
                new = [change for change in batch if change.element.id not in self.archived]
                await self._keep(await self._of_others(new))
            # Procedures are not counted, so what they did is never certain.
            if names is not None and is_all(self._server, self.counted):
                return True
        return names is None and is_all(self._server, self.counted)

    async def _keep(self, found: list[Change]) -> None:
        await archive.keep(self._work.inside, self._number, self._phase, found)
        for change in found:
            self.counted += seen(change)
            self.archived.add(change.element.id)

    async def _of_others(self, found: list[Change]) -> list[Change]:
        """Without the watchdog's own nodes, which a script that names no label also meets."""
        ends = [end for change in found for end in change.element.ends or ()]
        if ends and (await runs.one(self._work.inside, _OWN_ENDS, ids=ends))[0]:
            raise RefusedError(("it ties relationships to the watchdog's own nodes; name the labels that it means",))
        for change in found:
            if change.before and is_ours(change.before):
                if not change.after or change.after.labels != change.before.labels:
                    raise RefusedError(("it deletes or labels the watchdog's own nodes; name the labels it means",))
                await run(self._work.inside, _PUT_BACK, id=change.element.id, values=change.before.values)
        return [change for change in found if not is_ours(change.before or change.element)]
