"""Integrity of embeddings that pgvector holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, LiteralString, TypeAlias, cast

from psycopg import sql

from watchdog.model.signals import SignalKind
from watchdog.ports.kinds import ProbeKind, Resources
from watchdog.ports.probes import Readings
from watchdog.probes.postgres_queries import Connection, check_table, fetch, read_each, table_name
from watchdog.probes.readings import MAX_COUNT
from watchdog.targets.postgres import PostgresTarget

Of: TypeAlias = Literal["nulls", "wrong_dimensions", "rows_without_vector", "vectors_without_row"]

_CONDITIONS: Mapping[Of, LiteralString] = {
    "nulls": "FROM {table} WHERE {column} IS NULL",
    "wrong_dimensions": "FROM {table} WHERE vector_dims({column}) <> {dimensions}",
    "rows_without_vector": """FROM {rows} AS held WHERE NOT EXISTS (
        SELECT FROM {table} AS embedded WHERE embedded.{key} = held.{rows_key} AND embedded.{column} IS NOT NULL)""",
    "vectors_without_row": """FROM {table} AS embedded WHERE NOT EXISTS (
        SELECT FROM {rows} AS held WHERE held.{rows_key} = embedded.{key})""",
}


@dataclass(frozen=True, kw_only=True)
class PgvectorOptions:
    """Where the vectors are, and what they stand for.

    Attributes:
        table: The table of vectors, as `table` or `schema.table`.
        rows_table: The table of the rows that they stand for; may be the same.
        column: The column with the vector.
        key: The column that says which row a vector is of.
        rows_key: The key of `rows_table`.
    """

    table: str
    rows_table: str
    column: str = "embedding"
    key: str = "id"
    rows_key: str = "id"

    def __post_init__(self) -> None:
        check_table(self.table, "table")
        check_table(self.rows_table, "rows_table")


@dataclass(frozen=True, kw_only=True)
class PgvectorRead:
    """One check; its value is the number of violations, counted up to 10,000.

    Attributes:
        of: `nulls`: rows with no vector in the column; `wrong_dimensions`: vectors of another length than
            `dimensions`; `rows_without_vector` and `vectors_without_row`: what has no counterpart.
        dimensions: The length that every vector must have.
    """

    of: Of
    dimensions: int = 0

    def __post_init__(self) -> None:
        if self.of == "wrong_dimensions" and self.dimensions < 1:
            raise ValueError("wrong_dimensions needs dimensions: the length that every vector must have")


class PgvectorProbe:
    """Runs the checks one after the other on one read-only connection."""

    def __init__(self, target: PostgresTarget, options: PgvectorOptions, reads: Mapping[str, PgvectorRead]) -> None:
        self._target = target
        self._options = options
        self._reads = reads

    async def read(self) -> Readings:
        """Every check; one that fails does not hide the others.

        Raises:
            ProbeError: The server does not answer.
        """
        return await read_each(self._target, {name: partial(self._check, read) for name, read in self._reads.items()})

    async def _check(self, read: PgvectorRead, connection: Connection) -> float:
        [(count,)] = await fetch(connection, check_query(self._options, read))
        return float(count)


def check_query(options: PgvectorOptions, read: PgvectorRead) -> sql.Composed:
    """Counts the violations of one check."""
    found = sql.SQL(_CONDITIONS[read.of]).format(
        table=table_name(options.table),
        column=sql.Identifier(options.column),
        key=sql.Identifier(options.key),
        rows=table_name(options.rows_table),
        rows_key=sql.Identifier(options.rows_key),
        dimensions=sql.Literal(read.dimensions),
    )
    return sql.SQL("SELECT count(*) FROM (SELECT {} LIMIT {}) AS violations").format(found, sql.Literal(MAX_COUNT))


def _build(
    role: str, options: PgvectorOptions, reads: Mapping[str, PgvectorRead], resources: Resources
) -> PgvectorProbe:
    return PgvectorProbe(cast("PostgresTarget", resources.target(role)), options, reads)


KIND: ProbeKind[PgvectorOptions, PgvectorRead] = ProbeKind(
    name="pgvector",
    options=PgvectorOptions,
    read=PgvectorRead,
    targets=("postgres",),
    signal_kind=lambda _read: SignalKind.CHECK,
    build=_build,
)
