"""One pass over every table: how many rows, and how many of them break what the table says of itself."""

from dataclasses import dataclass
from typing import Any, Final

from psycopg import sql

from watchdog.app.procedures.place import looking
from watchdog.model.time import Span
from watchdog.probes.postgres_queries import fetch
from watchdog.targets.postgres import Connection, PostgresError, PostgresTarget

SOFT_ERRORS: Final = 160_000
"""From this server version on a value can be tried against its type without an error."""

# A domain, an enumeration; and what is said of a value that is none: not null, check, not of this type.
_TYPES_WITH_RULES: Final = frozenset("de")
_NO_SUCH_VALUE: Final = frozenset({"23502", "23514", "22P02", "22P03"})

# Rows are in leaves; they count for the table that they are partitions of. What an extension brought is its own.
_TABLES: Final = sql.SQL("""
SELECT
    place.nspname, held.relname,
    (SELECT format('%%I.%%I', top_place.nspname, top.relname)
        FROM pg_class AS top JOIN pg_namespace AS top_place ON top_place.oid = top.relnamespace
        WHERE top.oid = coalesce(pg_partition_root(held.oid), held.oid)),
    (SELECT coalesce(jsonb_agg(jsonb_build_array(
            col.attname, col.attnotnull OR kind.typnotnull, kind.typtype, format_type(col.atttypid, NULL)
        ) ORDER BY col.attnum), '[]')
        FROM pg_attribute AS col JOIN pg_type AS kind ON kind.oid = col.atttypid
        WHERE col.attrelid = held.oid AND col.attnum > 0 AND NOT col.attisdropped
            AND (col.attnotnull OR kind.typtype IN ('d', 'e'))),
    (SELECT coalesce(jsonb_agg(jsonb_build_array(own.conname, pg_get_expr(own.conbin, own.conrelid))
            ORDER BY own.conname), '[]')
        FROM pg_constraint AS own
        WHERE own.conrelid = held.oid AND own.contype = 'c'
            AND coalesce((to_jsonb(own) ->> 'conenforced')::boolean, true))
FROM pg_class AS held JOIN pg_namespace AS place ON place.oid = held.relnamespace
WHERE held.relkind = 'r' AND held.relpersistence <> 't' AND place.nspname = ANY (%s)
    AND NOT EXISTS (
        SELECT FROM pg_depend AS needs
        WHERE needs.classid = 'pg_class'::regclass AND needs.objid = held.oid AND needs.deptype = 'e'
    )
ORDER BY place.nspname, held.relname
""")

_SCHEMAS: Final = sql.SQL("""
SELECT nspname::text FROM pg_namespace
WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'watchdog') ORDER BY 1
""")


@dataclass(frozen=True)
class Column:
    """A column that says something of its values.

    Attributes:
        required: Whether it may not be null.
        kind: PostgreSQL's letter for its type; `d` for a domain, `e` for an enumeration.
    """

    name: str
    required: bool
    kind: str
    type: str


@dataclass(frozen=True)
class Table:
    """A table, or a partition.

    Attributes:
        counted_as: The table that its rows count for, quoted where it must be.
        checks: Its CHECK constraints: name and expression.
    """

    name: tuple[str, str]
    counted_as: str
    columns: tuple[Column, ...]
    checks: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Rule:
    """What a row must keep to, in words, with the expression that is true for a row that breaks it."""

    words: str
    about: str
    broken: sql.Composable


@dataclass(frozen=True)
class Counted:
    """What one pass found.

    Attributes:
        rows: By table, partitions added up.
        broken: Sentences: which rule, how many rows. By what the rule is about: `constraints` or `values`.
        unseen: Tables that could not be read, with why.
    """

    rows: dict[str, int]
    broken: dict[str, tuple[str, ...]]
    unseen: tuple[str, ...]


async def schemas(connection: Connection) -> list[str]:
    """The schemas of the application: neither the server's own nor ours."""
    return [str(name) for (name,) in await fetch(connection, _SCHEMAS)]


