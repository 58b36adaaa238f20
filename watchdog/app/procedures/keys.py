"""Keys that do not hold: foreign keys with orphans, duplicates that an INVALID index let in, sequences behind."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from psycopg import sql

from watchdog.app.procedures.parts import Outcome, Part, settled
from watchdog.app.procedures.place import looking
from watchdog.app.procedures.tables import schemas
from watchdog.model.time import Span
from watchdog.probes.foreign_keys import count_orphans, list_foreign_keys
from watchdog.probes.postgres_queries import fetch
from watchdog.probes.readings import MAX_COUNT
from watchdog.targets.postgres import Connection, PostgresError, PostgresTarget

Looked: TypeAlias = tuple[str, Callable[[Connection], Awaitable[str]]]
"""A thing to look at, and how: the answer says what is wrong with it, or nothing."""

# An index under construction by CREATE INDEX CONCURRENTLY is not valid yet, which is no fault.
_INVALID_UNIQUE: Final = sql.SQL("""
SELECT
    place.nspname, owner.relname, owner.relkind = 'p', named.relname,
    coalesce((to_jsonb(held) ->> 'indnullsnotdistinct')::boolean, false),
    (SELECT array_agg(pg_get_indexdef(held.indexrelid, part, true) ORDER BY part)
        FROM generate_series(1, held.indnkeyatts) AS part),
    coalesce(pg_get_expr(held.indpred, held.indrelid), 'true')
FROM pg_index AS held
JOIN pg_class AS named ON named.oid = held.indexrelid
JOIN pg_class AS owner ON owner.oid = held.indrelid
JOIN pg_namespace AS place ON place.oid = owner.relnamespace
WHERE place.nspname = ANY (%s) AND held.indisunique AND NOT (held.indisvalid AND held.indisready)
    AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index AS building WHERE building.index_relid = held.indexrelid)
ORDER BY 1, 4
""")

# A sequence serves a column that owns it, or whose default asks it. One that cycles is never behind.
_SEQUENCES: Final = sql.SQL("""
SELECT DISTINCT place.nspname, named.relname, table_place.nspname, owner.relname, col.attname, counts.seqincrement > 0
FROM pg_sequence AS counts
JOIN pg_class AS named ON named.oid = counts.seqrelid
JOIN pg_namespace AS place ON place.oid = named.relnamespace
JOIN (
    SELECT objid AS sequence, refobjid AS relation, refobjsubid AS number FROM pg_depend
    WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass AND deptype IN ('a', 'i')
    UNION
    SELECT needs.refobjid, def.adrelid, def.adnum
    FROM pg_depend AS needs JOIN pg_attrdef AS def ON def.oid = needs.objid
    WHERE needs.classid = 'pg_attrdef'::regclass AND needs.refclassid = 'pg_class'::regclass
) AS serves ON serves.sequence = counts.seqrelid
JOIN pg_class AS owner ON owner.oid = serves.relation AND owner.relkind IN ('r', 'p') AND NOT owner.relispartition
JOIN pg_namespace AS table_place ON table_place.oid = owner.relnamespace
JOIN pg_attribute AS col ON col.attrelid = owner.oid AND col.attnum = serves.number AND NOT col.attisdropped
WHERE place.nspname = ANY (%s) AND NOT counts.seqcycle
    AND col.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
