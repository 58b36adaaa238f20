# ruff: noqa: S608 - SQL made of names is what this is for; each is quoted by `quote` or `literal`
"""Large tables: their archive is written while users go on writing, so that they are locked for a moment only."""

import asyncio
from collections.abc import Collection
from dataclasses import replace

import psycopg

from watchdog.migrations import changelog
from watchdog.migrations.changelog import keys_of
from watchdog.migrations.images import archive_after, archive_before, image, qualified
from watchdog.migrations.limits import recorded
from watchdog.migrations.manifest import begin, read
from watchdog.migrations.options import Options
from watchdog.migrations.paced import Hear, archive, unheard
from watchdog.migrations.renames import quote
from watchdog.migrations.runs import archives, close, register
from watchdog.migrations.session import RefusedError, plain_text
from watchdog.migrations.shape import Connection, Name, Shape
from watchdog.migrations.table_plans import TablePlan
from watchdog.migrations.undo import Learnt, Plan

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
        plain = all(column.type in changelog.KEYS for _, column in keys_of(plan))
        same = plan.kind == "gone" or (plan.kind == "rebuilt" and all(c.same_type for _, c in keys_of(plan)))
        fits = whole and same and plain and plan.key
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


async def prepare(
    production: Connection, script: str, options: Options, undo: Plan, seconds: float, hear: Hear = unheard
) -> int:
    """Enters the run as `preparing` and writes the archives of its large tables; answers with its number.

    What users write meanwhile is logged; `catch_up` brings the archives up to date under the lock.

    Raises:
        psycopg.Error: It failed, and nothing of the run is there any more.
    """
    async with production.transaction():
        run = await begin(production, script, options, seconds, state="preparing")
        # Held to the end of the session, so that nobody takes the run for one whose process died.
        await production.execute("SELECT pg_advisory_lock(hashtext('watchdog.migration_runs'), %s::int)", (run,))
    try:
        await _write_archives(production, run, undo, hear)
    except BaseException:
        await asyncio.shield(forget(production, run))
        raise
    return run


async def _write_archives(production: Connection, run: int, undo: Plan, hear: Hear) -> None:
    for index, table in _large(undo):
        types = await changelog.types_of(production, table.name)
        await _retried(production, changelog.start(run, index, table, types, before=True))
        await close(production, image(run, index, "log"))
    async with production.transaction():
        await production.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        await plain_text(production)
        for index, table in _large(undo):
            rows = await archive(production, run, index, table, hear)
            await register(production, run, image(run, index, "before"), qualified(table.name), rows)
    await production.execute("SET max_parallel_maintenance_workers = 0")
    for index, table in _large(undo):
        await index_archive(production, run, index, table)
    await production.execute("RESET max_parallel_maintenance_workers")


async def index_archive(production: Connection, run: int, index: int, table: TablePlan) -> None:
    """The key of an archive gets its index, so that a rollback finds single rows in it."""
    keys = ", ".join(f"c{n}" for n, _ in keys_of(table))
    name = image(run, index, "before")
    await production.execute(f"CREATE UNIQUE INDEX ON {name} ({keys})".encode())
    await production.execute(f"ANALYZE {name}".encode())


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
        rows = (await production.execute(archive_before(run, index, table).encode())).rowcount
    else:
        # Counting them all would take as long as the table is large, under the lock.
        first = next(one.rows for one in await archives(production, run) if one.name == before)
        await changelog.find_keys(production, run, index, table)
        outdated = f"DELETE FROM {before} s WHERE {changelog.is_key(run, index, table, 's')}"
        rows = first - (await production.execute(outdated.encode())).rowcount
        columns = ", ".join(f"t.{quote(column.name)}::text" for column in table.columns)
        cursor = await production.execute(
            f"INSERT INTO {before} SELECT {first} + row_number() OVER (), {columns}"
            f" FROM ONLY {qualified(table.name)} t {changelog.joins_live(run, index, table)}".encode()
        )
        rows += cursor.rowcount
        await production.execute(f"DROP TABLE {image(run, index, 'keys')}".encode())
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


