"""The runs of a graph: nodes `(:WatchdogMigrationRun)`, and the one transaction in which a run does its work."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar, cast

import neo4j
from neo4j import exceptions

from watchdog.migrations.graph.views import run
from watchdog.migrations.session import RefusedError
from watchdog.ports.errors import TargetError, WatchdogError
from watchdog.targets.neo4j import Neo4jTarget

State = Literal["applying", "applied", "rolling back", "rolled back", "settled"]

T = TypeVar("T")

_SECONDS = 600.0
_TRIES = 10
_PAUSE_S = 0.05
_SCHEMA = (
    "CREATE CONSTRAINT watchdog_migration_run IF NOT EXISTS FOR (r:WatchdogMigrationRun) REQUIRE r.run IS UNIQUE",
    "CREATE CONSTRAINT watchdog_migration_lock IF NOT EXISTS FOR (l:WatchdogMigrationLock) REQUIRE l.name IS UNIQUE",
    "CREATE INDEX watchdog_archive_run IF NOT EXISTS FOR (a:WatchdogArchive) ON (a.run)",
    "CREATE INDEX watchdog_batch_run IF NOT EXISTS FOR (b:WatchdogBatch) ON (b.run, b.phase)",
    "CREATE INDEX watchdog_archive_phase IF NOT EXISTS FOR (a:WatchdogArchive) ON (a.run, a.phase)",
    "CREATE INDEX watchdog_archive_start IF NOT EXISTS FOR (a:WatchdogArchive) ON (a.start)",
    "CREATE INDEX watchdog_archive_end IF NOT EXISTS FOR (a:WatchdogArchive) ON (a.end)",
    "CREATE INDEX watchdog_archive_element IF NOT EXISTS FOR (a:WatchdogArchive) ON (a.element)",
)
_CLOSE = "MERGE (r:WatchdogRelease {release: $release}) ON CREATE SET r.closed_at = datetime()"
_CLOSED = "MATCH (r:WatchdogRelease {release: $release}) RETURN toString(r.closed_at)"
_READY = (
    "OPTIONAL MATCH (l:WatchdogMigrationLock {name: 'graph'}) WITH l"
    " WHERE l IS NULL MERGE (n:WatchdogMigrationLock {name: 'graph'}) SET n.watchdog_lock = true"
)
_THERE_ALREADY = "Neo.ClientError.Schema.EquivalentSchemaRuleAlreadyExists"
_LOCK = "MATCH (l:WatchdogMigrationLock {name: 'graph'}) REMOVE l.watchdog_lock"
_NEXT = "OPTIONAL MATCH (r:WatchdogMigrationRun) RETURN coalesce(max(r.run), 0) + 1"
_BUSY = "MATCH (r:WatchdogMigrationRun) WHERE r.state IN ['applying', 'rolling back'] RETURN r.run, r.state"
_BEGIN = (
    "CREATE (r:WatchdogMigrationRun {run: $run, name: $name, release: $release, state: $state, script: $script,"
    " script_hash: $script_hash, phases: $phases, in_batches: $in_batches, done: $done, archived: $archived,"
    " began_at: datetime()})"
)
_STEP = "MATCH (r:WatchdogMigrationRun {run: $run}) SET r.state = $state, r.done = $done"
_ARCHIVED = "MATCH (r:WatchdogMigrationRun {run: $run}) SET r.archived = r.archived + $archived"
_FOUND = "MATCH (r:WatchdogMigrationRun {run: $run}) RETURN r.state, r.phases, r.done, r.archived"
_FORGET = "MATCH (r:WatchdogMigrationRun {run: $run}) DELETE r"
# A large archive does not fit into one transaction.
_DROP = "MATCH (a:WatchdogArchive {run: $run}) WITH a LIMIT 5000 DELETE a"
_DROP_BATCHES = "MATCH (b:WatchdogBatch {run: $run}) WITH b LIMIT 500 DELETE b"
_RUNS = (
    "MATCH (r:WatchdogMigrationRun)"
    " RETURN r.run, r.name, r.release, r.state, toString(r.began_at), r.script_hash ORDER BY r.run"
)


@dataclass(frozen=True)
class GraphRun:
    """One migration of a graph; `began_at` as ISO 8601 text."""

    run: int
    name: str
    release: str
    state: State
    began_at: str
    script_hash: str


@dataclass(frozen=True)
class Header:
    """What a run node says of itself.

    Attributes:
        phases: `data` or `schema` for each part of the script, in order.
        in_batches: The lines of the statements that are done batch by batch.
    """

    name: str
    release: str
    script: str
    phases: tuple[str, ...]
    in_batches: tuple[int, ...] = ()

    @property
    def script_hash(self) -> str:
        """The script's SHA-256."""
        return hashlib.sha256(self.script.encode()).hexdigest()


