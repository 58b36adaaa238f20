# ruff: noqa: S608 - SQL made of names is what this is for; each is quoted by `quote` or `literal`
"""Rows that did not fit the old schema: what waits, and its way back once the migration was tried again."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import cattrs
import psycopg

from watchdog.migrations.images import qualified
from watchdog.migrations.renames import literal, quote
from watchdog.migrations.runs import has_runs, named
from watchdog.migrations.session import connected, plain_text
from watchdog.migrations.shape import Connection
from watchdog.migrations.table_plans import TablePlan
from watchdog.ports.errors import WatchdogError

_QUARANTINE: Final = "watchdog.migration_quarantine"
_OWN: Final = re.compile(
    r"its table was made by the migration|its parent in .* is not there any more \(.*\)"
    r"|its table .*|a column .* of its is not there|columns of its table .*",
    re.DOTALL,
)
# PostgreSQL's own sentences that hold names only; a value follows a colon, or is not repeated.
_NAMES_ONLY: Final = re.compile(
    r"new row for relation \".*\" violates check constraint \".*\""
    r"|duplicate key value violates unique constraint \".*\""
    r"|conflicting key value violates exclusion constraint \".*\""
    r"|insert or update on table \".*\" violates foreign key constraint \".*\""
    r"|null value in column \".*\" of relation \".*\" violates not-null constraint"
    r"|value for domain .* violates check constraint \".*\""
    r"|domain .* does not allow null values"
    r"|no partition of relation \".*\" found for row"
    r"|new row violates row-level security policy .*"
    r"|value too long for type .*|(?:\w+ )*out of range|numeric field overflow"
)
_WITH_VALUE: Final = re.compile(r"(invalid input (?:syntax|value) for (?:type|enum) [^:]*): \"", re.DOTALL)
_ANOTHER: Final = "another error, see column reason in the database"


@dataclass(frozen=True)
class Waiting:
    """Rows of one table that wait for one reason; a reason never holds a row's value."""

    table: str
    reason: str
    rows: int


@dataclass(frozen=True)
class Replayed:
    """What a replay did, in rows.

    Attributes:
        back: Rows that are live again, by the quoted name of the table that took them.
        waiting: What stays, by the reason of now.
    """

    back: dict[str, int]
    waiting: tuple[Waiting, ...]


@dataclass(frozen=True)
class _Group:
    """Rows of one table with the same columns.

    Attributes:
        into: The table that takes them, as SQL; empty when there is none, and `why` says it.
        columns: Column of the table, its type, and what the row calls it.
        lost: What the row calls a column that the table has not.
    """

    table: str
    keys: tuple[str, ...]
    into: str
    columns: tuple[tuple[str, str, str], ...]
    why: str
    lost: tuple[str, ...] = ()


async def waiting(url: str, run: int) -> tuple[Waiting, ...]:
    """Counts of what is in quarantine for a run, by table and reason; raises WatchdogError without such a run."""
    async with connected(url) as connection:
        with named("The quarantine cannot be read"):
            await _tables(connection, run, lock=False)
            return await _waiting(connection, run)


async def replay(url: str, run: int) -> Replayed:
    """Puts quarantined rows back where they fit now, parents before children; the others keep the new reason.

    Nothing live is overwritten: a row whose key is there again stays in quarantine.

    Raises:
        WatchdogError: There is no such run, or it failed; nothing was changed.
    """
    async with connected(url) as connection:
        try:
            async with connection.transaction():
                await plain_text(connection)
                tables = await _tables(connection, run, lock=True)
                # A parent that was just put back is seen at once.
                await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
                groups = [
                    await _group(connection, tables, table, keys) for table, keys in await _kinds(connection, run)
                ]
                back: Counter[str] = Counter()
                while more := await _round(connection, run, groups):
                    back += more
                return Replayed(dict(back), await _waiting(connection, run))
        except psycopg.Error as error:
            raise WatchdogError(f"Nothing of run {run} was put back: {error.diag.message_primary}.") from error


async def _tables(connection: Connection, run: int, *, lock: bool) -> tuple[TablePlan, ...]:
    row: Any = None
    if await has_runs(connection):
        query = "SELECT coalesce(manifest #> '{plan,tables}', '[]') FROM watchdog.migration_runs WHERE id = %s"
        row = await (await connection.execute(f"{query}{' FOR UPDATE' if lock else ''}".encode(), (run,))).fetchone()
    if row is None:
        raise WatchdogError(f"There is no run {run} in this database; see `watchdog migration status`.")
    return cattrs.structure(row[0], tuple[TablePlan, ...])


async def _waiting(connection: Connection, run: int) -> tuple[Waiting, ...]:
    rows = await (
        await connection.execute(
            f'SELECT "table", reason, count(*) FROM {_QUARANTINE} WHERE run = %s GROUP BY 1, 2'.encode(), (run,)
        )
    ).fetchall()
    found: Counter[tuple[str, str]] = Counter()
    for table, reason, count in rows:
        found[table, without_values(reason)] += count
    return tuple(Waiting(table, reason, count) for (table, reason), count in sorted(found.items()))


def without_values(reason: str) -> str:
    """A reason without anything that may be a row's value; a sentence that we do not know is not repeated."""
    if match := _WITH_VALUE.match(reason):
        return match[1]
    return reason if _OWN.fullmatch(reason) or _NAMES_ONLY.fullmatch(reason) else _ANOTHER


