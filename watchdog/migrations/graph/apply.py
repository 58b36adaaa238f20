"""Applies a Cypher script so that it can be taken back: run, compared from inside and outside, archived, committed."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

from neo4j import exceptions

from watchdog.migrations.cypher import Statement
from watchdog.migrations.graph import archive, batches, runs
from watchdog.migrations.graph.bindings import writes_what_it_names
from watchdog.migrations.graph.changes import Change, counted, is_all, is_all_but_repeats, is_balanced, seen
from watchdog.migrations.graph.rollback import take_phases_back
from watchdog.migrations.graph.schema import as_text, read_schema
from watchdog.migrations.graph.script import Phase, Script, read_script
from watchdog.migrations.graph.views import Runner, Sort, changes, differences, is_ours, run
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
_IN_BATCHES = "write MATCH … CALL (n) { … } IN TRANSACTIONS"
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
    with target.translated(), runs.fitting(target, _IN_BATCHES):
        async with target.session() as session:
            read = await read_script(session, script, await batches.lines_of_stopped(session, script))
        phases = tuple("schema" if phase.schema else "data" for phase in read.phases)
        lines = tuple(phase.statements[0].line for phase in read.phases if phase.batches)
        header = runs.Header(name, release, script, phases, lines)
        await runs.retried(partial(runs.prepare, target))
        if phases == ("data",) and not read.phases[0].batches:
            return await runs.retried(lambda: _at_once(target, read, header))
        return await _in_phases(target, read, header)


async def _at_once(target: Neo4jTarget, script: Script, header: runs.Header) -> GraphApplied:
    async with runs.writing(target) as work:
        await runs.lock_runs(work.inside)
        await runs.refuse_closed(work.inside, header.release)
        number = await runs.next_number(work.inside)
        archived = await _data(target, work, script, 0, (number, 0))
        await runs.begin(work.inside, number, header, (archived,))
    return GraphApplied(number, archived)


async def _in_phases(target: Neo4jTarget, script: Script, header: runs.Header) -> GraphApplied:
    """Neo4j keeps schema and data apart, so the run stands in the graph before the first phase."""
    start = await _start(target, header)
    number, index, archived = start.number, start.done, 0
    for part, phase in enumerate(script.phases):
        if part < start.part:
            continue
        last = part + 1 == len(script.phases)
        try:
            if phase.batches:
                again = start.stopped and part == start.part
                index, more = await _batches(target, script, phase.batches, (number, index), again=again, last=last)
                archived += more
                continue
            done: runs.State = "applied" if last else "applying"
            if phase.schema:
                await _schema(target, phase, number, index, done)
            else:
                archived += await runs.retried(partial(_data_phase, target, script, part, (number, index), done))
            index += 1
        except _TakenOverError:
            raise
        except (WatchdogError, *_DRIVER) as error:
            await asyncio.shield(_forgotten(target, number, error))
            raise
    return GraphApplied(number, archived)


async def _start(target: Neo4jTarget, header: runs.Header) -> batches.Start:
    """Notes a new run in the graph, or finds the one that was stopped between two batches of the same script."""
    async with runs.writing(target) as work:
        await runs.lock_runs(work.inside)
        await runs.refuse_closed(work.inside, header.release)
        if found := await batches.stopped(work.inside, header.script_hash):
            return found
        number = await runs.next_number(work.inside)
        await runs.begin(work.inside, number, header)
        return batches.Start(number)


async def _batches(
    target: Neo4jTarget, script: Script, form: batches.Batches, place: tuple[int, int], *, again: bool, last: bool
) -> tuple[int, int]:
    """Does a statement batch by batch; answers how many phases are done then, and how much was archived."""
    number, index = place
    if again:
        async with target.session() as session:
            count = await batches.open_batches(session, number, index)
    else:
        count = await batches.note_rows(target, number, index, form)
    archived = 0
    for each in range(index, index + count):
        done: runs.State = "applied" if last and each + 1 == index + count else "applying"
        archived += await runs.retried(partial(_batch, target, script, form, (number, each), done))
    return index + count, archived


async def _batch(
    target: Neo4jTarget, script: Script, form: batches.Batches, place: tuple[int, int], done: runs.State
) -> int:
    number, index = place
    async with runs.writing(target) as work:
        await runs.lock_runs(work.inside)
        await _still_ours(work.inside, number, index)
        rows = await batches.rows_of(work.inside, number, index, form)
        statement = replace(form.statement, text=batches.query(form, rows))
        server = await _executed(target, work.inside, statement, rows=[dict(row) for row in rows.rows])
        found = _Archiving(work, number, index, server, named=form.closed)
        if any(server.values()) and not await found.look_around(rows):
            await _search(found, script, server)
        await batches.finish(work.inside, number, index)
        await runs.advance(work.inside, number, done, index + 1, len(found.archived))
        return len(found.archived)


async def _data_phase(target: Neo4jTarget, script: Script, part: int, place: tuple[int, int], done: runs.State) -> int:
    number, index = place
    async with runs.writing(target) as work:
        await runs.lock_runs(work.inside)
        await _still_ours(work.inside, number, index)
        archived = await _data(target, work, script, part, place)
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
        await runs.drop_archive(target, number)
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


async def _executed(target: Neo4jTarget, runner: Runner, statement: Statement, **parameters: Any) -> Counter[str]:
    try:
        return counted((await run(runner, statement.text, **parameters)).counters)
    except exceptions.TransientError:
        raise  # for another try
    except exceptions.Neo4jError as error:
        said = target.translate(error)
        raise TargetError(
            f"line {statement.line}: the statement failed, and nothing was changed: {said}", retryable=said.retryable
        ) from None


async def _data(target: Neo4jTarget, work: runs.Work, script: Script, part: int, place: tuple[int, int]) -> int:
    server: Counter[str] = Counter()
    statements = script.phases[part].statements
    for statement in statements:
        server += await _executed(target, work.inside, statement)
    if not script.uncounted and not any(server.values()):
        return 0
    named = all(writes_what_it_names(statement.bare) for statement in statements)
    found = _Archiving(work, *place, server, named=named)
    await _search(found, script, server)
    return len(found.archived)


async def _search(found: "_Archiving", script: Script, server: Counter[str]) -> None:
    """Archives everything that is not as before; raises RefusedError when something of it cannot be seen."""
    if script.uncounted or not await found.look(script.names):
        complete = await found.look(None)
        if not (complete or script.uncounted or is_balanced(server, found.counted)):
            raise RefusedError(("it did more than can be seen, by a trigger or a procedure",))


class _Archiving:
    """What was seen of a script so far."""

    def __init__(self, work: runs.Work, number: int, phase: int, server: Counter[str], *, named: bool) -> None:
        self._work = work
        self._number = number
        self._phase = phase
        self._server = server
        self._is_all = is_all_but_repeats if named else is_all
        self.counted: Counter[str] = Counter()
        self.archived: set[str] = set()

    async def look(self, names: frozenset[str] | None) -> bool:
        """Archives what differs in these labels and types, or in the whole graph; whether that is certainly all."""
        sorts: tuple[Sort, Sort] = ("node", "relationship")
        for sort in sorts:
            await self._take(changes(self._work.outside, self._work.inside, sort, names))
            # Procedures are not counted, so what they did is never certain.
            if names is not None and is_all(self._server, self.counted):
                return True
        return self._is_all(self._server, self.counted)

    async def look_around(self, rows: batches.Rows) -> bool:
        """Archives what differs in the elements of rows and beside them; whether that is certainly all."""
        nodes = rows.ids("node")
        await self._look_at("node", nodes)
        await self._look_at("relationship", rows.ids("relationship"))
        if self._is_all(self._server, self.counted):
            return True
        ties, ends = await batches.beside(self._work, nodes)
        await self._look_at("relationship", ties)
        if not self._is_all(self._server, self.counted):
            await self._look_at("node", ends)
        return self._is_all(self._server, self.counted)

    async def _look_at(self, sort: Sort, ids: Iterable[str]) -> None:
        await self._take(differences(self._work.outside, self._work.inside, sort, ids))

    async def _take(self, found: AsyncIterator[list[Change]]) -> None:
        async for batch in found:
            new = [change for change in batch if change.element.id not in self.archived]
            await self._keep(await self._of_others(new))

    async def _keep(self, found: list[Change]) -> None:
        await archive.keep(self._work.outside, self._work.inside, self._number, self._phase, found)
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