ORDER BY 1, 2
""")

_BEHIND: Final = "is behind its column: an insert would meet a value that is there; move it on by setval"


async def foreign_keys(name: str, target: PostgresTarget, patience: Span) -> Part:
    """Every foreign key counted for orphans, also those that PostgreSQL vouches for."""
    try:
        async with looking(target, patience) as connection:
            keys = await list_foreign_keys(connection, await schemas(connection), validated=True)
    except PostgresError as error:
        return Part(name, Outcome.NOT_RUN, str(error))

    def look(key: int) -> Callable[[Connection], Awaitable[str]]:
        async def orphans(connection: Connection) -> str:
            found = await count_orphans(connection, keys[key])
            many = "at least " if found >= MAX_COUNT else ""
            return f"{many}{found:,} rows reference nothing" if found else ""

        return orphans

    things = [(f"{'.'.join(key.child)} {key.name}", look(number)) for number, key in enumerate(keys)]
    return await _each(name, target, patience, things, f"{len(keys)} foreign keys hold")


async def unique_indexes(name: str, target: PostgresTarget, patience: Span) -> Part:
    """Unique indexes that are INVALID, each with how many keys are there more than once."""
    try:
        async with looking(target, patience) as connection:
            found = await fetch(connection, _INVALID_UNIQUE, [await schemas(connection)])
    except PostgresError as error:
        return Part(name, Outcome.NOT_RUN, str(error))

    def look(query: sql.Composed) -> Callable[[Connection], Awaitable[str]]:
        async def duplicates(connection: Connection) -> str:
            [(number,)] = await fetch(connection, query)
            return f"is INVALID, {int(number):,} keys are there more than once; drop it and build it again"

        return duplicates

    things = [
        (f"{schema}.{index}", look(_duplicates((schema, table), keys, where, parted=parted, nulls=nulls)))
        for schema, table, parted, index, nulls, keys, where in found
    ]
    return await _each(name, target, patience, things, "no unique index is INVALID")


def _duplicates(table: tuple[str, str], keys: list[str], where: str, *, parted: bool, nulls: bool) -> sql.Composed:
    # The server's own words for the index: columns and expressions that stood in its definition.
    parts = [sql.SQL(f"({key})") for key in keys]
    conditions = [sql.SQL(f"({where})")]
    if not nulls:
        conditions += [sql.SQL(f"({key}) IS NOT NULL") for key in keys]
    return sql.SQL(
        "SELECT count(*) FROM (SELECT FROM {} {} WHERE {} GROUP BY {} HAVING count(*) > 1 LIMIT {}) AS twice"
    ).format(
        sql.SQL("" if parted else "ONLY"),
        sql.Identifier(*table),
        sql.SQL(" AND ").join(conditions),
        sql.SQL(", ").join(parts),
        sql.Literal(MAX_COUNT),
    )


async def sequences(name: str, target: PostgresTarget, patience: Span) -> Part:
    """Sequences that would give out a value which their column has already."""
    try:
        async with looking(target, patience) as connection:
            found = await fetch(connection, _SEQUENCES, [await schemas(connection)])
    except PostgresError as error:
        return Part(name, Outcome.NOT_RUN, str(error))

    def look(query: sql.Composed) -> Callable[[Connection], Awaitable[str]]:
        async def behind(connection: Connection) -> str:
            [(is_behind,)] = await fetch(connection, query)
            return _BEHIND if is_behind else ""

        return behind

    things = [
        (f"{schema}.{sequence}", look(_behind((schema, sequence), (table_schema, table), column, rising=rising)))
        for schema, sequence, table_schema, table, column, rising in found
    ]
    return await _each(name, target, patience, things, f"{len(things)} sequences are ahead of their columns")


def _behind(sequence: tuple[str, str], table: tuple[str, str], column: str, *, rising: bool) -> sql.Composed:
    return sql.SQL(
        "SELECT coalesce(last_value {further} used.value OR (last_value = used.value AND NOT is_called), false)"
        " FROM {sequence}, (SELECT {furthest}({column}) AS value FROM {table}) AS used"
    ).format(
        further=sql.SQL("<" if rising else ">"),
        furthest=sql.SQL("max" if rising else "min"),
        sequence=sql.Identifier(*sequence),
        column=sql.Identifier(column),
        table=sql.Identifier(*table),
    )


async def _each(name: str, target: PostgresTarget, patience: Span, things: list[Looked], well: str) -> Part:
    """Looks at one thing after the other, each in a transaction of its own."""
    wrong: list[str] = []
    unseen: list[str] = []
    for what, look in things:
        try:
            async with looking(target, patience) as connection:
                said = await look(connection)
        except PostgresError as error:
            unseen.append(f"{what}: {error}")
            continue
        if said:
            wrong.append(f"{what}: {said}")
    return settled(name, well, wrong=tuple(wrong), unseen=tuple(unseen), numbers={"looked_at": float(len(things))})
