"""Which statements that production runs still use what is to be taken away."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

from watchdog.migrations.assess.sqltext import strings
from watchdog.migrations.parser import SqlSyntaxError, postgast, statements_of, tree
from watchdog.migrations.safe.split import Contracted
from watchdog.migrations.safe.updates import OURS
from watchdog.migrations.shape import Connection
from watchdog.ports.errors import WatchdogError

_QUERIES: Final = (tree.SelectStmt, tree.InsertStmt, tree.UpdateStmt, tree.DeleteStmt, tree.MergeStmt)
_HIDDEN: Final = "<insufficient privilege>"
_LONGEST: Final = 160
_EXTENSION: Final = """
    SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
     WHERE e.extname = 'pg_stat_statements'
"""


@dataclass(frozen=True)
class Query:
    """A statement of pg_stat_statements; its text has no values."""

    number: str
    calls: int
    text: str

    @property
    def short(self) -> str:
        """On one line, cut off."""
        line = " ".join(self.text.split())
        return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


@dataclass(frozen=True)
class Use:
    """Something to be taken away, and the statements that use it."""

    contracted: Contracted
    queries: tuple[Query, ...]


async def running(connection: Connection) -> tuple[Query, ...]:
    """The queries and writes that pg_stat_statements has of this database, those called most first.

    Raises:
        WatchdogError: It is not installed, or hides what others run.
    """
    row = await (await connection.execute(_EXTENSION)).fetchone()
    if row is None:
        raise WatchdogError(
            "pg_stat_statements is not installed in this database, so it cannot be seen what is still in use;"
            " CREATE EXTENSION it, or leave --database out."
        )
    query = sql.SQL(
        "SELECT queryid::text, sum(calls)::bigint, min(query) FROM {}.pg_stat_statements"
        " WHERE queryid IS NOT NULL AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
        " GROUP BY queryid ORDER BY 2 DESC, 1"
    ).format(sql.SQL(row[0]))
    try:
        rows = await (await connection.execute(query)).fetchall()
    except psycopg.Error as error:
        raise WatchdogError(f"pg_stat_statements cannot be read: {str(error).strip()}") from error
    if any(text == _HIDDEN for _, _, text in rows):
        raise WatchdogError("pg_stat_statements hides what others run from this user; GRANT pg_read_all_stats to it.")
    ours = ("watchdog.", OURS)
    return tuple(Query(*one) for one in rows if one[2] and not any(mark in one[2] for mark in ours))


def uses(contracted: Iterable[Contracted], queries: Sequence[Query], script: str = "") -> tuple[Use, ...]:
    """Everything that is still used, with what uses it.

    Args:
        script: The migration itself, whose own statements are nobody's use.
    """
    own = {_fingerprint(text) for text in postgast.split(script)}
    trees = [(query, tuple(_nodes(query.text))) for query in queries if _fingerprint(query.text) not in own]
    found = (Use(one, tuple(query for query, nodes in trees if _needs(nodes, one))) for one in contracted)
    return tuple(use for use in found if use.queries)


def _fingerprint(text: str) -> str:
    """The same for statements that differ in values only; empty for what is no SQL."""
    try:
        return str(postgast.fingerprint(text).hex)
    except postgast.PgQueryError:
        return ""


def _nodes(text: str) -> Iterable[Any]:
    try:
        parsed = [postgast.unwrap_node(one.stmt) for one in statements_of(text)]
    except SqlSyntaxError:
        return
    for node in parsed:
        if isinstance(node, _QUERIES):
            yield from (inner for _, inner in postgast.walk(node))


def _needs(nodes: Sequence[Any], one: Contracted) -> bool:
    if not any(isinstance(node, tree.RangeVar) and _is(node, one) for node in nodes):
        return False
    if one.demanded:
        return any(_leaves_out(node, one) for node in nodes)
    return not one.column or any(_sees(node, one.column) for node in nodes)


def _is(relation: Any, one: Contracted) -> bool:
    schema, name = one.relation
    return relation.relname == name and (not schema or not relation.schemaname or relation.schemaname == schema)


def _leaves_out(node: Any, one: Contracted) -> bool:
    """Whether it inserts rows without the column."""
    if not (isinstance(node, tree.InsertStmt) and _is(node.relation, one)):
        return False
    return bool(node.cols) and all(each.res_target.name != one.column for each in node.cols)


def _sees(node: Any, column: str) -> bool:
    match node:
        case tree.ColumnRef():
            return column in strings(node.fields)[-1:] or any(each.HasField("a_star") for each in node.fields)
        case tree.ResTarget():
            return bool(node.name == column)
        case tree.InsertStmt():
            return not node.cols
        case _:
            return False
