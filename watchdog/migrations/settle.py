# ruff: noqa: S608 - the only names in SQL here are those of our own tables
"""The end of a run's reversible window: its archives are dropped."""

from dataclasses import dataclass

import psycopg
from psycopg import sql

from watchdog.migrations.changelog import stop
from watchdog.migrations.plain import plain
from watchdog.migrations.runs import EXPIRED, has_runs, images_of, named, prepare
from watchdog.migrations.session import connected
from watchdog.migrations.shape import Connection
from watchdog.ports.errors import WatchdogError


@dataclass(frozen=True)
class Settled:
    """A run that can no longer be taken back.

    Attributes:
        state: `settled`; a run that was rolled back stays `rolled back`.
        freed: Tables that were dropped, with the bytes that each took.
        quarantined: Rows that still wait in quarantine.
        discarded: Rows of the quarantine that were dropped.
    """

    run: int
    state: str
    freed: dict[str, int]
    quarantined: int
    discarded: int


@dataclass(frozen=True)
class Sweep:
    """What became of several runs; `failed` says why for each that stays."""

    settled: tuple[Settled, ...]
    failed: dict[int, str]


async def settle(url: str, run: int, *, quarantine: bool = False) -> Settled:
    """Drops a run's archives, all at once; a run that is settled already stays as it is.

    Args:
        quarantine: Drops its rows in quarantine too; without it they stay.

    Raises:
        WatchdogError: There is no such run, it is still being applied, or somebody uses it; nothing was changed.
    """
    async with connected(url) as connection:
        return await _settle(connection, run, quarantine=quarantine)


async def expired(url: str) -> tuple[int, ...]:
    """Runs whose archives are past their time and still there, the first one first."""
    async with connected(url) as connection:
        return await _expired(connection)


async def settle_expired(url: str, *, quarantine: bool = False) -> Sweep:
    """Settles every run that has expired; one that cannot be settled does not keep the others."""
    async with connected(url) as connection:
        return await _sweep(connection, await _expired(connection), quarantine=quarantine)


async def settle_release(url: str, release: str, *, quarantine: bool = False) -> Sweep:
    """Settles every run of a release; one that cannot be settled does not keep the others.

    Raises:
        WatchdogError: Nothing was applied for it here, or the runs cannot be read.
    """
    query = "SELECT id FROM watchdog.migration_runs WHERE release = %s ORDER BY 1"
    async with connected(url) as connection:
        with named("The runs cannot be read"):
            rows = await (await connection.execute(query, (release,))).fetchall() if await has_runs(connection) else []
        if not rows:
            raise WatchdogError(f"Nothing was applied here for release {release}; see `watchdog migration status`.")
        return await _sweep(connection, tuple(number for (number,) in rows), quarantine=quarantine)


async def _sweep(connection: Connection, runs: tuple[int, ...], *, quarantine: bool) -> Sweep:
    settled: list[Settled] = []
    failed: dict[int, str] = {}
    # The last one first: what a run moved aside is dropped when no later run knows of it any more.
    for run in reversed(runs):
        try:
            settled.append(await _settle(connection, run, quarantine=quarantine))
        except WatchdogError as error:
            failed[run] = str(error)
    return Sweep(tuple(settled), failed)


async def _expired(connection: Connection) -> tuple[int, ...]:
    query = f"SELECT r.id FROM watchdog.migration_runs r WHERE {EXPIRED} ORDER BY 1"
    with named("The runs cannot be read"):
        if not await has_runs(connection):
            return ()
        await prepare(connection)
        return tuple(run for (run,) in await (await connection.execute(query.encode())).fetchall())


async def _settle(connection: Connection, run: int, *, quarantine: bool) -> Settled:
    if await has_runs(connection):
        await prepare(connection)
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL lock_timeout = '5s'")
            state = await _state(connection, run)
            if state == "applied":
                await _drop_what_was_put_off(connection, run)
            await stop(connection, run)  # first of all: what users write must not run into a log that is gone
            freed = await images_of(connection, run)
            for name in freed:
                await connection.execute(f"DROP TABLE {name}".encode())
            await connection.execute("DELETE FROM watchdog.migration_archives WHERE run = %s", (run,))
            discarded = 0
            if quarantine:
                gone = await connection.execute("DELETE FROM watchdog.migration_quarantine WHERE run = %s", (run,))
                discarded = gone.rowcount
            left = await (
                await connection.execute("SELECT count(*) FROM watchdog.migration_quarantine WHERE run = %s", (run,))
            ).fetchone()
            # That it was rolled back is worth more than that it was tidied up.
            ended = "settled" if state == "applied" else state
            await connection.execute(
                "UPDATE watchdog.migration_runs SET state = %s, settled_at = coalesce(settled_at, clock_timestamp())"
                " WHERE id = %s",
                (ended, run),
            )
    except psycopg.errors.LockNotAvailable as error:
        raise WatchdogError(f"Run {run} was not settled: somebody uses it; try again later.") from error
    except psycopg.Error as error:
        raise WatchdogError(f"Run {run} was not settled, nothing was changed: {plain(error)}") from error
    return Settled(run, ended, freed, left[0] if left else 0, discarded)


async def _drop_what_was_put_off(connection: Connection, run: int) -> None:
    """The drops of a deferred script, as the role that applied it; later runs would not find their schema again."""
    row = await (
        await connection.execute(
            "SELECT coalesce(manifest -> 'deferred', '[]'), manifest ->> 'role',"
            " (SELECT min(l.id) FROM watchdog.migration_runs l"
            "   WHERE l.id > r.id AND l.state = 'applied' AND l.reversible)"
            " FROM watchdog.migration_runs r WHERE id = %s",
            (run,),
        )
    ).fetchone()
    assert row is not None  # noqa: S101 - `_state` has found it
    drops, role, later = row
    if not drops:
        return
    if later is not None:
        raise WatchdogError(
            f"Run {run} was not settled: run {later} can still be taken back and knows what was moved aside;"
            f" settle run {later} first."
        )
    if role:
        await connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
    for statement in drops:
        await connection.execute(statement.encode())
    await connection.execute("SET LOCAL ROLE NONE")


async def _state(connection: Connection, run: int) -> str:
    """The state of a run, which nobody else changes until the transaction ends."""
    row = None
    if await has_runs(connection):
        row = await (
            await connection.execute(
                "SELECT state FROM watchdog.migration_runs WHERE id = %s FOR UPDATE NOWAIT", (run,)
            )
        ).fetchone()
    if row is None:
        raise WatchdogError(f"There is no run {run} in this database; see `watchdog migration status`.")
    if row[0] in {"preparing", "applying"}:
        raise WatchdogError(f"Run {run} is still being applied; roll it back, or wait for it, and settle it then.")
    return str(row[0])