async def _kinds(connection: Connection, run: int) -> list[tuple[str, tuple[str, ...]]]:
    rows = await (
        await connection.execute(
            'SELECT DISTINCT "table", ARRAY(SELECT jsonb_object_keys("row") ORDER BY 1) AS keys'
            f" FROM {_QUARANTINE} WHERE run = %s ORDER BY 1, 2".encode(),
            (run,),
        )
    ).fetchall()
    return [(table, tuple(keys)) for table, keys in rows]


async def _group(connection: Connection, tables: Sequence[TablePlan], table: str, keys: tuple[str, ...]) -> _Group:
    plan = next((one for one in tables if table in (qualified(one.name), qualified(one.forward or one.name))), None)
    names = {table} | ({qualified(plan.name), qualified(plan.forward or plan.name)} if plan else set())
    rows = await (
        await connection.execute(
            "SELECT n FROM unnest(%s::text[]) n WHERE to_regclass(n) IS NOT NULL", (sorted(names),)
        )
    ).fetchall()
    if not rows:
        return _Group(table, keys, "", (), f"its table {table} is not there")
    if len(rows) > 1:
        return _Group(table, keys, "", (), f"its table {table} may be any of {', '.join(n for (n,) in rows)}")
    into = str(rows[0][0])
    called = {(column.name, column.forward) for column in plan.columns if column.forward} if plan else set()
    if {old for old, new in called if old != new} & {new for old, new in called if old != new}:
        # By its names alone a row does not say whether they are those of before or of after.
        return _Group(table, keys, "", (), f"columns of its table {table} changed names with each other")
    there = await (
        await connection.execute(
            "SELECT attname, format_type(atttypid, -1), attgenerated FROM pg_attribute"
            " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped",
            (into,),
        )
    ).fetchall()
    return _matched(_Group(table, keys, into, (), ""), {name: (kind, made) for name, kind, made in there}, called)


def _matched(group: _Group, there: Mapping[str, tuple[str, str]], called: set[tuple[str, str]]) -> _Group:
    columns: list[tuple[str, str, str]] = []
    lost: list[str] = []
    for key in group.keys:
        other = {key} | {text for pair in called if key in pair for text in pair}
        name = key if key in there else next((text for text in sorted(other) if text in there), None)
        if name is None:
            lost.append(key)
        elif not there[name][1]:
            columns.append((name, there[name][0], key))
    return replace(group, columns=tuple(columns), lost=tuple(lost))


async def _round(connection: Connection, run: int, groups: Sequence[_Group]) -> Counter[str]:
    """Tries every row once; a child whose parent comes later in the round waits for the next one."""
    back: Counter[str] = Counter()
    for group in groups:
        count = f'SELECT count(*) FROM {_QUARANTINE} WHERE run = {run} AND "table" = {literal(group.table)}'
        before = await (await connection.execute(count.encode())).fetchone()
        await connection.execute(_attempt(run, group).encode())
        after = await (await connection.execute(count.encode())).fetchone()
        if before and after and before[0] > after[0]:
            back[group.into] += before[0] - after[0]
    return back


def _attempt(run: int, group: _Group) -> str:
    """Inserts the rows of a group one by one; none of their values leaves the server."""
    keys = f"ARRAY[{', '.join(map(literal, group.keys))}]::text[]"
    which = (
        f'run = {run} AND "table" = {literal(group.table)}'
        f' AND ARRAY(SELECT jsonb_object_keys("row") ORDER BY 1) = {keys}'
    )
    if not group.into:
        return f"UPDATE {_QUARANTINE} SET reason = {literal(group.why)} WHERE {which}"
    nothing_lost = " AND ".join(f'q."row" ->> {literal(key)} IS NULL' for key in group.lost) or "true"
    names = ", ".join(quote(name) for name, _, _ in group.columns)
    values = ", ".join(_value(group.into, *column) for column in group.columns)
    insert = (
        f"INSERT INTO {group.into} ({names}) OVERRIDING SYSTEM VALUE SELECT {values}"
        if names
        else (f"INSERT INTO {group.into} DEFAULT VALUES")
    )
    why = literal(f"a column ({', '.join(group.lost)}) of its is not there")
    return f"""DO $watchdog$ DECLARE q record; BEGIN
        FOR q IN SELECT id, "row" FROM {_QUARANTINE} WHERE {which} ORDER BY id LOOP
            BEGIN
                IF {nothing_lost} THEN
                    {insert};
                    DELETE FROM {_QUARANTINE} WHERE id = q.id;
                ELSE
                    UPDATE {_QUARANTINE} SET reason = {why} WHERE id = q.id AND reason <> {why};
                END IF;
            EXCEPTION WHEN OTHERS THEN
                UPDATE {_QUARANTINE} SET reason = SQLERRM WHERE id = q.id AND reason <> SQLERRM;
            END;
        END LOOP;
    END $watchdog$"""


def _value(into: str, name: str, kind: str, key: str) -> str:
    """A column's value: PostgreSQL's own text, or, of a child that was set aside, JSON."""
    text = f'(q."row" ->> {literal(key)})::{kind}'
    if kind in {"json", "jsonb"}:
        return text
    whole = f'jsonb_build_object({literal(name)}::text, q."row" -> {literal(key)})'
    parsed = f"(jsonb_populate_record(NULL::{into}, {whole})).{quote(name)}"
    return f"CASE WHEN jsonb_typeof(q.\"row\" -> {literal(key)}) IN ('array', 'object') THEN {parsed} ELSE {text} END"