async def end_earlier_logs(production: Connection, run: int, learnt: Learnt, undo: Plan) -> None:
    """Makes earlier runs independent of tables that this run changes: their logs become images of the whole table.

    Their trigger would go with the table, and nobody would log what users write after this run was taken back.
    """
    for earlier, index in await earlier_logs(production, run, learnt, undo):
        _, manifest = await read(production, earlier)
        table = manifest.plan.tables[index]
        if table.online and table.forward is not None:
            lock = f"LOCK TABLE ONLY {qualified(table.forward)} IN SHARE ROW EXCLUSIVE MODE"
            await production.execute(lock.encode())
            await log_to_image(production, earlier, index)
            await changelog.stop(production, earlier, index)
            await production.execute(f"DROP TABLE {image(earlier, index, 'log')}".encode())


async def earlier_logs(production: Connection, run: int, learnt: Learnt, undo: Plan) -> list[tuple[int, int]]:
    """Logs of earlier runs, as run and place in its plan, of tables that this run changes."""
    found: list[tuple[int, int]] = []
    made_anew = {table.name for table in undo.tables if table.kind in {"rebuilt", "gone"}}
    for table in learnt.shape_before.tables:
        after = learnt.shape_forward.table(table.number)
        columns = [(column.name, column.exact) for column in table.columns]
        same = after is not None and [(column.name, column.exact) for column in after.columns] == columns
        if table.name not in made_anew and same:
            continue
        found += [(earlier, index) for earlier, index in await _logs(production, table.name) if earlier != run]
    return found


async def _logs(production: Connection, name: Name) -> list[tuple[int, int]]:
    rows = await (
        await production.execute(
            """SELECT m[1]::int, m[2]::int FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid,
                    regexp_match(p.proname, '^run_([0-9]+)_([0-9]+)_log$') m
                WHERE t.tgrelid = %s::regclass AND t.tgtype & 1 = 1 AND m IS NOT NULL
                  AND p.pronamespace = to_regnamespace('watchdog')""",
            (qualified(name),),
        )
    ).fetchall()
    return [(run, index) for run, index in rows]


async def log_to_image(production: Connection, run: int, index: int) -> None:
    """Makes an image of the whole table, as it was just after the run, in place of its log, which has to be ended then.

    Args:
        production: In a transaction that sees table and log as of one moment.

    Raises:
        RefusedError: The log has a gap, or was ended before the run was.
    """
    _, manifest = await read(production, run)
    table = manifest.plan.tables[index]
    if not table.online or table.forward is None:
        return
    if (await recorded(production, run)).ended:
        raise RefusedError((f"the log of run {run} on {qualified(table.forward)} was ended; settle that run first",))
    if await changelog.has_gap(production, run, index, table):
        raise RefusedError((f"run {run} logs {qualified(table.forward)} with a gap; settle it first",))
    after = image(run, index, "after")
    await changelog.find_keys(production, run, index, table)
    entries = changelog.first_entries(run, index, table)
    await production.execute(changelog.first_states(run, index, table, entries, forward=True).encode())
    await production.execute(f"ALTER TABLE {after} RENAME TO {after.removeprefix('watchdog.')}_first".encode())
    await production.execute(archive_after(run, index, table).encode())
    await close(production, after)
    if await changelog.was_truncated(production, run, index):
        # Whatever was there is gone, and what is there is later.
        await production.execute(f"DELETE FROM {after}".encode())
        source = image(run, index, "before")
    else:
        await production.execute(f"DELETE FROM {after} s WHERE {changelog.is_key(run, index, table, 's')}".encode())
        source = f"{after}_first"
    kept = [f"c{n}" for n, _ in enumerate(table.columns)]
    kept += [f"x{n}" for n, _ in enumerate(table.added)] if source == f"{after}_first" else []
    names = ", ".join(kept)
    number = f"(SELECT coalesce(max(n), 0) FROM {after}) + n"
    await production.execute(f"INSERT INTO {after} (n, {names}) SELECT {number}, {names} FROM {source}".encode())
    await production.execute(f"DROP TABLE {after}_first, {image(run, index, 'keys')}".encode())
    row = await (await production.execute(f"SELECT count(*) FROM {after}".encode())).fetchone()
    await register(production, run, after, qualified(table.forward), int(row[0]) if row else 0)
    place = ["plan", "tables", str(index), "online"]
    await production.execute(
        "UPDATE watchdog.migration_runs SET manifest = jsonb_set(manifest, %s, 'false') WHERE id = %s", (place, run)
    )
