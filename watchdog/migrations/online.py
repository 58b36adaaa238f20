# ruff: noqa: S608 - SQL made of names is what this is for; each is quoted by `quote` or `literal`
"""Large tables: their archive is written while users go on writing, so that they are locked for a moment only."""

import asyncio
from collections.abc import Collection
from dataclasses import replace

import psycopg

from watchdog.migrations import changelog
from watchdog.migrations.changelog import keys_of
from watchdog.migrations.images import archive_before, image, qualified
from watchdog.migrations.manifest import begin
from watchdog.migrations.options import Options
from watchdog.migrations.renames import quote
from watchdog.migrations.runs import close, register
from watchdog.migrations.session import plain_text
from watchdog.migrations.shape import Connection, Shape
from watchdog.migrations.table_plans import TablePlan
from watchdog.migrations.undo import Plan

_LOCK_TRIES = 20


async def large(connection: Connection, undo: Plan, shape: Shape, least: int) -> Plan:
    """The plan with its large tables marked: those of at least so many rows whose key tells rows apart all the way.

    Args:
        least: Rows.
    """
    tables = {table.name: table for table in shape.tables}
    marked: list[TablePlan] = []
    for plan in undo.tables:
        table = tables.get(plan.name)
        whole = table is not None and table.kind == "r" and not any(c.inherited for c in table.columns)
        same = plan.kind == "gone" or (plan.kind == "rebuilt" and all(c.same_type for _, c in keys_of(plan)))
        fits = whole and same and plan.key
        is_large = bool(fits) and await _rows(connection, plan) >= least
        marked.append(replace(plan, online=True) if is_large else plan)
    return replace(undo, tables=tuple(marked))


async def _rows(connection: Connection, table: TablePlan) -> int:
    """As the planner sees it; a table that was never analysed counts by its size."""
    row = await (
        await connection.execute(
            "SELECT CASE WHEN reltuples >= 0 THEN reltuples ELSE pg_relation_size(oid) / 100 END::bigint"
            " FROM pg_class WHERE oid = %s::regclass",
            (qualified(table.name),),
        )
    ).fetchone()
    return int(row[0]) if row else 0


async def prepare(production: Connection, script: str, options: Options, undo: Plan, seconds: float) -> int:
    """Enters the run as `preparing` and writes the archives of its large tables; answers with its number.

    What users write meanwhile is logged; `catch_up` brings the archives up to date under the lock.

    Raises:
        psycopg.Error: It failed; `forget` takes away what there is of the run.
    """
    async with production.transaction():
        run = await begin(production, script, options, seconds, state="preparing")
    for index, table in _large(undo):
        types = await changelog.types_of(production, table.name)
        await _retried(production, changelog.start(run, index, table, types, before=True))
        await close(production, image(run, index, "log"))
    async with production.transaction():
        await production.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        await plain_text(production)
        for index, table in _large(undo):
            await production.execute(archive_before(run, index, table).encode())
    for index, table in _large(undo):
        keys = ", ".join(f"c{n}" for n, _ in keys_of(table))
        name = image(run, index, "before")
        await close(production, name)
        await production.execute(f"CREATE UNIQUE INDEX ON {name} ({keys})".encode())
        await production.execute(f"ANALYZE {name}".encode())
    return run


def _large(undo: Plan) -> list[tuple[int, TablePlan]]:
    return [(index, table) for index, table in enumerate(undo.tables) if table.online]


async def _retried(production: Connection, statements: Collection[str]) -> None:
    """All in one transaction that waits only shortly for its lock, so that nobody queues up behind it for long."""
    for attempt in range(_LOCK_TRIES):
        try:
            async with production.transaction():
                await production.execute("SET LOCAL lock_timeout = '300ms'")
                for statement in statements:
                    await production.execute(statement.encode())
        except psycopg.errors.LockNotAvailable:
            if attempt == _LOCK_TRIES - 1:
                raise
            await asyncio.sleep(0.5)
        else:
            return


async def catch_up(production: Connection, run: int, index: int, table: TablePlan) -> int:
    """Brings an archive up to date and ends its log; the table is locked against writes. Answers with its rows."""
    before = image(run, index, "before")
    if await changelog.was_truncated(production, run, index):
        await production.execute(f"DROP TABLE {before}".encode())
        await production.execute(archive_before(run, index, table).encode())
    else:
        await production.execute(
            f"DELETE FROM {before} s WHERE {changelog.is_touched(run, index, table, 's')}".encode()
        )
        columns = ", ".join(f"t.{quote(column.name)}::text" for column in table.columns)
        await production.execute(
            f"INSERT INTO {before} SELECT (SELECT coalesce(max(n), 0) FROM {before}) + row_number() OVER (), {columns}"
            f" FROM ONLY {qualified(table.name)} t {changelog.joins_live(run, index, table)}".encode()
        )
    row = await (await production.execute(f"SELECT count(*) FROM {before}".encode())).fetchone()
    rows = int(row[0]) if row else 0
    await register(production, run, before, qualified(table.name), rows)
    return rows


async def end_log(production: Connection, run: int, undo: Plan) -> None:
    """Ends the log of what happened before the script."""
    await changelog.stop(production, run)
    for index, _ in _large(undo):
        await production.execute(f"DROP TABLE {image(run, index, 'log')}".encode())


async def log_from_now(production: Connection, run: int, undo: Plan) -> None:
    """Begins to log what users write after the script; the tables are locked still."""
    for index, table in _large(undo):
        if table.forward is None:
            continue
        types = await changelog.types_of(production, table.forward)
        for statement in changelog.start(run, index, table, types, before=False):
            await production.execute(statement.encode())
        await close(production, image(run, index, "log"))


async def forget(production: Connection, run: int) -> None:
    """Takes away what there is of a run that was only prepared."""
    async with production.transaction():
        await changelog.stop(production, run)
        rows = await (
            await production.execute(
                "SELECT format('watchdog.%%I', relname) FROM pg_class WHERE relkind = 'r'"
                " AND relnamespace = to_regnamespace('watchdog') AND starts_with(relname, 'run_' || %s || '_')",
                (run,),
            )
        ).fetchall()
        for (name,) in rows:
            await production.execute(f"DROP TABLE {name}".encode())
        await production.execute("DELETE FROM watchdog.migration_runs WHERE id = %s", (run,))
