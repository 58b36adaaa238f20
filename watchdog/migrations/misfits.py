# ruff: noqa: S608 - SQL made of names is what this is for; each is quoted by `quote` or `literal`
"""Rows that users wrote and the old table does not take: found one by one, and kept in quarantine with the reason."""

from typing import Final

from watchdog.migrations.images import as_json, image, qualified, refill
from watchdog.migrations.renames import literal
from watchdog.migrations.shape import Connection
from watchdog.migrations.table_plans import TablePlan

DECLARED: Final = "why text; asked text; code text;"
DIAGNOSE: Final = """GET STACKED DIAGNOSTICS why = CONSTRAINT_NAME, asked = COLUMN_NAME, code = RETURNED_SQLSTATE;
        why := coalesce(nullif(why, ''), nullif(asked, ''));"""
"""In an exception handler of PL/pgSQL: `why` is the constraint or column that was violated, `code` the SQLSTATE."""
_REQUIRED: Final = """
    SELECT a.attname::text, c.relname::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
      JOIN pg_type t ON t.oid = a.atttypid
     WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND a.attnotnull AND NOT a.atthasdef AND a.attidentity = ''
       AND t.typtype <> 'd' ORDER BY a.attnum
"""


def refill_one_by_one(run: int, index: int, table: TablePlan, origin: str) -> str:
    """As `refill`, but what does not fit goes to quarantine with its reason; a changed row comes back as before."""
    one = refill(run, index, table, where=origin) + " AND s.ln = r.ln"
    back = f"{refill(run, index, table, 'before')} WHERE {_same_row(table)};" if origin == "changed" else ""
    live = image(run, index, "live")
    return f"""
    CREATE INDEX IF NOT EXISTS run_{run}_{index}_live_n ON {live} (n);
    {
        _loop(
            run,
            index,
            origin,
            one,
            f'''
        {DIAGNOSE}
        INSERT INTO watchdog.migration_quarantine (run, "table", reason, sqlstate, about, "row")
        SELECT {run}, {literal(qualified(table.name))}, SQLERRM, code, why, {as_json(table, "l")}
          FROM {live} l WHERE l.n = r.ln;
        {back}''',
        )
    }"""


def fit_one_by_one(run: int, index: int, table: TablePlan, origin: str, into: str, mark: str) -> str:
    """As `refill` into another table, but what does not fit stays out, and gets `mark` as its origin in the result."""
    one = refill(run, index, table, where=origin, into=into) + " AND s.ln = r.ln"
    result = image(run, index, "result")
    return _loop(run, index, origin, one, f"UPDATE {result} SET origin = {literal(mark)} WHERE ln = r.ln;")


def _loop(run: int, index: int, origin: str, one: str, otherwise: str) -> str:
    result = image(run, index, "result")
    return f"""
    CREATE INDEX IF NOT EXISTS run_{run}_{index}_result_ln ON {result} (ln);
    DO $watchdog$ DECLARE r record; {DECLARED} BEGIN
        FOR r IN SELECT * FROM {result} WHERE origin = {literal(origin)} ORDER BY ln LOOP
            BEGIN
                {one};
            EXCEPTION WHEN OTHERS THEN
                {otherwise}
            END;
        END LOOP;
    END $watchdog$"""


def _same_row(table: TablePlan) -> str:
    """That a row `s` of before is the row `r` of the result: by the key, as it has an index in a large archive."""
    by_key = [f"s.c{n} = r.c{n}" for n, column in enumerate(table.columns) if column.name in table.key]
    return " AND ".join([*by_key, "s.n = r.bn"])


async def quarantine_incomplete(connection: Connection, run: int, index: int, table: TablePlan) -> None:
    """Sets aside at once all later rows without a value that the old table requires: there may be many."""
    result = image(run, index, "result")
    for condition, name, why in await _incomplete(connection, table, qualified(table.name)):
        await connection.execute(
            f"WITH gone AS (DELETE FROM {result} s WHERE origin = 'later' AND {condition} RETURNING ln)"
            ' INSERT INTO watchdog.migration_quarantine (run, "table", reason, sqlstate, about, "row")'
            f" SELECT {run}, {literal(qualified(table.name))}, {literal(why)}, '23502', {literal(name)},"
            f" {as_json(table, 'l')}"
            f" FROM gone JOIN {image(run, index, 'live')} l ON l.n = gone.ln".encode()
        )


async def mark_incomplete(connection: Connection, run: int, index: int, table: TablePlan, into: str, mark: str) -> None:
    """As `quarantine_incomplete`, but the rows only get `mark` as their origin in the result.

    Args:
        into: The table that is to take them, as SQL.
    """
    for condition, *_ in await _incomplete(connection, table, into):
        await connection.execute(
            f"UPDATE {image(run, index, 'result')} s SET origin = {literal(mark)}"
            f" WHERE origin = 'later' AND {condition}".encode()
        )


async def _incomplete(connection: Connection, table: TablePlan, into: str) -> list[tuple[str, str, str]]:
    """For each required column: which rows `s` of the result lack its value, its name, how PostgreSQL says it."""
    columns = {column.name: (n, column) for n, column in enumerate(table.columns)}
    rows = await (await connection.execute(_REQUIRED, (into,))).fetchall()
    found: list[tuple[str, str, str]] = []
    for name, relation in rows:
        n, column = columns[name]
        why = f'null value in column "{name}" of relation "{relation}" violates not-null constraint'
        found.append(("true" if column.forward is None else f"s.c{n} IS NULL", name, why))
    return found
