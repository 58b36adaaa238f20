"""Reads how a database is used out of the server's own statistics."""

import re
from typing import Final

from psycopg import sql

from watchdog.app.procedures.place import looking
from watchdog.app.procedures.snapshot import Scans, Statement, Usage
from watchdog.app.procedures.tables import count, schemas
from watchdog.model.time import Span
from watchdog.probes.postgres_queries import fetch
from watchdog.targets.postgres import Connection, PostgresError, PostgresTarget

TEXT: Final = 100
"""Characters of a query that are kept."""

# Those that enforce something earn their keep without being read.
_INDEXES: Final = sql.SQL("""
SELECT format('%%I.%%I', used.schemaname, used.indexrelname), used.idx_scan
FROM pg_stat_user_indexes AS used JOIN pg_index AS held USING (indexrelid)
WHERE used.schemaname = ANY (%s) AND NOT (held.indisunique OR held.indisexclusion OR held.indisreplident)
""")
_SCANS: Final = sql.SQL("""
SELECT format('%%I.%%I', schemaname, relname), seq_scan, coalesce(idx_scan, 0), n_live_tup
FROM pg_stat_user_tables WHERE schemaname = ANY (%s)
""")
_SINCE: Final = sql.SQL(
    "SELECT coalesce(stats_reset::text, '') FROM pg_stat_database WHERE datname = current_database()"
)
_COUNTED_IN: Final = sql.SQL("""
SELECT place.nspname FROM pg_extension AS held JOIN pg_namespace AS place ON place.oid = held.extnamespace
WHERE held.extname = 'pg_stat_statements'
""")
_STATEMENTS: Final = """
SELECT queryid::text, min(query), sum(calls)::bigint, sum(total_exec_time)
FROM {statements}
WHERE queryid IS NOT NULL AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
GROUP BY queryid
"""
_LITERALS: Final = re.compile(r"'(?:[^']|'')*'?|\b\d[\w.]*")
_READS_OR_WRITES: Final = re.compile(r"\s*(select|insert|update|delete|with|merge|values|table)\b", re.IGNORECASE)


async def usage(target: PostgresTarget, patience: Span, *, counted_before: bool) -> tuple[Usage, tuple[str, ...]]:
    """How a database is used, and tables that could not be counted.

    Args:
        counted_before: Whether the rows are counted before the statistics are read, so that the scans of the counting
            are in them (a snapshot), or after, so that they are not (what is compared with it).

    Raises:
        PostgresError: The server cannot be reached.
    """
    counted = None
    if counted_before:
        counted = await count(target, patience, only_rows=True)
        # A session keeps what it has counted of itself for a second, unless told.
        async with looking(target, patience) as connection:
            await fetch(connection, sql.SQL("SELECT pg_stat_force_next_flush()"))
    async with looking(target, patience) as connection:
        names = await schemas(connection)
        await fetch(connection, sql.SQL("SELECT pg_stat_clear_snapshot()"))
        indexes = {str(name): int(scans) for name, scans in await fetch(connection, _INDEXES, [names])}
        scans = {str(name): Scans(*map(int, numbers)) for name, *numbers in await fetch(connection, _SCANS, [names])}
        [(since,)] = await fetch(connection, _SINCE)
    statements: dict[str, Statement] | None = None
    why = ""
    try:
        async with looking(target, patience) as connection:
            statements = await _statements(connection)
    except PostgresError as error:
        why = str(error)
    if statements is None:
        why = why or "the extension pg_stat_statements is not there"
    counted = counted or await count(target, patience, only_rows=True)
    return Usage(counted.rows, indexes, scans, statements, why, str(since)), counted.unseen


async def _statements(connection: Connection) -> dict[str, Statement] | None:
    place = await fetch(connection, _COUNTED_IN)
    if not place:
        return None
    query = sql.SQL(_STATEMENTS).format(statements=sql.Identifier(str(place[0][0]), "pg_stat_statements"))
    found = await fetch(connection, query)
    return {
        str(number): Statement(shown(str(text)), int(calls), float(milliseconds))
        for number, text, calls, milliseconds in found
        if text is not None and _READS_OR_WRITES.match(str(text))
    }


def shown(text: str) -> str:
    """The beginning of a query on one line. What could be a value is a question mark, whatever the server kept."""
    line = " ".join(_LITERALS.sub("?", text).split())
    return line if len(line) <= TEXT else f"{line[: TEXT - 1]}…"
