"""Takes a migration of vectors back, or settles it, from what the database says of the run alone."""

from contextlib import suppress
from dataclasses import asdict, dataclass

import psycopg
from psycopg import sql

from watchdog.migrations import runs as sql_runs
from watchdog.migrations.rehearse.errors import plain
from watchdog.migrations.session import RefusedError, connected
from watchdog.migrations.shape import Connection
from watchdog.migrations.vectors.beside import drop_index, drop_trigger, take_away
from watchdog.migrations.vectors.file import VectorMigration
from watchdog.migrations.vectors.fill import run_command
from watchdog.migrations.vectors.plan import Plan
from watchdog.migrations.vectors.runs import Stand, briefly, held, note, read_stand, see_types, spoken
from watchdog.migrations.vectors.switch import not_null_again, switch_back
from watchdog.ports.errors import WatchdogError

_CREATE = """
    CREATE TABLE IF NOT EXISTS {list} (key {key_type} PRIMARY KEY, missing boolean NOT NULL, vector {types}.{type},
        refilled boolean NOT NULL DEFAULT false)
"""
# A row version made by a transaction that was not over when the snapshot was taken is a later one. Another update of a
# row makes a new version too, so this is more than the rows whose vector changed, and never less.
_LATER = """
    INSERT INTO {list} (key, missing, vector)
    SELECT t.{key}, t.{old} IS NULL, t.{new} FROM {table} t, watchdog.vector_runs r
    WHERE r.run = {run} AND (t.{new} IS NOT NULL OR t.{old} IS NOT NULL) AND (
        age(t.xmin) <= age(pg_snapshot_xmax(r.snapshot)::xid)
        OR t.xmin = ANY (ARRAY(SELECT pg_snapshot_xip(r.snapshot)::xid)))
    ON CONFLICT (key) DO NOTHING
"""
_SAME = """
    DELETE FROM {list} l WHERE NOT l.missing AND l.vector IS NOT DISTINCT FROM
        (SELECT ({expression}
        )::{types}.{type} FROM {table} WHERE {table}.{key} = l.key)
"""
_REFILL = """
    UPDATE {table} SET {old} = ({expression}
    ) WHERE {key} IN (SELECT l.key FROM {list} l WHERE NOT l.refilled)
"""
_REFILLED = """
    UPDATE {list} l SET refilled = true FROM {table} t
    WHERE t.{key} = l.key AND t.{old} IS NOT NULL AND (l.missing OR {all})
"""
_COUNTS = """
    SELECT count(*), count(*) FILTER (WHERE l.missing), count(*) FILTER (WHERE l.refilled),
           count(*) FILTER (WHERE t.{key} IS NOT NULL AND t.{old} IS NULL)
    FROM {list} l LEFT JOIN {table} t ON t.{key} = l.key
"""


@dataclass(frozen=True)
class Report:
    """What became of a run.

    Attributes:
        later: Rows written since the switch, by key in `table`; their new vectors are kept there.
        missing: Of those, how many had no old vector; the others have one, which may be out of date.
        refilled: How many the file's `refill` gave an old vector again.
        left: How many still have none: searches do not find them.
        table: Where they are listed; nothing when there are none.
        not_refilled: Why `refill` was not done, or not all of it.
        is_not_null: False when the old column was NOT NULL and cannot be so again, because of `left`.
    """

    run: int
    later: int = 0
    missing: int = 0
    refilled: int = 0
    left: int = 0
    table: str = ""
    not_refilled: str = ""
    is_not_null: bool = True


@dataclass(frozen=True)
class Settled:
    """A run that can no longer be taken back; `dropped` is what was kept of the old."""

    run: int
    state: str
    dropped: tuple[str, ...]


async def rollback(url: str, run: int) -> Report:
    """Takes a run back, also one that stopped half way; a second call goes on where the first was cut off.

    Raises:
        RefusedError: There is nothing to take back, or somebody works on it.
        WatchdogError: There is no such run, or it failed; take it back again to go on.
    """
    async with connected(url) as connection:
        with spoken(f"Run {run} is not all back; take it back again to go on"):
            return await take_back(connection, url, run)


async def take_back(connection: Connection, url: str, run: int) -> Report:
    """As `rollback`, on a connection in autocommit, with psycopg's own errors; without a URL no command is run."""
    stand = await read_stand(connection, run)
    if stand.state in {"rolled back", "settled"}:
        raise RefusedError((f"run {run} is {stand.state}: nothing to take back",))
    async with held(connection, run):
        stand = await read_stand(connection, run)
        if later := await _later(connection, stand):
            raise RefusedError((f"run {later} stands on it; take that one back first",))
        await note(connection, run, state="rolling back")
        await see_types(connection, stand.plan)
        report = await _back(connection, url, stand)
        await note(connection, run, state="rolled back", report=asdict(report))
    return report


async def settle(url: str, run: int) -> Settled:
    """Drops what is kept of the old: its column, or its indexes. It can then no longer be taken back.

    Raises:
        RefusedError: It is not finished.
        WatchdogError: There is no such run, or something still uses the old; nothing was changed.
    """
    async with connected(url) as connection:
        with spoken(f"Run {run} was not settled"):
            stand = await read_stand(connection, run)
            if stand.state in {"applying", "rolling back"}:
                raise RefusedError((f"run {run} is {stand.state}; take it back first",))
            async with held(connection, run):
                return await _settled(connection, stand)


