"""The runs of a graph: nodes `(:WatchdogMigrationRun)`, and the one transaction in which a run does its work."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

import neo4j
from neo4j import exceptions

from watchdog.migrations.graph.views import run
from watchdog.migrations.session import RefusedError
from watchdog.ports.errors import WatchdogError
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
    "CREATE INDEX watchdog_archive_element IF NOT EXISTS FOR (a:WatchdogArchive) ON (a.element)",
)
_READY = (
    "OPTIONAL MATCH (l:WatchdogMigrationLock {name: 'graph'}) WITH l"
    " WHERE l IS NULL MERGE (n:WatchdogMigrationLock {name: 'graph'}) SET n.watchdog_lock = true"
)
_LOCK = "MATCH (l:WatchdogMigrationLock {name: 'graph'}) REMOVE l.watchdog_lock"
_NEXT = "OPTIONAL MATCH (r:WatchdogMigrationRun) RETURN coalesce(max(r.run), 0) + 1"
_BUSY = "MATCH (r:WatchdogMigrationRun) WHERE r.state IN ['applying', 'rolling back'] RETURN r.run, r.state"
_BEGIN = (
    "CREATE (r:WatchdogMigrationRun {run: $run, name: $name, release: $release, state: $state, script: $script,"
    " script_hash: $script_hash, phases: $phases, done: $done, archived: $archived, began_at: datetime()})"
)
_STEP = "MATCH (r:WatchdogMigrationRun {run: $run}) SET r.state = $state, r.done = $done"
_ARCHIVED = "MATCH (r:WatchdogMigrationRun {run: $run}) SET r.archived = r.archived + $archived"
_FOUND = "MATCH (r:WatchdogMigrationRun {run: $run}) RETURN r.state, r.phases, r.done, r.archived"
_FORGET = "MATCH (r:WatchdogMigrationRun {run: $run}) DELETE r"
_DROP = "MATCH (a:WatchdogArchive {run: $run}) DELETE a"
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
    """

    name: str
    release: str
    script: str
    phases: tuple[str, ...]


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
            dropped = (await run(work.inside, _DROP, run=number)).counters.nodes_deleted
            await step(work.inside, number, "settled" if stand.state == "applied" else stand.state, stand.done)
            return dropped


async def prepare(target: Neo4jTarget) -> None:
    """Makes the watchdog's own constraints, indexes and lock, where they are missing."""
    async with target.session() as session:
        there = {name async for (name,) in await session.run("SHOW INDEXES YIELD name RETURN name")}
        for statement in _SCHEMA:
            if statement.split()[2] not in there:
                await run(session, statement)
        await run(session, _READY)


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
        script_hash=hashlib.sha256(header.script.encode()).hexdigest(),
        phases=list(header.phases),
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


async def forget(inside: neo4j.AsyncTransaction, number: int) -> None:
    """Drops a run that came to nothing, with its archive."""
    await run(inside, _DROP, run=number)
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