@dataclass(frozen=True)
class Stand:
    """How far a run has come.

    Attributes:
        done: How many of its phases are in effect.
        archived: How many elements the archive has of each phase that was finished; nothing for a schema phase.
    """

    run: int
    state: State
    phases: tuple[str, ...]
    done: int
    archived: tuple[int, ...]


@dataclass(frozen=True)
class Work:
    """One transaction, and a session that sees the graph without it."""

    outside: neo4j.AsyncSession
    inside: neo4j.AsyncTransaction


async def runs_graph(target: Neo4jTarget) -> tuple[GraphRun, ...]:
    """Every run of the graph, the first one first; raises TargetError when it cannot be reached."""
    with target.translated():
        async with target.session() as session:
            return tuple([GraphRun(*record.values()) async for record in await session.run(_RUNS)])


async def settle_graph(target: Neo4jTarget, number: int) -> int:
    """Drops the archive of a run, which cannot be taken back after that; answers how many nodes it had.

    Raises:
        RefusedError: It is not finished.
        WatchdogError: There is no such run.
        TargetError: The graph does not answer.
    """
    with target.translated():
        async with writing(target) as work:
            await lock_runs(work.inside)
            stand = await read_stand(work.inside, number)
            if stand.state in {"applying", "rolling back"}:
                raise RefusedError((f"run {number} is {stand.state}; take it back first",))
            await step(work.inside, number, "settled" if stand.state == "applied" else stand.state, stand.done)
        return await drop_archive(target, number)


async def drop_archive(target: Neo4jTarget, number: int) -> int:
    """Drops the archive of a run that needs it no more, batch by batch; answers how many elements it had."""
    async with target.session() as session:
        while (await run(session, _DROP_BATCHES, run=number)).counters.nodes_deleted:
            pass
        total = 0
        while dropped := (await run(session, _DROP, run=number)).counters.nodes_deleted:
            total += dropped
        return total


async def prepare(target: Neo4jTarget) -> None:
    """Makes the watchdog's own constraints, indexes and lock, where they are missing."""
    async with target.session() as session:
        there = {name async for (name,) in await session.run("SHOW INDEXES YIELD name RETURN name")}
        for statement in _SCHEMA:
            if statement.split()[2] not in there:
                await _make(session, statement)
        await run(session, _READY)


async def _make(session: neo4j.AsyncSession, statement: str) -> None:
    """Two that make the same thing at the same moment are not kept apart by IF NOT EXISTS."""
    try:
        await run(session, statement)
    except exceptions.ClientError as error:
        if error.code != _THERE_ALREADY:
            raise


@asynccontextmanager
async def writing(target: Neo4jTarget) -> AsyncIterator[Work]:
    """A transaction that commits when the body ends, and is rolled back when it fails.

    Raises:
        WatchdogError: The commit's answer was lost.
    """
    async with target.session() as outside, target.session() as session:
        inside = await session.begin_transaction(timeout=_SECONDS, metadata={"watchdog": "migration"})
        try:
            yield Work(outside, inside)
            try:
                await inside.commit()
            except (exceptions.ServiceUnavailable, exceptions.SessionExpired, OSError) as error:
                raise WatchdogError(
                    f"The answer to the commit was lost: {target.translate(error)} Look at the state of the run."
                ) from None
        finally:
            await inside.close()


