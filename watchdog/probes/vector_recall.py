"""How many of the true nearest neighbours a live pgvector index still finds: recall@k on a held sample of queries."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal, cast

from psycopg import sql

from watchdog.migrations.session import RefusedError
from watchdog.migrations.vectors.file import OPERATORS, Recall
from watchdog.migrations.vectors.plan import Plan
from watchdog.migrations.vectors.recall import Space, measure
from watchdog.model.signals import Cause, SignalKind
from watchdog.ports.errors import ProbeError
from watchdog.ports.kinds import ProbeKind, Resources
from watchdog.ports.probes import Readings
from watchdog.probes.postgres_queries import Connection, check_table, fetch, read_each, table_name
from watchdog.targets.postgres import PostgresTarget

MAX_K: Final = 1_000
MAX_QUERIES: Final = 200
"""Each reads the whole table once: that is what makes it exact."""

_SETTING: Final = re.compile(r"(hnsw|ivfflat)\.\w{1,40}")
_WHERE: Final = sql.SQL("""
SELECT place.nspname, held.relname, named.typname, types.nspname, indexed.relname IS NOT NULL
FROM pg_class AS held
JOIN pg_namespace AS place ON place.oid = held.relnamespace
JOIN pg_attribute AS found ON found.attrelid = held.oid AND found.attname = %(column)s AND NOT found.attisdropped
JOIN pg_type AS named ON named.oid = found.atttypid
JOIN pg_namespace AS types ON types.oid = named.typnamespace
LEFT JOIN (pg_index AS i JOIN pg_class AS indexed ON indexed.oid = i.indexrelid)
    ON i.indrelid = held.oid AND indexed.relname = %(index)s AND i.indisvalid
WHERE held.oid = to_regclass(%(table)s)
""")
# By a hash of the key: the same rows at every reading, as long as they are there.
_SAMPLE: Final = sql.SQL("""
SELECT {key}::text, {column}::text FROM {table} WHERE {column} IS NOT NULL
ORDER BY hashtext({key}::text), {key} LIMIT {limit}
""")


@dataclass(frozen=True, kw_only=True)
class VectorRecallOptions:
    """Which vectors.

    Attributes:
        table: As `table` or `schema.table`.
        column: The column with the vector.
        key: The column that tells rows apart.
    """

    table: str
    column: str = "embedding"
    key: str = "id"

    def __post_init__(self) -> None:
        check_table(self.table, "table")


@dataclass(frozen=True, kw_only=True)
class VectorRecallRead:
    """A gauge from 0 to 1: the mean share of the `k` true nearest neighbours that the index finds.

    Attributes:
        index: The index that must be used; a search that goes without it has no value.
        distance: What the service orders by: `l2`, `ip`, `cosine`, `l1`.
        k: How many neighbours the service asks for.
        queries: How many rows are looked for, always the same. Each one reads the whole table, so keep it small and
            the interval long on large tables.
        settings: Of the service's sessions, such as `hnsw.ef_search`.
    """

    index: str
    distance: Literal["l2", "ip", "cosine", "l1"] = "cosine"
    k: int = 10
    queries: int = 10
    settings: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 1 <= self.k <= MAX_K or not 1 <= self.queries <= MAX_QUERIES:
            raise ValueError(f"k must be from 1 to {MAX_K}, queries from 1 to {MAX_QUERIES}")
        if self.distance not in OPERATORS:
            raise ValueError(f"distance must be one of {', '.join(OPERATORS)}")
        for name in self.settings:
            if not _SETTING.fullmatch(name):
                raise ValueError(f"settings: {name!r} is no setting of pgvector; write one such as hnsw.ef_search")


class VectorRecallProbe:
    """Measures on one read-only connection."""

    def __init__(
        self, target: PostgresTarget, options: VectorRecallOptions, reads: Mapping[str, VectorRecallRead]
    ) -> None:
        self._target = target
        self._options = options
        self._reads = reads

    async def read(self) -> Readings:
        """Every index; one that fails does not hide the others.

        Raises:
            ProbeError: The server does not answer.
        """
        return await read_each(self._target, {name: partial(self._recall, read) for name, read in self._reads.items()})

    async def _recall(self, read: VectorRecallRead, connection: Connection) -> float:
        plan, kind = await self._plan(read, connection)
        query = _SAMPLE.format(
            key=sql.Identifier(self._options.key),
            column=sql.Identifier(self._options.column),
            table=plan.relation,
            limit=sql.Literal(read.queries),
        )
        looked = [(str(key), str(vector)) for key, vector in await fetch(connection, query)]
        if not looked:
            raise ProbeError(Cause.NO_TRAFFIC, f"{self._options.table} has no vector to look for")
        wanted = Recall(read.k, read.queries, "", 0.0, dict(read.settings))
        space = Space(self._options.column, kind, read.distance, index=read.index)
        try:
            return await measure(connection, plan, wanted, space, looked)
        except RefusedError as error:
            raise ProbeError(
                Cause.PROBE_BROKEN,
                f"{error.reasons[0]}; look whether it is there, and made for distance {read.distance}",
            ) from error

    async def _plan(self, read: VectorRecallRead, connection: Connection) -> tuple[Plan, str]:
        """Names of everything, and the vectors' type."""
        options = self._options
        quoted = table_name(options.table).as_string(connection)
        values = {"table": quoted, "column": options.column, "index": read.index}
        rows: list[tuple[Any, ...]] = await fetch(connection, _WHERE, values)
        if not rows:
            raise ProbeError(Cause.PROBE_BROKEN, f"there is no column {options.column} in a table {options.table}")
        [(schema, table, kind, types, is_there)] = rows
        if not is_there:
            raise ProbeError(Cause.PROBE_BROKEN, f"{options.table} has no valid index {read.index}; was it dropped?")
        plan = Plan(
            schema=schema,
            table=table,
            types=types,
            key=options.key,
            key_type="",
            column=options.column,
            new=options.column,
            kept=options.column,
            new_type=kind,
            index=read.index,
            old_indexes=(),
            old_distance=read.distance,
            new_distance=read.distance,
            not_null=False,
            rename=False,
        )
        return plan, kind


def _build(
    role: str, options: VectorRecallOptions, reads: Mapping[str, VectorRecallRead], resources: Resources
) -> VectorRecallProbe:
    return VectorRecallProbe(cast("PostgresTarget", resources.target(role)), options, reads)


KIND: ProbeKind[VectorRecallOptions, VectorRecallRead] = ProbeKind(
    name="vector_recall",
    options=VectorRecallOptions,
    read=VectorRecallRead,
    targets=("postgres",),
    signal_kind=lambda _read: SignalKind.GAUGE,
    build=_build,
)
