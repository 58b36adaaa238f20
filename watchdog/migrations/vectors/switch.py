"""The switch between old and new: renames in one short transaction, there and back."""

from psycopg import sql

from watchdog.migrations.shape import Connection
from watchdog.migrations.vectors.beside import drop_trigger
from watchdog.migrations.vectors.plan import Plan
from watchdog.migrations.vectors.runs import briefly, note

_LOCK = "LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"
_ANY_MISSING = "SELECT EXISTS (SELECT FROM {table} WHERE {new} IS NULL AND {old} IS NOT NULL)"
_ANY_NULL = "SELECT EXISTS (SELECT FROM {table} WHERE {old} IS NULL)"
_RENAME = "ALTER TABLE {table} RENAME COLUMN {one} TO {other}"
_NOT_NULL = "ALTER TABLE {table} ALTER COLUMN {one} {act} NOT NULL"


async def switch(connection: Connection, plan: Plan, run: int) -> bool:
    """Gives the new column the old one's name; False, and nothing changed, when a row has come without new vector."""
    names = plan.names

    async def work() -> bool:
        await connection.execute(sql.SQL(_LOCK).format(**names))
        if await _is_true(connection, _ANY_MISSING, plan):
            return False
        await drop_trigger(connection, plan, run)
        if plan.not_null:
            await connection.execute(sql.SQL(_NOT_NULL).format(**names, one=names["old"], act=sql.SQL("DROP")))
            await connection.execute(sql.SQL(_NOT_NULL).format(**names, one=names["new"], act=sql.SQL("SET")))
        await connection.execute(sql.SQL(_RENAME).format(**names, one=names["old"], other=names["kept"]))
        await connection.execute(sql.SQL(_RENAME).format(**names, one=names["new"], other=names["old"]))
        # Whoever wrote the table before has ended, as we hold its lock: what comes later is not in this snapshot.
        await note_snapshot(connection, run)
        await note(connection, run, state="applied", stage="switched")
        return True

    return await briefly(connection, work)


async def switch_back(connection: Connection, plan: Plan, run: int) -> None:
    """Gives the old column its name back; the new one stands beside it again, under its own."""
    names = plan.names

    async def work() -> None:
        await connection.execute(sql.SQL(_LOCK).format(**names))
        if plan.not_null:
            await connection.execute(sql.SQL(_NOT_NULL).format(**names, one=names["old"], act=sql.SQL("DROP")))
        await connection.execute(sql.SQL(_RENAME).format(**names, one=names["old"], other=names["new"]))
        await connection.execute(sql.SQL(_RENAME).format(**names, one=names["kept"], other=names["old"]))
        await note(connection, run, stage="back")

    await briefly(connection, work)


async def not_null_again(connection: Connection, plan: Plan) -> bool:
    """Makes the old column NOT NULL again, where it was and no row stands against it; whether it is as it was."""
    if not plan.not_null:
        return True

    async def work() -> bool:
        await connection.execute(sql.SQL(_LOCK).format(**plan.names))
        if await _is_true(connection, _ANY_NULL, plan):
            return False
        await connection.execute(sql.SQL(_NOT_NULL).format(**plan.names, one=plan.names["old"], act=sql.SQL("SET")))
        return True

    return await briefly(connection, work)


async def note_snapshot(connection: Connection, run: int) -> None:
    """Remembers what is committed now, so that later rows can be told."""
    await connection.execute(
        "UPDATE watchdog.vector_runs SET snapshot = pg_current_snapshot(), ended_at = clock_timestamp() WHERE run = %s",
        (run,),
    )


async def _is_true(connection: Connection, query: str, plan: Plan) -> bool:
    row = await (await connection.execute(sql.SQL(query).format(**plan.names))).fetchone()
    return bool(row and row[0])
