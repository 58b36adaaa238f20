"""Rows that reference a row that is not there, for each foreign key of a PostgreSQL schema."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from psycopg import sql

from watchdog.probes.postgres_queries import Connection, fetch
from watchdog.probes.readings import MAX_COUNT

# Only a partitioned table's own constraint, which covers its partitions. A key over a period (PostgreSQL 18) compares
# ranges, not equality, and is left out.
_FOREIGN_KEYS: Final = sql.SQL("""
SELECT
    held.conname,
    ARRAY[place.nspname, child.relname], child.relkind = 'p',
    ARRAY[parent_place.nspname, parent.relname], parent.relkind = 'p',
    held.confmatchtype = 'f',
    (SELECT array_agg(named.attname::text ORDER BY part.position)
        FROM unnest(held.conkey) WITH ORDINALITY AS part (number, position)
        JOIN pg_attribute AS named ON named.attrelid = held.conrelid AND named.attnum = part.number),
    (SELECT array_agg(named.attname::text ORDER BY part.position)
        FROM unnest(held.confkey) WITH ORDINALITY AS part (number, position)
        JOIN pg_attribute AS named ON named.attrelid = held.confrelid AND named.attnum = part.number)
FROM pg_constraint AS held
JOIN pg_class AS child ON child.oid = held.conrelid
JOIN pg_namespace AS place ON place.oid = child.relnamespace
JOIN pg_class AS parent ON parent.oid = held.confrelid
JOIN pg_namespace AS parent_place ON parent_place.oid = parent.relnamespace
WHERE held.contype = 'f' AND held.conparentid = 0 AND place.nspname = ANY (%s)
    AND (%s OR NOT held.convalidated)
    AND NOT coalesce((to_jsonb(held) ->> 'conperiod')::boolean, false)
ORDER BY place.nspname, child.relname, held.conname
""")


@dataclass(frozen=True)
class ForeignKey:
    """One constraint.

    Attributes:
        child: Schema and name of the referencing table.
        parent: Schema and name of the referenced table.
        child_partitioned: Whether its rows are in its partitions; otherwise inheriting tables do not count.
        full: MATCH FULL: a key that is partly null is a violation too.
    """

    name: str
    child: tuple[str, ...]
    child_partitioned: bool
    parent: tuple[str, ...]
    parent_partitioned: bool
    full: bool
    child_columns: tuple[str, ...]
    parent_columns: tuple[str, ...]


async def list_foreign_keys(connection: Connection, schemas: Sequence[str], *, validated: bool) -> list[ForeignKey]:
    """The foreign keys of tables in `schemas`: those that are not valid, and with `validated` the others too."""
    rows = await fetch(connection, _FOREIGN_KEYS, [list(schemas), validated])
    return [
        ForeignKey(name, tuple(child), parted, tuple(parent), parent_parted, full, tuple(columns), tuple(referenced))
        for name, child, parted, parent, parent_parted, full, columns, referenced in rows
    ]


async def count_orphans(connection: Connection, key: ForeignKey) -> int:
    """How many rows violate a foreign key, counted up to 10,000."""
    [(count,)] = await fetch(connection, orphan_query(key))
    return int(count)


def orphan_query(key: ForeignKey) -> sql.Composed:
    """Counts the rows of one constraint that reference nothing."""
    own = [sql.Identifier("child", column) for column in key.child_columns]
    other = [sql.Identifier("parent", column) for column in key.parent_columns]
    all_set = sql.SQL("({})").format(_all(sql.SQL("{} IS NOT NULL").format(column) for column in own))
    some_set = sql.SQL(" OR ").join(sql.SQL("{} IS NOT NULL").format(column) for column in own)
    partly = sql.SQL("OR (NOT {} AND ({}))").format(all_set, some_set) if key.full else sql.SQL("")
    return sql.SQL("""
        SELECT count(*) FROM (
            SELECT FROM {child} AS child
            WHERE ({all_set} AND NOT EXISTS (SELECT FROM {parent} AS parent WHERE {equal})) {partly}
            LIMIT {limit}
        ) AS orphans""").format(
        child=_rows_of(key.child, partitioned=key.child_partitioned),
        parent=_rows_of(key.parent, partitioned=key.parent_partitioned),
        all_set=all_set,
        equal=_all(sql.SQL("{} = {}").format(left, right) for left, right in zip(own, other, strict=True)),
        partly=partly,
        limit=sql.Literal(MAX_COUNT),
    )


def _all(conditions: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(" AND ").join(conditions)


def _rows_of(table: tuple[str, ...], *, partitioned: bool) -> sql.Composed:
    return sql.SQL("{}{}").format(sql.SQL("" if partitioned else "ONLY "), sql.Identifier(*table))
