# ruff: noqa: S608 - SQL made of names is what this is for; each is quoted by `quote` or `literal`
"""How long a large table takes to come back: what a rollback does is done to a sample of its rows, and timed.

Everything happens in tables of our own, in a transaction that is rolled back.
"""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from time import monotonic
from typing import Final

import psycopg

from watchdog.migrations import folded
from watchdog.migrations.changelog import find_keys, keys_of, log_table
from watchdog.migrations.images import archive_before, image, qualified, refill
from watchdog.migrations.merge_large import merge_round
from watchdog.migrations.policies import Policy
from watchdog.migrations.renames import quote
from watchdog.migrations.runs import content
from watchdog.migrations.shape import Connection
from watchdog.migrations.table_plans import TablePlan

_ROWS: Final = 50_000
_NO_RUN: Final = 0
# A sample fits into the cache and into work_mem, where the whole table does not. Measured on PostgreSQL 18 with 100,000
# and 1,000,000 rows: seconds for a row grow by so much for each tenfold.
_TENFOLD: Final = 1.12


@dataclass(frozen=True)
class Speed:
    """Seconds.

    Attributes:
        table: To bring the whole table back, with no later writes.
        later: For each later write on top.
    """

    table: float = 0.0
    later: float = 0.0


@dataclass
class _Watch:
    seconds: float = 0.0


async def measure(connection: Connection, table: TablePlan, rows: float) -> Speed:
    """Times a rollback of a sample; nothing of it stays.

    Args:
        connection: In a transaction.
        rows: Of the whole table.
    """
    try:
        async with connection.transaction(force_rollback=True):
            return await _measure(connection, table, rows)
    except psycopg.errors.DatabaseError:
        # A type or an index that cannot be had for a copy: constants must do.
        return Speed()


async def _measure(connection: Connection, table: TablePlan, rows: float) -> Speed:
    index = connection.info.backend_pid
    sample, beside = image(_NO_RUN, index, "sample"), image(_NO_RUN, index, "beside")
    await connection.execute(_pick(sample, table, rows).encode())
    taken = replace(table, name=_name(sample), added=())
    kept = (await connection.execute(archive_before(_NO_RUN, index, taken).encode())).rowcount
    if kept <= 0:
        return Speed()
    scale = rows / kept * _TENFOLD ** max(0.0, math.log10(rows / kept))
    await connection.execute(f"CREATE TABLE {beside} AS TABLE {sample} WITH NO DATA".encode())
    async with _timed() as filled:
        await content(connection, image(_NO_RUN, index, "before"))
        await connection.execute(refill(_NO_RUN, index, taken, "before", into=beside).encode())
        for definition in await _indexes(connection, table):
            await connection.execute(f"CREATE INDEX ON {beside} USING {definition}".encode())
    async with _timed() as analyzed:
        await connection.execute(f"ANALYZE {beside}".encode())
    whole = filled.seconds * scale + analyzed.seconds
    if table.kind == "gone":
        return Speed(whole)
    return Speed(whole, await _later(connection, index, taken, sample, beside) * scale / rows)


async def _later(connection: Connection, index: int, table: TablePlan, sample: str, beside: str) -> float:
    """Seconds for all rows of the sample, as if each had been written since."""
    live = image(_NO_RUN, index, "now")
    listed = ", ".join(f"{quote(c.name)} AS {quote(c.forward)}" for c in table.columns if c.forward is not None)
    await connection.execute(f"CREATE TABLE {live} AS SELECT {listed} FROM {sample}".encode())
    keys = [(n, column) for n, column in keys_of(table)]
    for name, columns in (
        (live, [quote(column.forward or column.name) for _, column in keys]),
        (image(_NO_RUN, index, "before"), [f"c{n}" for n, _ in keys]),
    ):
        await connection.execute(f"CREATE UNIQUE INDEX ON {name} ({', '.join(columns)})".encode())
        await connection.execute(f"ANALYZE {name}".encode())
    for statement in log_table(_NO_RUN, index, table):
        await connection.execute(statement.encode())
    names = ", ".join(f"c{n}" for n, _ in keys)
    values = ", ".join(f"t.{quote(column.forward or column.name)}::text" for _, column in keys)
    log = image(_NO_RUN, index, "log")
    await connection.execute(f"INSERT INTO {log} (op, o, {names}) SELECT 'U', t::text, {values} FROM {live} t".encode())
    forward = replace(table, forward=_name(live))
    await folded.begin(connection, _NO_RUN, index, forward)
    async with _timed() as merged:
        await find_keys(connection, _NO_RUN, index, forward)
        await merge_round(connection, _NO_RUN, index, forward, beside, Policy.LATER)
        await folded.remember(connection, _NO_RUN, index, forward, "1")
    return merged.seconds


def _name(table: str) -> tuple[str, str]:
    schema, _, name = table.partition(".")
    return schema, name


def _pick(into: str, table: TablePlan, rows: float) -> str:
    """Some pages all over the table, with the types of its columns."""
    share = min(100.0, 100.0 * _ROWS / max(rows, 1.0))
    pick = f"TABLESAMPLE SYSTEM ({share}) REPEATABLE (1)" if share < 100.0 else ""
    names = ", ".join(quote(column.name) for column in table.columns)
    return f"CREATE TABLE {into} AS SELECT {names} FROM ONLY {qualified(table.name)} {pick}"


async def _indexes(connection: Connection, table: TablePlan) -> list[str]:
    """What the table's indexes say after USING."""
    rows = await (
        await connection.execute(
            "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = %s::regclass", (qualified(table.name),)
        )
    ).fetchall()
    return [text.partition(" USING ")[2] for (text,) in rows]


@asynccontextmanager
async def _timed() -> AsyncIterator[_Watch]:
    watch, began = _Watch(), monotonic()
    yield watch
    watch.seconds = monotonic() - began
