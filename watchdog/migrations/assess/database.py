"""What a database says about the tables of a script: read-only, from the catalog."""

from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any, Final

from watchdog.migrations.assess.facts import Column, Facts, ForeignKey, Relation
from watchdog.migrations.assess.script import Statement, read
from watchdog.migrations.assess.sqltext import condition, names, not_null_columns, strings
from watchdog.migrations.parser import postgast, tree
from watchdog.migrations.sql import Table
from watchdog.ports.secrets import KnownSecret
from watchdog.targets.postgres import Connection, PostgresOptions, PostgresTarget

_UTC: Final = frozenset({"utc", "etc/utc", "gmt", "etc/gmt", "zulu", "etc/zulu", "uct", "universal"})
_SESSION: Final = """
    SELECT coalesce(current_schema(), 'public'), current_schemas(false)::text[],
           current_setting('server_version_num')::int / 10000, lower(current_setting('TimeZone'))
"""
_QUERIES: Final = (
    "relations",
    "columns",
    "checks",
    "indexes",
    "foreign_keys",
    "publications",
    "slots",
    "views",
    "volatile",
    "attached",
)


async def facts_about(text: str, url: str) -> Facts:
    """What the database at this address says about the tables of a script.

    Raises:
        SqlSyntaxError: The script is no SQL.
        TargetError: The database cannot be reached, or refuses to tell.
    """
    target = PostgresTarget("the database", PostgresOptions(url=KnownSecret(url)))
    try:
        async with target.observe() as connection:
            return await look(connection, text)
    finally:
        await target.close()


async def look(connection: Connection, text: str) -> Facts:
    """The facts that matter for a script.

    Raises:
        SqlSyntaxError: The script is no SQL.
    """
    statements = read(text)
    cursor = await connection.execute(_SESSION)
    [(schema, path, version, zone)] = await cursor.fetchall()
    parameters = {"names": sorted(_mentioned(statements)), "functions": sorted(_functions(statements))}
    rows = {query: await _rows(connection, query, parameters) for query in _QUERIES}
    return Facts(
        known=True,
        schema=schema,
        path=tuple(path),
        version=version,
        utc=zone in _UTC,
        relations=_relations(rows),
        indexes={(space, index): (table_space, table) for space, index, table_space, table in rows["indexes"]},
        foreign_keys=tuple(
            ForeignKey(name, (a, b), (c, d), frozenset(columns)) for name, a, b, c, d, columns in rows["foreign_keys"]
        ),
        slots={name: int(held) for name, held in rows["slots"]},
        volatile=frozenset(name for (name,) in rows["volatile"]),
    )


def _mentioned(statements: Iterable[Statement]) -> set[str]:
    """Every name in it that may be a table or an index, without schemas."""
    found: set[str] = set()
    for statement in statements:
        for _, node in postgast.walk(statement.node):
            if isinstance(node, tree.RangeVar):
                found.add(node.relname)
            elif isinstance(node, tree.DropStmt):
                found.update(part for each in node.objects for part in names(each))
            elif isinstance(node, tree.CommentStmt):
                found.update(names(node.object))
    return found


def _functions(statements: Iterable[Statement]) -> set[str]:
    return {
        strings(node.funcname)[-1]
        for statement in statements
        for _, node in postgast.walk(statement.node)
        if isinstance(node, tree.FuncCall)
    }


async def _rows(connection: Connection, query: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    text = resources.files("watchdog.migrations.assess").joinpath(f"facts_{query}.sql").read_bytes()
    return await (await connection.execute(text, parameters)).fetchall()


def _relations(rows: Mapping[str, list[tuple[Any, ...]]]) -> dict[Table, Relation]:
    columns, checks = _by_table(rows["columns"]), _by_table(rows["checks"])
    publications, views = _by_table(rows["publications"]), _by_table(rows["views"])
    attached = _by_table(rows["attached"])
    return {
        (space, name): Relation(
            rows=count,
            size=int(size),
            indexes=indexes,
            partitioned=partitioned,
            partitions=tuple((each[0], each[1]) for each in below),
            columns=_columns(columns.get((space, name), []), checks.get((space, name), [])),
            publications=tuple(each for (each,) in publications.get((space, name), [])),
            views={view: frozenset(read_there) for view, read_there in views.get((space, name), [])},
            unvalidated={
                check: not_null_columns(condition(text))
                for check, valid, text in checks.get((space, name), [])
                if not valid
            },
            attached=frozenset(each for (each,) in attached.get((space, name), [])),
            parent=_table(parent),
            default=_table(default),
            beside=_table(beside),
        )
        for space, name, partitioned, count, size, indexes, below, parent, default, beside in rows["relations"]
    }


def _table(parts: list[str] | None) -> Table | None:
    return (parts[0], parts[1]) if parts else None


def _by_table(rows: list[tuple[Any, ...]]) -> dict[Table, list[tuple[Any, ...]]]:
    found: dict[Table, list[tuple[Any, ...]]] = {}
    for space, name, *rest in rows:
        found.setdefault((space, name), []).append(tuple(rest))
    return found


def _columns(rows: list[tuple[Any, ...]], checks: list[tuple[Any, ...]]) -> dict[str, Column]:
    proven = {name for _, valid, text in checks if valid for name in not_null_columns(condition(text))}
    return {
        name: Column(type_, not_null=not_null, has_default=default, proven=name in proven)
        for name, type_, not_null, default in rows
    }
