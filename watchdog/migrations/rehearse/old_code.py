"""Whether the old code works on the new schema: what it runs is prepared there, what it writes is written there."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
from psycopg import sql

from watchdog.migrations.parser import SqlSyntaxError, postgast, statements_of, tree
from watchdog.migrations.rehearsal import RecordedWrite, compatibility, try_writes
from watchdog.migrations.rehearse.values import Statement
from watchdog.migrations.shape import Connection, Name
from watchdog.model.releases import Compatibility
from watchdog.ports.errors import WatchdogError

SHOWN: Final = 5
"""How many statements that fail are named."""
_STATISTICS: Final = """
    SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
     WHERE e.extname = 'pg_stat_statements'
"""
_REQUIRED: Final = """
    SELECT n.nspname::text, c.relname::text, a.attname::text
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_type t ON t.oid = a.atttypid AND t.typdefault IS NULL
     WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull AND NOT a.atthasdef
       AND NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgtype & 7 = 7)
       AND a.attidentity = '' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'watchdog')
"""
_HIDDEN: Final = "<insufficient privilege>"
_NO_VALUE: Final = "23502"

Required = frozenset[tuple[Name, str]]


@dataclass(frozen=True)
class Trial:
    """What of the old code fails on a schema, by name: its SQLSTATE.

    Attributes:
        required: Columns that every new row must name, where no trigger may fill them.
    """

    writes: Mapping[str, str] = field(default_factory=dict)
    statements: Mapping[str, str] = field(default_factory=dict)
    required: Required = frozenset()


async def from_statistics(production: Connection) -> tuple[Statement, ...]:
    """The queries and writes that pg_stat_statements has of this database.

    Raises:
        WatchdogError: It is not installed there, or not loaded by the server.
    """
    row = await (await production.execute(_STATISTICS)).fetchone()
    if row is None:
        raise WatchdogError(
            "pg_stat_statements is not installed in this database, so it does not say what production runs;"
            " CREATE EXTENSION it, or give a list with --statements."
        )
    # Functions count their own statements apart; they are no code of the service.
    query = sql.SQL(
        "SELECT queryid::text, query FROM {}.pg_stat_statements WHERE toplevel AND queryid IS NOT NULL"
        " AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1"
    ).format(sql.SQL(row[0]))
    try:
        rows = await (await production.execute(query)).fetchall()
    except psycopg.Error as error:
        raise WatchdogError(f"pg_stat_statements cannot be read: {str(error).strip()}") from error
    if any(text == _HIDDEN for _, text in rows):
        raise WatchdogError(
            "pg_stat_statements hides what others run from this user; GRANT pg_read_all_stats to it,"
            " or give a list with --statements."
        )
    found = {f"query {number}": Statement(f"query {number}", text) for number, text in rows if text}
    return tuple(each for each in found.values() if _node(each.text) is not None)


def _node(text: str) -> Any:
    """The parse tree of one query or write; None for everything else."""
    try:
        parsed = statements_of(text)
    except SqlSyntaxError:
        return None
    if len(parsed) != 1:
        return None
    node = getattr(parsed[0].stmt, parsed[0].stmt.WhichOneof("node"))
    kinds = (tree.SelectStmt, tree.InsertStmt, tree.UpdateStmt, tree.DeleteStmt, tree.MergeStmt)
    return node if isinstance(node, kinds) else None


async def attempt(
    connection: Connection, writes: Sequence[RecordedWrite], statements: Iterable[Statement], *, keep: bool
) -> Trial:
    """Tries the old code on a copy.

    Args:
        keep: Whether what the writes have written stays.
    """
    rows = await (await connection.execute(_REQUIRED)).fetchall()
    required = frozenset(((schema, table), column) for schema, table, column in rows)
    refused = {each.name: state for each in statements if (state := await _prepare(connection, each.text))}
    return Trial(await try_writes(connection, writes, keep=keep), refused, required)


async def _prepare(connection: Connection, text: str) -> str:
    """The SQLSTATE with which a statement cannot be prepared; empty when it can."""
    if _node(text) is None:
        return "42601"
    try:
        async with connection.transaction(force_rollback=True):
            await connection.execute(f"PREPARE watchdog_rehearsal AS {text}".encode())
            await connection.execute("DEALLOCATE watchdog_rehearsal")
    except psycopg.Error as error:
        return error.sqlstate or type(error).__name__
    return ""


def judge(
    before: Trial, after: Trial, writes: Sequence[RecordedWrite], statements: Sequence[Statement]
) -> tuple[Compatibility, tuple[str, ...]]:
    """Whether the old code works on the new schema, with the reasons."""
    found = [compatibility(dict(before.writes), dict(after.writes), len(writes))] if writes else []
    if statements:
        found.append(_of_statements(before, after, statements))
    if not found:
        return Compatibility.UNKNOWN, ("nothing is known of what the old code runs: no write, no statement was given",)
    verdicts, reasons = {verdict for verdict, _ in found}, tuple(reason for _, reason in found)
    for verdict in (Compatibility.INCOMPATIBLE, Compatibility.UNKNOWN):
        if verdict in verdicts:
            return verdict, reasons
    return Compatibility.COMPATIBLE, reasons


def _of_statements(before: Trial, after: Trial, statements: Sequence[Statement]) -> tuple[Compatibility, str]:
    judged = [each for each in statements if each.name not in before.statements]
    broken = {each.name: after.statements[each.name] for each in judged if each.name in after.statements}
    new = after.required - before.required
    broken |= {each.name: _NO_VALUE for each in judged if each.name not in broken and _omits(each.text, new)}
    apart = f"; {len(statements) - len(judged)} cannot be judged" if len(judged) < len(statements) else ""
    if broken:
        names = ", ".join(f"{name} ({state})" for name, state in list(broken.items())[:SHOWN])
        more = f" and {len(broken) - SHOWN} more" if len(broken) > SHOWN else ""
        return Compatibility.INCOMPATIBLE, f"statements of the old code fail on the new schema: {names}{more}{apart}"
    if not judged:
        return Compatibility.UNKNOWN, f"no statement of the old code could be prepared on the old schema{apart}"
    return Compatibility.COMPATIBLE, f"all {len(judged)} statements of the old code prepare on the new schema{apart}"


def _omits(text: str, required: Required) -> bool:
    """Whether an INSERT names its columns and leaves out one that every row must have now."""
    for _, node in postgast.walk(_node(text)):
        if isinstance(node, tree.InsertStmt) and node.cols:
            named = {column.res_target.name for column in node.cols}
            where = node.relation.schemaname, node.relation.relname
            if any(column not in named and where in {table, ("", table[1])} for table, column in required):
                return True
    return False
