"""A few rows of every table for a copy of the schema; what is free text, JSON or binary is masked on the way."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg import sql

from watchdog.migrations.shape import Connection, ForeignKey, Name, load_query

_MASKS = {
    "S": "left(repeat(md5({0}::text), 1 + length({0}::text) / 32), length({0}::text))::{1}",
    "json": "'{{}}'::{1}",
    "bytea": "decode(md5({0}), 'hex')",
}
# How often parents of parents are looked for, and how many at a time.
_ROUNDS: Final = 100
_AT_ONCE: Final = 10_000


@dataclass(frozen=True)
class Loaded:
    """What a copy holds.

    Attributes:
        rows: By table.
        empty: Tables whose rows, as they are masked, break a constraint, so that none are there.
    """

    rows: Mapping[Name, int]
    empty: tuple[Name, ...]


@dataclass(frozen=True)
class _Source:
    name: Name
    partitioned: bool
    columns: Sequence[Mapping[str, str]]
    masked: bool

    def rows(self) -> sql.Composable:
        """Its rows as a query, without those of tables that inherit from it."""
        values = sql.SQL(", ").join(_value(column, masked=self.masked) for column in self.columns)
        only = sql.SQL("" if self.partitioned else "ONLY ")
        return sql.SQL("SELECT {} FROM {}{} AS r").format(values, only, sql.Identifier(*self.name))

    def type_of(self, column: str) -> str:
        return next(each["type"] for each in self.columns if each["name"] == column)


async def load(
    production: Connection, fresh: Connection, rows: int | None, *, masked: bool = True, parents: bool = False
) -> Loaded:
    """Copies up to `rows` rows a table; a table whose masked rows break a constraint stays empty.

    Columns of keys and other constraints keep their values, or rows would not fit together; triggers do not fire.

    Args:
        rows: None for all.
        masked: Without it, text, JSON and binary values stay as they are.
        parents: Adds what foreign keys of the copied rows need, and takes rows away for which that is impossible.
    """
    described = await (await production.execute(load_query("sample.sql"))).fetchall()
    sources = {(s, n): _Source((s, n), kind == "p", columns, masked) for s, n, kind, columns in described}
    await fresh.execute("SET session_replication_role = replica")
    limit = sql.SQL("") if rows is None else sql.SQL(" LIMIT {}").format(sql.Literal(rows))
    counts: dict[Name, int] = {}
    empty: list[Name] = []
    for source in sources.values():
        if source.partitioned:
            continue
        count = await _copy(production, fresh, source, source.rows() + limit)
        counts[source.name] = count or 0
        if count is None:
            empty.append(source.name)
    if parents:
        await _complete(production, fresh, sources)
        counts = {name: await _count(fresh, name) for name in counts}
    await fresh.execute("RESET session_replication_role")
    return Loaded(counts, tuple(empty))


async def _copy(production: Connection, fresh: Connection, source: _Source, query: sql.Composable) -> int | None:
    """Copies what a query answers; the number of rows, None when they do not fit."""
    names = sql.SQL(", ").join(sql.Identifier(column["name"]) for column in source.columns)
    take = sql.SQL("COPY ({}) TO STDOUT").format(query)
    put = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(*source.name), names)
    try:
        async with (
            fresh.transaction(),
            production.transaction(),
            production.cursor() as reading,
            fresh.cursor() as writing,
        ):
            async with reading.copy(take) as reader, writing.copy(put) as writer:
                async for block in reader:
                    await writer.write(block)
            return writing.rowcount
    except (psycopg.IntegrityError, psycopg.DataError):
        return None


def _value(column: Mapping[str, str], *, masked: bool) -> sql.Composable:
    mask = _MASKS.get(column["mask"]) if masked else None
    name = sql.Identifier("r", column["name"])
    if mask is None:
        return name
    # The type is the server's own writing of it.
    return sql.SQL(mask.replace("{1}", "{type}").replace("{0}", "{name}")).format(
        name=name,
        type=sql.SQL(column["type"]),
    )


async def _complete(production: Connection, fresh: Connection, sources: Mapping[Name, _Source]) -> None:
    """Fetches the parents that are missing, and theirs; children whose parent cannot be had are taken away."""
    described = await (await production.execute(load_query("foreign_keys.sql"))).fetchall()
    keys = [
        ForeignKey(n, (cs, c), (ps, p), tuple(x), tuple(y), d, v)
        for n, cs, c, ps, p, x, y, d, v in described
        if v and (ps, p) in sources and (cs, c) in sources
    ]
    for _ in range(_ROUNDS):
        if not sum([await _fetch(production, fresh, key, sources) for key in keys]):
            break
    while sum([await _drop_orphans(fresh, key, sources) for key in keys]):
        pass


def _orphan(key: ForeignKey, sources: Mapping[Name, _Source]) -> sql.Composable:
    """Rows of the child, `c`, whose parent is not there."""
    pairs = zip(key.columns, key.parent_columns, strict=True)
    same = _all(sql.SQL("p.{} = c.{}").format(sql.Identifier(p), sql.Identifier(c)) for c, p in pairs)
    there = _all(sql.SQL("c.{} IS NOT NULL").format(sql.Identifier(c)) for c in key.columns)
    only = sql.SQL("" if sources[key.child].partitioned else "ONLY ")
    query = sql.SQL("{}{} AS c WHERE {} AND NOT EXISTS (SELECT FROM {} AS p WHERE {})")
    return query.format(only, sql.Identifier(*key.child), there, sql.Identifier(*key.parent), same)


async def _fetch(production: Connection, fresh: Connection, key: ForeignKey, sources: Mapping[Name, _Source]) -> int:
    parent = sources[key.parent]
    columns = sql.SQL(", ").join(sql.SQL("c.{}::text").format(sql.Identifier(c)) for c in key.columns)
    query = sql.SQL("SELECT DISTINCT {} FROM {} LIMIT {}").format(columns, _orphan(key, sources), sql.Literal(_AT_ONCE))
    missing = await (await fresh.execute(query)).fetchall()
    if not missing:
        return 0
    # By the types of the parent's columns, so that production uses its index.
    listed = sql.SQL(", ").join(
        sql.SQL("{}::text[]::{}").format(sql.Literal(list(values)), sql.SQL(f"{parent.type_of(column)}[]"))
        for column, values in zip(key.parent_columns, zip(*missing, strict=True), strict=True)
    )
    wanted = sql.SQL(", ").join(sql.SQL("r.{}").format(sql.Identifier(c)) for c in key.parent_columns)
    rows = sql.SQL("{} WHERE ({}) IN (SELECT * FROM unnest({}) AS w)").format(parent.rows(), wanted, listed)
    return await _copy(production, fresh, parent, rows) or 0


async def _drop_orphans(fresh: Connection, key: ForeignKey, sources: Mapping[Name, _Source]) -> int:
    return (await fresh.execute(sql.SQL("DELETE FROM {}").format(_orphan(key, sources)))).rowcount


async def _count(fresh: Connection, name: Name) -> int:
    query = sql.SQL("SELECT count(*) FROM ONLY {}").format(sql.Identifier(*name))
    row = await (await fresh.execute(query)).fetchone()
    return int(row[0]) if row else 0


def _all(parts: Iterable[sql.Composable]) -> sql.Composable:
    return sql.SQL(" AND ").join(parts)
