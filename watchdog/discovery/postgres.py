"""What PostgreSQL says about migrations that nobody announced: version tables, and statements under way."""

from collections.abc import Mapping
from typing import Any, Final, cast

import psycopg
from psycopg import sql

from watchdog.discovery.changes import Reading, Running, State, Version
from watchdog.discovery.kinds import DiscovererKind, Sought
from watchdog.discovery.statements import ddl_of
from watchdog.discovery.version_tables import BESIDE, TABLES, TOOLS, FoundTable, VersionTable, recognise
from watchdog.model.time import span
from watchdog.ports.clock import Clock
from watchdog.ports.kinds import Target
from watchdog.targets.postgres import Connection, PostgresError, PostgresTarget

MAX_TABLES: Final = 5_000
"""Version tables of one database that are read: where each tenant has a schema, there are many."""

MAX_ROWS: Final = 20_000
"""A longer version table is not read."""

_TABLES: Final = sql.SQL("""
SELECT place.nspname, held.relname, array_agg(named.attname::text),
    ARRAY(SELECT beside.relname::text FROM pg_class AS beside
          WHERE beside.relnamespace = held.relnamespace AND beside.relname = ANY (%(beside)s)),
    has_schema_privilege(place.oid, 'USAGE') AND has_table_privilege(held.oid, 'SELECT')
FROM pg_class AS held
JOIN pg_namespace AS place ON place.oid = held.relnamespace
JOIN pg_attribute AS named ON named.attrelid = held.oid AND named.attnum > 0 AND NOT named.attisdropped
WHERE held.relname = ANY (%(names)s) AND held.relkind IN ('r', 'p') AND held.relpersistence <> 't'
    AND place.nspname NOT IN ('pg_catalog', 'information_schema', 'watchdog')
GROUP BY place.oid, place.nspname, held.oid, held.relname, held.relnamespace
ORDER BY 1, 2 LIMIT %(limit)s
""")

# Our own sessions work on releases that are known. CREATE INDEX CONCURRENTLY takes several transactions.
_RUNNING: Final = sql.SQL("""
SELECT pid::text || ' ' || extract(epoch FROM backend_start)::text, query, application_name,
    extract(epoch FROM clock_timestamp() - least(xact_start, query_start))::float8
FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
    AND state <> 'idle' AND query_start IS NOT NULL AND application_name NOT LIKE 'watchdog%'
    AND query ~* '(create|alter|drop)\\s'
""")
_SEES_OTHERS: Final = sql.SQL("SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')")


class PostgresDiscoverer:
    """Reads one database. It only reads, and takes no lock but that of a SELECT."""

    def __init__(self, target: PostgresTarget, clock: Clock, renamed: Mapping[str, str] | None = None) -> None:
        """`renamed` says which tool a version table of another name belongs to.

        Raises:
            ValueError: A tool is none that is known.
        """
        self._target = target
        self._clock = clock
        self._renamed = dict(renamed or {})
        if unknown := sorted(set(self._renamed.values()) - set(TOOLS)):
            raise ValueError(f"{unknown[0]!r} is no tool whose tables are known; write one of {', '.join(TOOLS)}")

    async def read(self) -> Reading:
        """One look.

        Raises:
            PostgresError: The server cannot be reached or refuses, or has too many version tables.
        """
        versions: set[Version] = set()
        unread: dict[str, str] = {}
        async with self._target.observe() as connection:
            for found in await self._tables(connection):
                known = recognise(found, self._renamed)
                if known is not None:
                    versions |= await self._versions(connection, found, known, unread)
            running = await self._running(connection, unread)
        return Reading(self._clock.now(), frozenset(versions), running, unread)

    async def _tables(self, connection: Connection) -> list[FoundTable]:
        names = sorted({table.table for table in TABLES} | set(self._renamed))
        values = {"names": names, "beside": list(BESIDE), "limit": MAX_TABLES + 1}
        rows = await _fetch(connection, _TABLES, values)
        if len(rows) > MAX_TABLES:
            raise PostgresError(f"{self._target.place} has more than {MAX_TABLES} version tables; watch it in parts.")
        return [
            FoundTable(schema, table, frozenset(columns), frozenset(beside), readable)
            for schema, table, columns, beside, readable in rows
        ]

    async def _versions(
        self, connection: Connection, found: FoundTable, known: VersionTable, unread: dict[str, str]
    ) -> set[Version]:
        if not found.readable:
            unread[found.place] = f"GRANT SELECT ON {found.place} (and USAGE on its schema) to the target's user"
            return set()
        query = sql.SQL("SELECT * FROM ({}) AS versions LIMIT {}").format(
            sql.SQL(known.rows).format(table=sql.Identifier(found.schema, found.table)), sql.Literal(MAX_ROWS + 1)
        )
        try:
            rows = await _fetch(connection, query)
        except psycopg.Error as error:
            if connection.broken:
                raise
            unread[found.place] = str(self._target.translate(error))
            return set()
        if len(rows) > MAX_ROWS:
            unread[found.place] = f"{found.place} has more than {MAX_ROWS} rows; is it {known.tool}'s version table?"
            return set()
        return {
            Version(known.tool, found.place, str(key), str(name), State(state), known.heads)
            for key, name, state in rows
        }

    async def _running(self, connection: Connection, unread: dict[str, str]) -> frozenset[Running]:
        [(sees_others,)] = await _fetch(connection, _SEES_OTHERS)
        if not sees_others:
            unread["pg_stat_activity"] = "statements of others are not shown; GRANT pg_monitor to the target's user"
        statements = [(row, ddl_of(row[1])) for row in await _fetch(connection, _RUNNING)]
        return frozenset(
            Running(session, what, application, span(max(0.0, age)))
            for (session, _, application, age), what in statements
            if what is not None
        )


async def _fetch(
    connection: Connection, query: sql.Composable, values: Mapping[str, object] | None = None
) -> list[tuple[Any, ...]]:
    cursor = await connection.execute(query.as_bytes(connection), values)
    return await cursor.fetchall()


def _build(target: Target, clock: Clock, sought: Sought) -> PostgresDiscoverer:
    return PostgresDiscoverer(cast("PostgresTarget", target), clock, sought.tables)


KIND = DiscovererKind(_build, takes="tables", tools=TOOLS)
