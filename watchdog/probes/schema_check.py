"""Health checks of a PostgreSQL schema: versions, constraints, indexes, orphaned rows, objects that must be there."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, TypeAlias, cast

from psycopg import sql

from watchdog.model.signals import SignalKind
from watchdog.ports.kinds import ProbeKind, Resources
from watchdog.ports.probes import Readings
from watchdog.probes.foreign_keys import count_orphans, list_foreign_keys
from watchdog.probes.postgres_queries import Connection, check_table, fetch, read_each, table_name
from watchdog.targets.postgres import PostgresTarget

Of: TypeAlias = Literal[
    "constraints_not_validated",
    "invalid_indexes",
    "unused_indexes",
    "schema_version_missing",
    "foreign_key_orphans",
    "missing_objects",
]

# A constraint that is NOT ENFORCED on purpose (PostgreSQL 18) is never validated; older servers lack the column.
_NOT_VALIDATED: Final = sql.SQL("""
SELECT count(*)
FROM pg_constraint AS held JOIN pg_namespace AS place ON place.oid = held.connamespace
WHERE NOT held.convalidated AND place.nspname = ANY (%s)
    AND coalesce((to_jsonb(held) ->> 'conenforced')::boolean, true)
""")

# An index under construction by CREATE INDEX CONCURRENTLY is not valid yet, which is no fault.
_INVALID_INDEXES: Final = sql.SQL("""
SELECT count(*)
FROM pg_index AS held
JOIN pg_class AS named ON named.oid = held.indexrelid
JOIN pg_namespace AS place ON place.oid = named.relnamespace
WHERE place.nspname = ANY (%s) AND NOT (held.indisvalid AND held.indisready)
    AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index AS building WHERE building.index_relid = held.indexrelid)
""")

# An index that enforces something earns its keep without being read.
_UNUSED_INDEXES: Final = sql.SQL("""
SELECT count(*)
FROM pg_stat_user_indexes AS used JOIN pg_index AS held USING (indexrelid)
WHERE used.schemaname = ANY (%(schemas)s) AND used.idx_scan = 0
    AND CASE
        WHEN cardinality(%(objects)s::text[]) > 0
            THEN ARRAY[used.indexrelname, used.schemaname || '.' || used.indexrelname]::text[] && %(objects)s::text[]
        ELSE NOT (held.indisunique OR held.indisexclusion OR held.indisreplident)
    END