async def list_tables(connection: Connection) -> list[Table]:
    """Every table with rows of its own."""
    return [
        Table(
            (schema, name),
            counted_as,
            tuple(Column(*column) for column in columns),
            tuple((str(own), str(expression)) for own, expression in checks),
        )
        for schema, name, counted_as, columns, checks in await fetch(connection, _TABLES, [await schemas(connection)])
    ]


async def count(target: PostgresTarget, patience: Span, *, only_rows: bool = False) -> Counted:
    """Reads every table once; one that cannot be read does not hide the others.

    Args:
        patience: For each table.
        only_rows: Count, and look at nothing else.

    Raises:
        PostgresError: The server cannot be reached.
    """
    async with looking(target, patience) as connection:
        tables = await list_tables(connection)
        soft = connection.info.server_version >= SOFT_ERRORS
    rows: dict[str, int] = {}
    broken: dict[str, list[str]] = {"constraints": [], "values": []}
    unseen: list[str] = []
    for table in tables:
        name = ".".join(table.name)
        rules = [] if only_rows else _rules(table, soft=soft)
        try:
            async with looking(target, patience) as connection:
                [(number, *violations)] = await fetch(connection, _query(table, rules))
            if not only_rows and not soft:
                broken["values"] += [f"{name}: {said}" for said in await _tried(target, patience, table)]
        except PostgresError as error:
            unseen.append(f"{name}: {error}")
            continue
        rows[table.counted_as] = rows.get(table.counted_as, 0) + int(number)
        for rule, violated in zip(rules, violations, strict=True):
            if violated:
                broken[rule.about].append(f"{name}: {violated:,} rows break {rule.words}")
    return Counted(rows, {about: tuple(found) for about, found in broken.items()}, tuple(unseen))


async def _tried(target: PostgresTarget, patience: Span, table: Table) -> list[str]:
    """Columns with a value that is none of their type, found by the error of the first one: for older servers."""
    wrong: list[str] = []
    for column in table.columns:
        if column.kind not in _TYPES_WITH_RULES:
            continue
        query = sql.SQL("SELECT count({}::text::{}) FROM ONLY {}").format(
            sql.Identifier(column.name), sql.SQL(column.type), sql.Identifier(*table.name)
        )
        try:
            async with looking(target, patience) as connection:
                await fetch(connection, query)
        except PostgresError as error:
            if error.sqlstate not in _NO_SUCH_VALUE:
                raise
            wrong.append(f"at least 1 row breaks the type {column.type} of {column.name}")
    return wrong


def _rules(table: Table, *, soft: bool) -> list[Rule]:
    """`num_nulls` and not `IS NULL`: the planner takes the word of a NOT NULL constraint and would not look."""
    rules: list[Rule] = []
    for column in table.columns:
        name = sql.Identifier(column.name)
        if column.required:
            rules.append(Rule(f"NOT NULL of {column.name}", "constraints", sql.SQL("num_nulls({}) > 0").format(name)))
        if column.kind in _TYPES_WITH_RULES and soft:
            tried = sql.SQL("pg_input_is_valid({}::text, {}) IS FALSE").format(name, sql.Literal(column.type))
            rules.append(Rule(f"the type {column.type} of {column.name}", "values", tried))
    # The server's own text of a constraint, evaluated where it came from.
    rules += [
        Rule(f"CHECK {own}", "constraints", sql.SQL(f"({expression}) IS FALSE")) for own, expression in table.checks
    ]
    return rules


def _query(table: Table, rules: list[Rule]) -> sql.Composed:
    asked: list[Any] = [
        sql.SQL("count(*)"),
        *(sql.SQL("count(*) FILTER (WHERE {})").format(rule.broken) for rule in rules),
    ]
    return sql.SQL("SELECT {} FROM ONLY {}").format(sql.SQL(", ").join(asked), sql.Identifier(*table.name))
