"""Rehearsal: up, the old version's writes, down, compare, on a scratch copy. What it proves becomes a certificate."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import psycopg
from psycopg import sql

from watchdog.migrations.catalog import catalog, surroundings
from watchdog.migrations.graph_state import GraphCopy, GraphState, graph_findings, graph_state
from watchdog.model.releases import Certificate, Compatibility
from watchdog.model.time import MINUTE, Span, say_span
from watchdog.ports.clock import Clock
from watchdog.targets.postgres import Connection, PostgresTarget

Way: TypeAlias = Callable[[], Awaitable[None]]
"""Applies a release, or takes it back."""

SHOWN = 3
LONG = 10 * MINUTE


@dataclass(frozen=True)
class RecordedWrite:
    """A write of the old version, as it sends it.

    Attributes:
        name: What it is called in findings.
        statement: With psycopg's placeholders `%(name)s`.
    """

    name: str
    statement: str
    values: dict[str, object]


@dataclass(frozen=True)
class Rows:
    """The rows of a table: its columns, and a hash of each row with how often it is there."""

    columns: tuple[str, ...]
    hashes: dict[str, int]


@dataclass(frozen=True)
class State:
    """What the scratch copy holds: the catalog's lines, the rows of each table, the graphs."""

    schema: tuple[str, ...]
    rows: dict[str, Rows]
    graphs: tuple[GraphState, ...]


@dataclass(frozen=True)
class Scratch:
    """A scratch copy of what a rollback changes, as production was before the release."""

    database: PostgresTarget
    graphs: tuple[GraphCopy, ...] = ()


async def rehearse(
    scratch: Scratch, up: Way, down: Way, writes: Sequence[RecordedWrite], rollback_hash: str, clock: Clock
) -> Certificate:
    """Rehearses one rollback.

    Args:
        scratch: What it is tried on; all of it must be as before afterwards.
        up: Applies the release to it.
        down: Takes it back, with the very steps that production would run.
        writes: Recorded writes of the old version; they are tried before and after `up`, and those that the new
            schema accepts stay as later rows, which the rollback must keep.

    Raises:
        TargetError: The scratch copy cannot be used.
    """
    async with scratch.database.act(statement_timeout=LONG) as connection:
        here, before = await surroundings(connection), await _state(connection, scratch.graphs)
        broken_before = await try_writes(connection, writes)
    await up()
    async with scratch.database.act(statement_timeout=LONG) as connection:
        broken_after = await try_writes(connection, writes, keep=True)
    began = clock.now()
    await down()
    measured = clock.now() - began
    async with scratch.database.act(statement_timeout=LONG) as connection:
        lost = _findings(before, await _state(connection, scratch.graphs, before.rows), scratch.graphs)
    old_code, why = compatibility(broken_before, broken_after, len(writes))
    digest = hashlib.sha256(json.dumps([rollback_hash, here.schema_hash, began]).encode()).hexdigest()
    return Certificate(
        id=f"cert-{digest[:12]}",
        issued_at=clock.now(),
        surroundings=here,
        rollback_hash=rollback_hash,
        restored=not lost,
        old_code=old_code,
        measured=measured,
        findings=(*(lost or _proven(before, scratch.graphs, measured)), why),
    )


async def _state(connection: Connection, graphs: Sequence[GraphCopy], like: dict[str, Rows] | None = None) -> State:
    found = [await graph_state(graph) for graph in graphs]
    return State(await catalog(connection), await _rows(connection, like), tuple(found))


def _findings(before: State, after: State, graphs: Sequence[GraphCopy]) -> list[str]:
    found = _schema_findings(before.schema, after.schema) + _row_findings(before.rows, after.rows)
    for graph, then, now in zip(graphs, before.graphs, after.graphs, strict=True):
        found += graph_findings(graph.target.name, then, now)
    return found