def listed(run: int) -> sql.Identifier:
    """The table of rows that were written since the switch of a run."""
    return sql.Identifier("watchdog", f"run_{run}_vectors")


async def _back(connection: Connection, url: str, stand: Stand) -> Report:
    plan, run = stand.plan, stand.run
    stage = stand.stage
    if stage == "switched":
        await switch_back(connection, plan, run)
        stage = "back"
    report = Report(run)
    # Without a switch the new column may hold what the application wrote there since.
    if plan.has_column and stage != "listed" and await _has_snapshot(connection, run):
        async with connection.transaction():
            await _list(connection, plan, stand.migration, run)
            await note(connection, run, stage="listed")
    await take_away(connection, plan, run)
    if plan.has_column and await _is_listed(connection, run):
        report = await _refilled(connection, url, stand)
    return Report(**{**asdict(report), "is_not_null": not plan.rename or await not_null_again(connection, plan)})


async def _list(connection: Connection, plan: Plan, migration: VectorMigration, run: int) -> None:
    """Writes down which rows were written since, with their new vectors."""
    names = {**plan.names, "list": listed(run)}
    kind = sql.SQL(plan.new_type)
    await connection.execute(sql.SQL(_CREATE).format(**names, type=kind, key_type=sql.SQL(plan.key_type)))
    await sql_runs.close(connection, names["list"].as_string(connection))
    await connection.execute(sql.SQL(_LATER).format(**names, run=sql.Literal(run)))
    if migration.fill.sql and plan.rename:
        # Where the old vector still makes the new one, it is not out of date; if it cannot be told, the row stays.
        with suppress(psycopg.Error):
            async with connection.transaction():
                query = sql.SQL(_SAME).format(**names, type=kind, expression=sql.SQL(migration.fill.sql))
                await connection.execute(query)


async def _refilled(connection: Connection, url: str, stand: Stand) -> Report:
    plan, run, refill = stand.plan, stand.run, stand.migration.refill
    names = {**plan.names, "list": listed(run)}
    later, missing, refilled, left = await _counts(connection, names)
    why = ""
    if later and plan.rename and refill.is_ours:
        try:
            if refill.sql:
                await connection.execute(sql.SQL(_REFILL).format(**names, expression=sql.SQL(refill.sql)))
            elif url:
                await run_command(refill.command, url, plan, WATCHDOG_REFILL=f"watchdog.run_{run}_vectors")
            else:
                why = "a step of a playbook runs no command; run it by hand"
        except (psycopg.Error, WatchdogError) as error:  # the rollback itself is done, so this must not undo it
            why = plain(error)
        await connection.execute(sql.SQL(_REFILLED).format(**names, all=sql.Literal(not why)))
        later, missing, refilled, left = await _counts(connection, names)
    if not later:
        await connection.execute(sql.SQL("DROP TABLE {list}").format(**names))
        return Report(run)
    return Report(run, later, missing, refilled, left, f"watchdog.run_{run}_vectors", why)


async def _counts(connection: Connection, names: dict[str, sql.Composable]) -> tuple[int, int, int, int]:
    row = await (await connection.execute(sql.SQL(_COUNTS).format(**names))).fetchone()
    assert row is not None  # noqa: S101 - an aggregate answers
    return row[0], row[1], row[2], row[3]


async def _settled(connection: Connection, stand: Stand) -> Settled:
    plan, run = stand.plan, stand.run
    if stand.state != "applied":
        await connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(listed(run)))
        return Settled(run, stand.state, ())
    dropped: tuple[str, ...] = ()
    if plan.rename:
        dropped = (plan.kept,)
    elif not plan.has_column:
        dropped = plan.old_indexes
        for name in dropped:
            await drop_index(connection, plan, name)

    async def work() -> None:
        if plan.rename:
            await connection.execute(sql.SQL("ALTER TABLE {table} DROP COLUMN IF EXISTS {kept}").format(**plan.names))
        elif plan.has_column:
            await drop_trigger(connection, plan, run)
        await note(connection, run, state="settled")

    await briefly(connection, work)
    return Settled(run, "settled", dropped)


async def _later(connection: Connection, stand: Stand) -> int | None:
    """The last run on the same column that is not taken back."""
    query = """
        SELECT max(run) FROM watchdog.vector_runs WHERE run > %s AND state IN ('applying', 'applied', 'rolling back')
        AND plan ->> 'schema' = %s AND plan ->> 'table' = %s AND plan ->> 'column' = %s
    """
    plan = stand.plan
    row = await (await connection.execute(query, (stand.run, plan.schema, plan.table, plan.column))).fetchone()
    return row[0] if row else None


async def _has_snapshot(connection: Connection, run: int) -> bool:
    query = "SELECT snapshot IS NOT NULL FROM watchdog.vector_runs WHERE run = %s"
    row = await (await connection.execute(query, (run,))).fetchone()
    return bool(row and row[0])


async def _is_listed(connection: Connection, run: int) -> bool:
    query = "SELECT to_regclass(%s) IS NOT NULL"
    row = await (await connection.execute(query, (f"watchdog.run_{run}_vectors",))).fetchone()
    return bool(row and row[0])
