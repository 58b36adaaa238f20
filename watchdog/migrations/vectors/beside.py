"""What stands beside the old: the new column with the trigger that keeps it true, and the new index."""

from contextlib import suppress

import psycopg
from psycopg import sql

from watchdog.migrations.shape import Connection
from watchdog.migrations.vectors.file import Fill, Index
from watchdog.migrations.vectors.plan import Plan
from watchdog.migrations.vectors.runs import briefly
from watchdog.ports.errors import WatchdogError

# A row that is written while the column is filled: its new vector follows, or is missing and filled again. An error of
# the expression must not become an error of the application.
_BODY = """
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.{new} IS NULL AND NEW.{old} IS NOT NULL THEN NEW.{new} := {value}; END IF;
    ELSIF NEW.{old} IS DISTINCT FROM OLD.{old} AND NEW.{new} IS NOT DISTINCT FROM OLD.{new} THEN
        NEW.{new} := {value};
    END IF;
    RETURN NEW;
EXCEPTION WHEN OTHERS THEN
    NEW.{new} := NULL;
    RETURN NEW;
END
"""
_TRIES = 10
_IS_VALID = "SELECT i.indisvalid FROM pg_index i WHERE i.indexrelid = to_regclass(%s)"


async def add_column(connection: Connection, plan: Plan, run: int, fill: Fill) -> None:
    """Adds the column and its trigger in one short transaction; both may be there. Raises WatchdogError."""

    async def work() -> None:
        await connection.execute(
            sql.SQL("ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {new} {types}.{type}").format(
                **plan.names, type=sql.SQL(plan.new_type)
            )
        )
        value: sql.Composable = sql.SQL("NULL")
        if fill.sql:
            value = sql.SQL("(SELECT ({expression}\n) FROM (SELECT NEW.*) AS {row})").format(
                expression=sql.SQL(fill.sql), row=sql.Identifier(plan.table)
            )
        body = sql.SQL(_BODY).format(**plan.names, value=value).as_string(connection)
        path = await (await connection.execute("SELECT current_setting('search_path')")).fetchone()
        await connection.execute(
            sql.SQL(
                "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql"
                " SET search_path TO {path}, {types} AS {body}"
            ).format(
                function=_function(run),
                path=sql.SQL(path[0] if path else "public"),
                body=body,
                types=plan.names["types"],
            )
        )
        await connection.execute(
            sql.SQL(
                "CREATE OR REPLACE TRIGGER {trigger} BEFORE INSERT OR UPDATE ON {table}"
                " FOR EACH ROW EXECUTE FUNCTION {function}()"
            ).format(trigger=_trigger(run), table=plan.relation, function=_function(run))
        )

    await briefly(connection, work)


async def build_index(connection: Connection, plan: Plan, index: Index) -> None:
    """Builds the index while users write, unless it is there; what is left INVALID of an earlier try goes first."""
    name = plan.of_schema(plan.index)
    row = await (await connection.execute(_IS_VALID, (name.as_string(connection),))).fetchone()
    if row and row[0]:
        return
    if row:
        await drop_index(connection, plan, plan.index)
    options = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.SQL(value)) for name, value in index.options.items()
    )
    await connection.execute(
        sql.SQL(
            "CREATE INDEX CONCURRENTLY {index} ON {table} USING {method} ({new} {types}.{operators}){options}"
        ).format(
            **plan.names,
            index=sql.Identifier(plan.index),
            method=sql.SQL(index.method),
            operators=sql.Identifier(index.operators),
            options=sql.SQL(" WITH ({})").format(options) if index.options else sql.SQL(""),
        )
    )


async def drop_index(connection: Connection, plan: Plan, name: str) -> None:
    """Drops an index while users write, if it is there; a try that is cut off leaves it INVALID for the next."""
    for _ in range(_TRIES):
        with suppress(psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            await connection.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(plan.of_schema(name)))
            return
    raise WatchdogError(f"Index {name} could not be dropped: a transaction that has begun before does not end.")


async def take_away(connection: Connection, plan: Plan, run: int) -> None:
    """Takes away whatever stands beside the old; nobody waits for long. Raises WatchdogError."""
    if not plan.has_column:
        await drop_index(connection, plan, plan.index)
        return

    async def work() -> None:
        await drop_trigger(connection, plan, run)
        await connection.execute(sql.SQL("ALTER TABLE {table} DROP COLUMN IF EXISTS {new}").format(**plan.names))

    await briefly(connection, work)


async def drop_trigger(connection: Connection, plan: Plan, run: int) -> None:
    """Ends the keeping of the new column, in the caller's transaction."""
    await connection.execute(
        sql.SQL("DROP TRIGGER IF EXISTS {trigger} ON {table}").format(trigger=_trigger(run), table=plan.relation)
    )
    await connection.execute(sql.SQL("DROP FUNCTION IF EXISTS {function}()").format(function=_function(run)))


def _function(run: int) -> sql.Identifier:
    return sql.Identifier("watchdog", f"vectors_run_{run}")


def _trigger(run: int) -> sql.Identifier:
    return sql.Identifier(f"watchdog_vectors_{run}")
