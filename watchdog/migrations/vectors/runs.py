"""The runs of vectors in a database, the way in and out of each, and what every step of them does with errors."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, TypeVar

import psycopg

from watchdog.migrations import runs as sql_runs
from watchdog.migrations.rehearse.errors import plain
from watchdog.migrations.session import RefusedError, connected
from watchdog.migrations.shape import Connection, load_query
from watchdog.migrations.vectors.file import VectorMigration, read_migration
from watchdog.migrations.vectors.plan import Plan
from watchdog.ports.errors import WatchdogError

State: TypeAlias = Literal["applying", "applied", "rolling back", "rolled back", "settled"]
Stage: TypeAlias = Literal["beside", "switched", "back", "listed"]
T = TypeVar("T")

_TRIES = 20
_PAUSE_S = 0.25
_STAMP = 'YYYY-MM-DD"T"HH24:MI:SS"Z"'
_THERE = "SELECT to_regclass('watchdog.vector_runs') IS NOT NULL"


@dataclass(frozen=True)
class VectorRun:
    """One migration of vectors; `began_at` is ISO 8601 text in UTC, recalls are shares of true neighbours."""

    run: int
    name: str
    release: str
    state: State
    stage: Stage
    began_at: str
    script_hash: str
    recall_before: float | None
    recall_after: float | None


@dataclass(frozen=True)
class Stand:
    """How far a run has come, with what it takes to go on or back."""

    run: int
    state: State
    stage: Stage
    plan: Plan
    migration: VectorMigration
    recall_before: float | None
    recall_after: float | None


async def runs(url: str) -> tuple[VectorRun, ...]:
    """Every run of vectors of the database, the first one first; raises WatchdogError when they cannot be read."""
    async with connected(url) as connection:
        with spoken("The runs cannot be read"):
            return await runs_of(connection)


async def runs_of(connection: Connection) -> tuple[VectorRun, ...]:
    """As `runs`, with psycopg's own errors."""
    if not await _is_there(connection):
        return ()
    rows = await (
        await connection.execute(
            f"SELECT run, name, release, state, stage, to_char(began_at AT TIME ZONE 'UTC', '{_STAMP}'), script_hash,"  # noqa: S608 - our own words
            " recall_before, recall_after FROM watchdog.vector_runs ORDER BY run".encode()
        )
    ).fetchall()
    return tuple(VectorRun(*row) for row in rows)


async def has_run(url: str, run: int) -> bool:
    """Whether a run's number is that of a run of vectors; raises WatchdogError when the database cannot be asked."""
    return any(one.run == run for one in await runs(url))


async def prepare(connection: Connection) -> None:
    """Makes our tables where they are missing; raises WatchdogError when it must not."""
    await sql_runs.prepare(connection)
    with spoken("Schema watchdog cannot be prepared"):
        await connection.execute(load_query("vectors/runs.sql"))
        await sql_runs.close(connection, "watchdog.vector_runs")


async def next_run(connection: Connection) -> int:
    """A number that no run of the database has."""
    row = await (
        await connection.execute("SELECT nextval(pg_get_serial_sequence('watchdog.migration_runs', 'id'))")
    ).fetchone()
    assert row is not None  # noqa: S101 - a sequence answers
    return int(row[0])


async def begin(
    connection: Connection, run: int, migration: VectorMigration, plan: Plan, words: tuple[str, ...]
) -> None:
    """Writes the run, before anything is changed; `words` are name, release and the script's hash."""
    name, release, hashed = words
    await connection.execute(
        "INSERT INTO watchdog.vector_runs (run, state, stage, name, release, script, script_hash, plan)"
        " VALUES (%s, 'applying', 'beside', %s, %s, %s, %s, %s::jsonb)",
        (run, name, release, migration.text, hashed, json.dumps(asdict(plan))),
    )


async def read_stand(connection: Connection, run: int) -> Stand:
    """How far a run has come; raises WatchdogError when there is none."""
    row = None
    if await _is_there(connection):
        row = await (
            await connection.execute(
                "SELECT state, stage, plan, script, recall_before, recall_after FROM watchdog.vector_runs"
                " WHERE run = %s",
                (run,),
            )
        ).fetchone()
    if row is None:
        raise WatchdogError(
            f"There is no run {run} of vectors in this database; `watchdog migration status` lists them."
        )
    state, stage, said, script, before, after = row
    plan = Plan(**{**said, "old_indexes": tuple(said["old_indexes"])})
    return Stand(run, state, stage, plan, read_migration(script), before, after)


async def note(connection: Connection, run: int, **fields: Any) -> None:
    """Changes what a run says of itself: state, stage, recalls, report."""
    for name, value in fields.items():
        await connection.execute(
            f"UPDATE watchdog.vector_runs SET {name} = %s WHERE run = %s".encode(),  # noqa: S608 - our own words
            (json.dumps(value) if name == "report" else value, run),
        )


@asynccontextmanager
async def held(connection: Connection, run: int) -> AsyncIterator[None]:
    """Keeps others from working on a run meanwhile; raises RefusedError when somebody does."""
    key = "hashtext('watchdog.migration_runs'), %s::int"
    row = await (await connection.execute(f"SELECT pg_try_advisory_lock({key})".encode(), (run,))).fetchone()
    if not (row and row[0]):
        raise RefusedError((f"somebody works on run {run}; wait for it",))
    try:
        yield
    finally:
        if not connection.closed:
            await connection.execute(f"SELECT pg_advisory_unlock({key})".encode(), (run,))


@contextmanager
def spoken(what: str) -> Iterator[None]:
    """Turns psycopg's errors into a WatchdogError without values of rows that begins with what was tried."""
    try:
        yield
    except psycopg.Error as error:
        raise WatchdogError(f"{what}: {plain(error)}") from None


async def briefly(connection: Connection, work: Callable[[], Awaitable[T]], *, wait_ms: int = 1_000) -> T:
    """Does something in one short transaction that waits for no lock for longer, and tries again a few times."""
    for _ in range(_TRIES):
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = {wait_ms}".encode())
                return await work()
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            await asyncio.sleep(_PAUSE_S)
    raise WatchdogError("A lock on the table could not be had in many tries; end what holds it, and try again.")


async def see_types(connection: Connection, plan: Plan) -> None:
    """Lets expressions of the file name the extension's functions and operators, wherever it is."""
    await connection.execute(
        "SELECT set_config('search_path', current_setting('search_path') || ', ' || quote_ident(%s), false)",
        (plan.types,),
    )


async def _is_there(connection: Connection) -> bool:
    row = await (await connection.execute(_THERE)).fetchone()
    return bool(row and row[0])
