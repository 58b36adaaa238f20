"""How often statements run and how long they take: those that name the release's tables, and all others."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, cast

import psycopg
from psycopg import sql

from watchdog.model.signals import Cause, Labels, SignalKind
from watchdog.ports.errors import ProbeError
from watchdog.ports.kinds import ProbeKind, Resources
from watchdog.ports.probes import Readings
from watchdog.probes.postgres_queries import Connection, check_table, fetch, observing, query_error
from watchdog.targets.postgres import PostgresTarget

Of: TypeAlias = Literal["calls", "seconds"]
Name: TypeAlias = tuple[str, str]
"""Schema and table; no schema where any is meant."""

TOUCHES: Final = "touches"
TABLES: Final = "tables"
RELEASE: Final = "release"
OTHER: Final = "other"

# Ends of words as PostgreSQL reads them, whatever the locale: ASCII but letters, digits, `_`, `$`, quotes and dots.
_EDGE: Final = r"\u0001-\u0021\u0023\u0025-\u002d\u002f\u003a-\u0040\u005b-\u005e\u0060\u007b-\u007f"
# Behind comments and brackets. DDL, COPY, VACUUM and their like are jobs: one would outweigh a minute of queries.
_COUNTED: Final = (
    r"^(?:\s|\(|/\*(?:[^*]|\*+[^*/])*\*+/|--[^\n]*\n)*(?:select|insert|update|delete|merge|with|values|table)\M"
)
# Ours, and what else reads the server's own catalog.
_OURS: Final = (
    rf"/\* watchdog \*/|(?:^|[{_EDGE}])(?:watchdog|\"watchdog\")\s*\."
    rf"|(?:^|[{_EDGE}.])(?:information_schema|pg_(?:catalog|stat|locks|class|constraint|database|index|namespace))"
)

_QUOTE: Final = '\\"'

_WHERE: Final = sql.SQL("""
SELECT /* watchdog */ pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'), (
    SELECT place.nspname FROM pg_extension AS held JOIN pg_namespace AS place ON place.oid = held.extnamespace
     WHERE held.extname = 'pg_stat_statements'
), (
    SELECT has_schema_privilege(place.oid, 'USAGE') AND has_column_privilege(held.oid, 'state', 'SELECT')
           AND has_column_privilege(held.oid, 'manifest', 'SELECT')
      FROM pg_class AS held JOIN pg_namespace AS place ON place.oid = held.relnamespace
     WHERE place.nspname = 'watchdog' AND held.relname = 'migration_runs'
)
""")

_CHANGED: Final = sql.SQL("""
SELECT /* watchdog */ DISTINCT named ->> 0, named ->> 1
FROM watchdog.migration_runs AS run
CROSS JOIN unnest(ARRAY['$.plan.tables[*].name', '$.plan.tables[*].forward']::jsonpath[]) AS path
CROSS JOIN jsonb_path_query(run.manifest, path) AS named
WHERE run.state = 'applied' AND jsonb_typeof(named) = 'array'
""")

_SUMS: Final = """
SELECT /* watchdog */
    coalesce(sum(calls) FILTER (WHERE touches), 0)::float8,
    coalesce(sum(total_exec_time) FILTER (WHERE touches), 0)::float8 / 1000,
    coalesce(sum(calls) FILTER (WHERE NOT touches), 0)::float8,
    coalesce(sum(total_exec_time) FILTER (WHERE NOT touches), 0)::float8 / 1000
FROM (
    SELECT calls, total_exec_time, coalesce(query ~* %(tables)s::text, false) AS touches
    FROM {statements}
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND userid NOT IN (SELECT oid FROM pg_roles WHERE rolname = ANY (%(ignored)s))
        AND query ~* %(counted)s AND query !~* %(ours)s
) AS counted
"""

_REFUSALS: Final = {
    "55000": "pg_stat_statements is not loaded; put it in shared_preload_libraries and start the server anew",
    "42501": "its user may not read pg_stat_statements; GRANT pg_read_all_stats to it, USAGE on the extension's schema"
    " and SELECT on the view",
}


@dataclass(frozen=True, kw_only=True)
class StatementsOptions:
    """Which statements are the release's.

    Attributes:
        tables: As `table` or `schema.table`, plain names without quotes; a statement that names one of them touches
            the release. Without any, the tables that runs of `watchdog migration apply` changed which are applied.
        ignore_users: Roles whose statements are not counted: the watchdog's own, that of a nightly job.
    """

    tables: tuple[str, ...] = ()
    ignore_users: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.tables:
            check_table(name, "tables")

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of every series, beside those of its signal: found tables change, and with them what is summed."""
        return () if self.tables else (TABLES,)


@dataclass(frozen=True, kw_only=True)
class StatementsRead:
    """A counter, split by `touches`: `release` and `other`.

    Attributes:
        of: `calls`, or the `seconds` that they took.
    """

    of: Of