def _proven(before: State, graphs: Sequence[GraphCopy], measured: Span) -> tuple[str, ...]:
    kept = sum(sum(table.hashes.values()) for table in before.rows.values())
    seen = (
        f"{graph.target.name}: all {state.size:,} nodes and relationships were as before"
        for graph, state in zip(graphs, before.graphs, strict=True)
    )
    return (f"schema and all {kept:,} earlier rows were as before after {say_span(measured)}", *seen)


async def try_writes(connection: Connection, writes: Sequence[RecordedWrite], *, keep: bool = False) -> dict[str, str]:
    """Runs each write by itself; answers with the SQLSTATE of those that fail."""
    broken: dict[str, str] = {}
    for write in writes:
        try:
            async with connection.transaction(force_rollback=not keep):
                await connection.execute(write.statement, write.values)
        except psycopg.Error as error:
            broken[write.name] = error.sqlstate or type(error).__name__
    return broken


def compatibility(before: dict[str, str], after: dict[str, str], count: int) -> tuple[Compatibility, str]:
    """Whether the old version's writes work on the new schema, and why that is known.

    Args:
        before: The SQLSTATE of each write that fails on the old schema.
        after: The same on the new one.
        count: How many writes were tried.
    """
    if not count:
        return Compatibility.UNKNOWN, "no write of the old version was recorded"
    if before:
        names = ", ".join(f"{name} ({code})" for name, code in before.items())
        return Compatibility.UNKNOWN, f"recorded writes fail on the old schema already: {names}"
    if after:
        names = ", ".join(f"{name} ({code})" for name, code in after.items())
        return Compatibility.INCOMPATIBLE, f"writes of the old version fail on the new schema: {names}"
    return Compatibility.COMPATIBLE, f"all {count} recorded writes of the old version work on the new schema"


async def _rows(connection: Connection, like: dict[str, Rows] | None = None) -> dict[str, Rows]:
    """Every table's rows; with `like`, only its tables and columns. A table that is gone is left out."""
    found: dict[str, Rows] = {}
    for name, columns in (await _tables(connection)).items():
        wanted = columns if like is None else like[name].columns if name in like else ()
        if not wanted or not set(wanted) <= set(columns):
            continue
        row = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(column)) for column in wanted)
        query = sql.SQL("SELECT md5(ROW({})::text), count(*) FROM {} GROUP BY 1").format(
            row, sql.Identifier(*name.split(".", 1))
        )
        counted = await (await connection.execute(query)).fetchall()
        found[name] = Rows(tuple(wanted), {str(digest): int(count) for digest, count in counted})
    return found


async def _tables(connection: Connection) -> dict[str, tuple[str, ...]]:
    query = """
        SELECT n.nspname || '.' || c.relname, array_agg(a.attname::text ORDER BY a.attnum)
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
          JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
           AND n.nspname NOT IN ('watchdog', 'pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
         GROUP BY 1
    """
    return {str(name): tuple(columns) for name, columns in await (await connection.execute(query)).fetchall()}


def _schema_findings(before: tuple[str, ...], after: tuple[str, ...]) -> list[str]:
    gone, new = sorted(set(before) - set(after)), sorted(set(after) - set(before))
    found = [f"missing after the rollback: {line}" for line in gone[:SHOWN]]
    found += [f"left behind by the rollback: {line}" for line in new[:SHOWN]]
    more = max(0, len(gone) - SHOWN) + max(0, len(new) - SHOWN)
    return [*found, f"and {more} more differences of the schema"] if more else found


def _row_findings(before: dict[str, Rows], after: dict[str, Rows]) -> list[str]:
    found: list[str] = []
    for name, table in before.items():
        now = after.get(name)
        if now is None:
            found.append(f"table {name} or one of its columns is gone")
            continue
        lost = sum(max(0, count - now.hashes.get(digest, 0)) for digest, count in table.hashes.items())
        if lost:
            found.append(f"{lost} earlier rows of {name} are gone or changed")
    return found