""")

_VERSIONS_MISSING: Final = """
SELECT count(*) FROM unnest(%s::text[]) AS wanted (version)
WHERE NOT EXISTS (SELECT FROM {table} WHERE {column}::text = wanted.version)
"""

_OBJECTS_MISSING: Final = sql.SQL("""
SELECT count(*)
FROM unnest(%(places)s::text[], %(names)s::text[], %(columns)s::text[]) AS wanted (place, name, column_name)
WHERE NOT EXISTS (
    SELECT
    FROM pg_class AS named JOIN pg_namespace AS place ON place.oid = named.relnamespace
    WHERE named.relname = wanted.name
        AND CASE WHEN wanted.place = '' THEN place.nspname = ANY (%(schemas)s) ELSE place.nspname = wanted.place END
        AND (wanted.column_name = '' OR EXISTS (
            SELECT FROM pg_attribute AS held
            WHERE held.attrelid = named.oid AND held.attname = wanted.column_name AND held.attnum > 0
                AND NOT held.attisdropped
        ))
)
""")


@dataclass(frozen=True, kw_only=True)
class SchemaCheckOptions:
    """Where to look.

    Attributes:
        schemas: The schemas that are checked.
    """

    schemas: tuple[str, ...] = ("public",)

    def __post_init__(self) -> None:
        if not all(self.schemas) or not self.schemas:
            raise ValueError("schemas must name at least one schema")


@dataclass(frozen=True, kw_only=True)
class SchemaCheckRead:
    """One check; its value is the number of violations.

    Attributes:
        of: `constraints_not_validated`; `invalid_indexes` (a build that failed); `unused_indexes` (never scanned since
            the statistics were reset: those in `objects`, or all that enforce nothing); `schema_version_missing` (of
            `versions`, not in `table`); `foreign_key_orphans` (rows whose referenced row is not there, up to 10,000 a
            constraint); `missing_objects` (of `objects`).
        versions: Versions that must have been recorded.
        table: Where versions are recorded.
        column: The column with the version in it.
        constraints: Foreign keys to count orphans of: only the `not_valid` ones (PostgreSQL vouches for the others),
            or `all`, which reads every referencing table.
        objects: Tables, views, sequences or indexes as `name` or `schema.name`, columns as `schema.table.column`;
            plain names without quotes.
    """

    of: Of
    versions: tuple[str, ...] = ()
    table: str = "schema_versions"
    column: str = "version"
    constraints: Literal["not_valid", "all"] = "not_valid"
    objects: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_table(self.table, "table")
        if self.of == "schema_version_missing" and not self.versions:
            raise ValueError("schema_version_missing needs versions: the versions that must be there")
        if self.of == "missing_objects" and not self.objects:
            raise ValueError("missing_objects needs objects: the tables, indexes and columns that must be there")
        for name in self.objects:
            if not all(name.split(".")) or name.count(".") > 2:
                raise ValueError(f"objects: {name!r} is no name; write name, schema.name or schema.table.column")


class SchemaCheckProbe:
    """Runs the checks one after the other on one read-only connection."""

    def __init__(
        self, target: PostgresTarget, options: SchemaCheckOptions, reads: Mapping[str, SchemaCheckRead]
    ) -> None:
        self._target = target
        self._schemas = list(options.schemas)
        self._reads = reads
        self._checks: Mapping[Of, Callable[[SchemaCheckRead, Connection], Awaitable[float]]] = {
            "constraints_not_validated": self._constraints_not_validated,
            "invalid_indexes": self._invalid_indexes,
            "unused_indexes": self._unused_indexes,
            "schema_version_missing": self._versions_missing,
            "foreign_key_orphans": self._orphans,
            "missing_objects": self._objects_missing,
        }

    async def read(self) -> Readings:
        """Every check; one that fails does not hide the others.

        Raises:
            ProbeError: The server does not answer.
        """
        checks = {name: partial(self._checks[read.of], read) for name, read in self._reads.items()}
        return await read_each(self._target, checks)

    async def _constraints_not_validated(self, _read: SchemaCheckRead, connection: Connection) -> float:
        return await _count(connection, _NOT_VALIDATED, [self._schemas])

    async def _invalid_indexes(self, _read: SchemaCheckRead, connection: Connection) -> float:
        return await _count(connection, _INVALID_INDEXES, [self._schemas])

    async def _unused_indexes(self, read: SchemaCheckRead, connection: Connection) -> float:
        return await _count(connection, _UNUSED_INDEXES, {"schemas": self._schemas, "objects": list(read.objects)})

    async def _versions_missing(self, read: SchemaCheckRead, connection: Connection) -> float:
        query = sql.SQL(_VERSIONS_MISSING).format(table=table_name(read.table), column=sql.Identifier(read.column))
        return await _count(connection, query, [list(read.versions)])

    async def _orphans(self, read: SchemaCheckRead, connection: Connection) -> float:
        keys = await list_foreign_keys(connection, self._schemas, validated=read.constraints == "all")
        return float(sum([await count_orphans(connection, key) for key in keys]))

    async def _objects_missing(self, read: SchemaCheckRead, connection: Connection) -> float:
        parts = [_object_parts(name) for name in read.objects]
        places, names, columns = (list(column) for column in zip(*parts, strict=True))
        values = {"places": places, "names": names, "columns": columns, "schemas": self._schemas}
        return await _count(connection, _OBJECTS_MISSING, values)


def _object_parts(name: str) -> tuple[str, str, str]:
    """Schema, relation and column; empty where not said."""
    match name.split("."):
        case [place, relation, column]:
            return place, relation, column
        case [place, relation]:
            return place, relation, ""
        case _:
            return "", name, ""


async def _count(
    connection: Connection, query: sql.Composable, values: list[list[str]] | dict[str, list[str]]
) -> float:
    [(count,)] = await fetch(connection, query, values)
    return float(count)


def _build(
    role: str, options: SchemaCheckOptions, reads: Mapping[str, SchemaCheckRead], resources: Resources
) -> SchemaCheckProbe:
    return SchemaCheckProbe(cast("PostgresTarget", resources.target(role)), options, reads)


KIND: ProbeKind[SchemaCheckOptions, SchemaCheckRead] = ProbeKind(
    name="schema_check",
    options=SchemaCheckOptions,
    read=SchemaCheckRead,
    targets=("postgres",),
    signal_kind=lambda _read: SignalKind.CHECK,
    build=_build,
)