@contextmanager
def fitting(target: Neo4jTarget, way_out: str) -> Iterator[None]:
    """Says so, with a way out, when a transaction does not fit into the server's memory."""
    try:
        yield
    except exceptions.TransientError as error:
        if "OutOfMemory" not in (error.code or ""):
            raise
        raise TargetError(
            f"{target.place} has too little memory for this as one transaction, and nothing was changed; {way_out},"
            " or raise dbms.memory.transaction.total.max."
        ) from None


async def retried(work: Callable[[], Awaitable[T]]) -> T:
    """Has a transaction done again when the server ended it for another's sake: then nothing was changed."""
    for attempt in range(1, _TRIES):
        try:
            return await work()
        except exceptions.TransientError as error:
            # Of those, a lack of memory would come again.
            if not (error.code or "").startswith("Neo.TransientError.Transaction."):
                raise
        await asyncio.sleep(_PAUSE_S * attempt)
    return await work()


async def lock_runs(inside: neo4j.AsyncTransaction) -> None:
    """Waits until no other transaction of ours works on this graph."""
    await run(inside, _LOCK)


async def next_number(inside: neo4j.AsyncTransaction) -> int:
    """The number of a new run; with the lock held.

    Raises:
        RefusedError: Another run is not finished.
    """
    async for number, state in await inside.run(_BUSY):
        raise RefusedError((f"run {number} is still {state}; wait for it, or take it back if its process is gone",))
    return cast("int", (await one(inside, _NEXT))[0])


async def begin(inside: neo4j.AsyncTransaction, number: int, header: Header, archived: tuple[int, ...] = ()) -> None:
    """Writes the node of a run, with how many elements were archived of each phase that is done."""
    await run(
        inside,
        _BEGIN,
        run=number,
        name=header.name,
        release=header.release,
        state="applied" if len(archived) == len(header.phases) else "applying",
        script=header.script,
        script_hash=header.script_hash,
        phases=list(header.phases),
        in_batches=list(header.in_batches),
        done=len(archived),
        archived=list(archived),
    )


async def step(runner: neo4j.AsyncSession | neo4j.AsyncTransaction, number: int, state: State, done: int) -> None:
    """Notes how far a run has come."""
    await run(runner, _STEP, run=number, state=state, done=done)


async def advance(
    runner: neo4j.AsyncSession | neo4j.AsyncTransaction, number: int, state: State, done: int, archived: int = 0
) -> None:
    """Notes that one more phase is done, and how many elements were archived of it."""
    await run(runner, _ARCHIVED, run=number, archived=archived)
    await step(runner, number, state, done)


async def close(target: Neo4jTarget, release: str) -> None:
    """From now on nothing more is applied to the graph for this release; waits for who is at it."""
    with target.translated():
        await retried(partial(prepare, target))
        async with writing(target) as work:
            await lock_runs(work.inside)
            await run(work.inside, _CLOSE, release=release)


async def refuse_closed(inside: neo4j.AsyncTransaction, release: str) -> None:
    """With the lock held; raises RefusedError when the release is being taken back, or was."""
    if release and (closed := await one(inside, _CLOSED, release=release)):
        raise RefusedError(
            (f"release {release} is taken back since {closed[0]}; apply the next try under another --release",)
        )


async def forget(inside: neo4j.AsyncTransaction, number: int) -> None:
    """Drops a run that came to nothing, and whose archive is dropped."""
    await run(inside, _FORGET, run=number)


async def read_stand(runner: neo4j.AsyncSession | neo4j.AsyncTransaction, number: int) -> Stand:
    """How far a run has come; raises WatchdogError when there is none."""
    found = await one(runner, _FOUND, run=number)
    if not found:
        raise WatchdogError(f"There is no run {number} in this graph; see its runs for the numbers.")
    state, phases, done, archived = found
    return Stand(number, state, tuple(phases), done, tuple(archived))


async def one(runner: neo4j.AsyncSession | neo4j.AsyncTransaction, query: str, **parameters: Any) -> list[Any]:
    """The first row; empty when there is none."""
    rows = [record.values() async for record in await runner.run(query, parameters)]
    return rows[0] if rows else []
