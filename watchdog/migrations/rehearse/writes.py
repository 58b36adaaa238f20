# ruff: noqa: S608 - SQL made of names is what this is for; each is quoted by `quote`
"""What a live application would write on any schema: copies of rows with new keys, changes, deletions."""

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, Final

import psycopg

from watchdog.migrations.images import qualified
from watchdog.migrations.rehearse.values import Written
from watchdog.migrations.renames import quote
from watchdog.migrations.shape import Connection

_ROWS: Final = 5
"""How many rows of a table are copied, and how many are changed or deleted."""
_COPIES: Final = 3
_WHOLE: Final = frozenset({"int2", "int4", "int8", "numeric", "float4", "float8"})

Column = Mapping[str, Any]


async def write(connection: Connection) -> Written:
    """Writes into every table that has rows; what a constraint or a trigger refuses is counted apart."""
    query = resources.files("watchdog.migrations.rehearse").joinpath("writes.sql").read_bytes()
    tables = await (await connection.execute(query)).fetchall()
    inserted = updated = deleted = refused = 0
    for schema, name, columns in tables:
        table = qualified((schema, name))
        rows = await (
            await connection.execute(f"SELECT tableoid, ctid::text FROM {table} LIMIT {_ROWS}".encode())
        ).fetchall()
        # The last one is deleted where there are several.
        changing, leaving = (rows[:-1], rows[-1:]) if len(rows) > 1 else (rows, [])
        for place, change in zip(changing, _changes(columns, len(changing)), strict=False):
            done = await _try(connection, f"UPDATE {table} SET {change} {_at(*place)}")
            updated, refused = updated + done, refused + (not done)
        for place in leaving:
            done = await _try(connection, f"DELETE FROM {table} {_at(*place)}")
            deleted, refused = deleted + done, refused + (not done)
        for number in range(1, min(_COPIES, len(rows)) + 1):
            done = await _try(connection, _copy(table, columns, number))
            inserted, refused = inserted + done, refused + (not done)
    return Written(inserted, updated, deleted, refused)


def _at(table: int, place: str) -> str:
    return f"WHERE tableoid = {table} AND ctid = '{place}'"


async def _try(connection: Connection, statement: str) -> int:
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL statement_timeout = '30s'")
            return (await connection.execute(statement.encode())).rowcount
    except psycopg.Error:
        return 0


def _copy(table: str, columns: Sequence[Column], number: int) -> str:
    """A copy of one row; what is unique in it becomes another value, or is left to the database."""
    used = [column for column in columns if not (column["drawn"] and column["unique"])]
    if not used:
        return f"INSERT INTO {table} DEFAULT VALUES"
    names = ", ".join(quote(column["name"]) for column in used)
    values = ", ".join(
        _new(column, table, number) if column["unique"] and not column["foreign"] else f"s.{quote(column['name'])}"
        for column in used
    )
    source = f"(SELECT * FROM {table} LIMIT 1 OFFSET {number - 1}) AS s"
    return f"INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE SELECT {values} FROM {source}"


def _new(column: Column, table: str, number: int) -> str:
    """A value that is not there yet, where the type has one."""
    name, kind = f"s.{quote(column['name'])}", column["type"]
    if column["base"] in _WHOLE:
        return f"((SELECT coalesce(max({quote(column['name'])}), 0) FROM {table}) + 1)::{kind}"
    if column["base"] == "uuid":
        return f"md5({name}::text || 'w{number}')::uuid"
    if column["category"] == "S":
        return f"('w{number}' || {name}::text)::{kind}"
    if column["category"] == "D" and column["base"] not in {"time", "timetz"}:
        return f"({name} + interval '{number} days')::{kind}"
    return name


def _changes(columns: Sequence[Column], count: int) -> list[str]:
    """As many changes as rows, over all columns that are no key, one after the other."""
    free = [column for column in columns if not column["unique"] and not column["foreign"]]
    found = [f"{quote(column['name'])} = {value}" for column in free if (value := _other(column))]
    if not found:
        return []
    # Every column is changed in some row, as far as the rows go.
    groups = [found[n::count] or found[:1] for n in range(count)]
    return [", ".join(group) for group in groups]


def _other(column: Column) -> str:
    """Another value than the row has; empty where we know none."""
    name, kind = quote(column["name"]), column["type"]
    if column["base"] in _WHOLE:
        return f"coalesce({name}, 0) + 1"
    if column["base"] == "bool":
        return f"NOT coalesce({name}, false)"
    if column["base"] in {"json", "jsonb"}:
        return f"""'{{"w": 1}}'::{kind}"""
    if column["category"] == "S" and column["base"] != "char":
        return f"('w' || coalesce({name}::text, ''))::{kind}"
    if column["category"] == "D" and column["base"] not in {"time", "timetz"}:
        return f"({name} + interval '1 day')::{kind}"
    return ""