class StatementsProbe:
    """Sums on the server what its pg_stat_statements counted in the target's own database."""

    def __init__(self, target: PostgresTarget, options: StatementsOptions, reads: Mapping[str, StatementsRead]) -> None:
        self._target = target
        self._options = options
        self._reads = reads

    async def read(self) -> Readings:
        """Every signal out of one sum.

        Raises:
            ProbeError: The server does not answer, or does not let us see what is needed.
        """
        async with observing(self._target) as connection:
            tables, place = await self._look(connection)
            values = {
                "tables": pattern(tables),
                "ignored": list(self._options.ignore_users),
                "counted": _COUNTED,
                "ours": _OURS,
            }
            query = sql.SQL(_SUMS).format(statements=sql.Identifier(place, "pg_stat_statements"))
            try:
                [sums] = await fetch(connection, query, values)
            except psycopg.Error as error:
                if connection.broken:
                    raise
                raise self._refused(error) from error
        more: Labels = () if self._options.tables else ((TABLES, _digest(tables)),)
        release, other = (*more, (TOUCHES, RELEASE)), (*more, (TOUCHES, OTHER))
        found: Mapping[Of, Mapping[Labels, float]] = {
            "calls": {release: sums[0], other: sums[2]},
            "seconds": {release: sums[1], other: sums[3]},
        }
        return {name: found[read.of] for name, read in self._reads.items()}

    async def _look(self, connection: Connection) -> tuple[list[Name], str]:
        """The release's tables, and the schema of the extension."""
        [(privileged, place, readable)] = await fetch(connection, _WHERE)
        if place is None:
            raise self._broken(
                "there is no pg_stat_statements in this database; CREATE EXTENSION pg_stat_statements, which needs it"
                " in shared_preload_libraries"
            )
        if not privileged:
            raise self._broken("its user is not shown the statements of others; GRANT pg_read_all_stats to it")
        if self._options.tables:
            return [_name(table) for table in self._options.tables], place
        if readable is None:
            raise self._broken("no migration was ever applied by the watchdog in this database; say tables: [...]")
        if not readable:
            raise self._broken(
                "its user may not read what migrations changed; GRANT USAGE ON SCHEMA watchdog and"
                " GRANT SELECT (state, manifest) ON watchdog.migration_runs to it, or say tables: [...]"
            )
        return [(schema, table) for schema, table in await fetch(connection, _CHANGED)], place

    def _refused(self, error: psycopg.Error) -> ProbeError:
        said = _REFUSALS.get(error.sqlstate or "")
        return self._broken(said) if said else query_error(self._target.place, error)

    def _broken(self, said: str) -> ProbeError:
        return ProbeError(Cause.PROBE_BROKEN, f"target {self._target.place}: {said}")


def pattern(tables: Iterable[Name]) -> str | None:
    """A regular expression of PostgreSQL for texts that name one of these tables; None without any.

    One without schema is meant in every schema; one with it also where a text leaves it out.
    """
    by_schema: dict[str, list[str]] = {}
    for schema, name in sorted(set(tables)):
        by_schema.setdefault(schema, []).append(name)
    ways = [_before(schema) + _word(names) for schema, names in by_schema.items()]
    return rf"(?:{'|'.join(ways)})(?:$|[{_EDGE}.])" if ways else None


def _before(schema: str) -> str:
    return rf"(?:^|[{_EDGE}])(?:{_word([schema])}\s*\.\s*)?" if schema else rf"(?:^|[{_EDGE}.])"


def _word(names: Iterable[str]) -> str:
    """One of these names, quoted or not."""
    bare = "|".join(map(_escaped, names))
    return f'(?:(?:{bare})|"(?:{bare.replace(_QUOTE, _QUOTE * 2)})")'


def _escaped(text: str) -> str:
    return "".join(f"\\{c}" if c.isascii() and not c.isalnum() and c != "_" else c for c in text)


def _name(table: str) -> Name:
    schema, _, name = table.rpartition(".")
    return schema, name


def _digest(tables: Iterable[Name]) -> str:
    """Another text for other tables."""
    return hashlib.sha256(repr(sorted(tables)).encode()).hexdigest()[:12]


def _build(
    role: str, options: StatementsOptions, reads: Mapping[str, StatementsRead], resources: Resources
) -> StatementsProbe:
    return StatementsProbe(cast("PostgresTarget", resources.target(role)), options, reads)


KIND: ProbeKind[StatementsOptions, StatementsRead] = ProbeKind(
    name="statements",
    options=StatementsOptions,
    read=StatementsRead,
    targets=("postgres",),
    signal_kind=lambda _read: SignalKind.COUNTER,
    build=_build,
    labels=lambda _read: (TOUCHES,),
)
