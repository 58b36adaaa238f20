"""Reads from a database what decides whether a statement has a safe form."""

from collections.abc import Iterable, Iterator
from importlib import resources
from typing import Any, Final

from watchdog.migrations.assess.script import Statement, read
from watchdog.migrations.assess.sqltext import strings
from watchdog.migrations.parser import postgast, tree
from watchdog.migrations.safe.values import Column, Facts, Relation
from watchdog.migrations.shape import Connection

# They depend on settings, which do not change while a run lasts, but neither on the clock nor on tables.
_SETTLED: Final = frozenset(
    {
        "array_to_string", "concat", "concat_ws", "date", "date_part", "date_trunc", "extract", "format",
        "json_build_object", "jsonb_build_object", "quote_literal", "quote_nullable", "row_to_json", "timezone",
        "to_char", "to_date", "to_json", "to_jsonb", "to_number", "to_timestamp", "to_tsvector",
    }
)  # fmt: skip
_STEADY: Final = """
    SELECT proname::text FROM pg_proc p WHERE proname = ANY (%s::text[])
     GROUP BY proname HAVING bool_and(provolatile = 'i' AND prokind = 'f'
                                      OR provolatile = 's' AND pronamespace = 'pg_catalog'::regnamespace
                                         AND proname = ANY (%s::text[]))
"""
_OPERATORS: Final = "SELECT DISTINCT oprname::text FROM pg_operator WHERE oprnamespace <> 'pg_catalog'::regnamespace"
_TAKEN: Final = """
    SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
"""


async def facts_about(connection: Connection, script: str) -> Facts:
    """What the database of the connection says about a script's tables and functions.

    Raises:
        SqlSyntaxError: It is no SQL.
    """
    statements = read(script)
    names = sorted(_mentioned(statements, tree.RangeVar, "relname"))
    functions = sorted(strings(node.funcname)[-1] for node in _nodes(statements, tree.FuncCall))
    path = await (await connection.execute("SELECT current_schemas(false)::text[]")).fetchone()
    query = resources.files("watchdog.migrations.safe").joinpath("facts.sql").read_bytes()
    rows = await (await connection.execute(query, {"names": names})).fetchall()
    steady = await (await connection.execute(_STEADY, (functions, sorted(_SETTLED)))).fetchall()
    operators = await (await connection.execute(_OPERATORS)).fetchall()
    taken = await (await connection.execute(_TAKEN)).fetchall()
    return Facts(
        path=tuple(path[0]) if path else (),
        relations={
            (schema, name): Relation(
                kind, {each: Column(**told) for each, told in columns.items()}, tuple(key), frozenset(unique),
                tuple(reacts), frozenset(constraints),
            )
            for schema, name, kind, columns, key, unique, reacts, constraints in rows
        },
        taken=frozenset((schema, name) for schema, name in taken),
        steady=frozenset(name for (name,) in steady),
        operators=frozenset(name for (name,) in operators),
    )  # fmt: skip


def _mentioned(statements: Iterable[Statement], kind: type, attribute: str) -> set[str]:
    return {getattr(node, attribute) for node in _nodes(statements, kind)}


def _nodes(statements: Iterable[Statement], kind: type) -> Iterator[Any]:
    for statement in statements:
        for _, node in postgast.walk(statement.node):
            if isinstance(node, kind):
                yield node
