# ruff: noqa: S608 - SQL made of names is what this is for; each is quoted by `quote` or `literal`
"""Rows that did not fit the old schema: what waits, and its way back once the migration was tried again."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import cattrs
import psycopg

from watchdog.migrations.conflicts import REASON as CONFLICT
from watchdog.migrations.images import qualified
from watchdog.migrations.limits import prepare_later
from watchdog.migrations.misfits import DECLARED, DIAGNOSE
from watchdog.migrations.plain import plain, without_value
from watchdog.migrations.renames import literal, quote
from watchdog.migrations.runs import has_runs, named
from watchdog.migrations.session import connected, plain_text
from watchdog.migrations.shape import Connection
from watchdog.migrations.table_plans import TablePlan
from watchdog.ports.errors import WatchdogError

_QUARANTINE: Final = "watchdog.migration_quarantine"
_OWN: Final = re.compile(
    r"its table was made by the migration|its parent in .* is not there any more \(.*\)"
    r"|its table .*|a column .* of its is not there|columns of its table .*"
    r"|it was written while .* was moved aside, and has no value for it"
    r"|it was written while the migration tool was at work on its columns"
    rf"|{re.escape(CONFLICT)}",
    re.DOTALL,
)
_VIOLATED: Final = {
    "23502": "null value in column {} violates not-null constraint",
    "23503": "violates foreign key constraint {}",
    "23505": "duplicate key value violates unique constraint {}",
    "23514": "violates check constraint {}",
    "23P01": "conflicting key value violates exclusion constraint {}",
}
_ANOTHER: Final = "another error, see column reason in the database"


@dataclass(frozen=True)
class Waiting:
    """Rows of one table that wait for one reason.

    Attributes:
        reason: Never holds a row's value.
        sqlstate: What the server said; empty where the reason is ours.
    """

    table: str
    reason: str
    rows: int
    sqlstate: str = ""


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
                await prepare_later(connection)
                # A parent that was just put back is seen at once.
                await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
                after = await _is_after(connection, run)
                groups = [
                    await _group(connection, tables, table, keys, after=after)
                    for table, keys in await _kinds(connection, run)
                ]
                back: Counter[str] = Counter()
                while more := await _round(connection, run, groups):
                    back += more
                return Replayed(dict(back), await _waiting(connection, run))
        except psycopg.Error as error:
            raise WatchdogError(f"Nothing of run {run} was put back: {plain(error)}.") from error


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
            'SELECT "table", reason, to_jsonb(q) ->> %s, to_jsonb(q) ->> %s, count(*)'
            f" FROM {_QUARANTINE} q WHERE run = %s GROUP BY 1, 2, 3, 4".encode(),
            ("sqlstate", "about", run),
        )
    ).fetchall()
    found: Counter[tuple[str, str, str]] = Counter()
    for table, reason, state, about, count in rows:
        found[table, said(reason, state, about), state or ""] += count
    return tuple(Waiting(table, reason, count, state) for (table, reason, state), count in sorted(found.items()))


def said(reason: str, state: str | None, about: str | None) -> str:
    """A reason without anything that may be a row's value, whatever language the server speaks.

    Args:
        state: The server's SQLSTATE; None for a sentence of our own.
        about: The constraint or column that was violated.
    """
    if state is None:
        return reason if _OWN.fullmatch(reason) else _ANOTHER
    if about and state in _VIOLATED:
        return _VIOLATED[state].format(quote(about))
    if state.startswith("23"):
        return f"{_ANOTHER} (SQLSTATE {state})"
    return without_value(state, reason) or f"{_ANOTHER} (SQLSTATE {state})"


async def _kinds(connection: Connection, run: int) -> list[tuple[str, tuple[str, ...]]]:
    rows = await (
        await connection.execute(
            'SELECT DISTINCT "table", ARRAY(SELECT jsonb_object_keys("row") ORDER BY 1) AS keys'
            f" FROM {_QUARANTINE} WHERE run = %s ORDER BY 1, 2".encode(),
            (run,),
        )
    ).fetchall()
    return [(table, tuple(keys)) for table, keys in rows]


async def _is_after(connection: Connection, run: int) -> bool | None:
    """Whether the schema is as after the script again; False for as before it, None where nobody can tell.

    Rows are kept by the names that their columns had before the script.
    """
    rows = await (
        await connection.execute(
            "SELECT r.script_hash = m.script_hash FROM watchdog.migration_runs m, watchdog.migration_runs r"
            " WHERE m.id = %s AND m.state = 'rolled back' AND r.id > m.id AND r.state IN ('applied', 'settled')",
            (run,),
        )
    ).fetchall()
    if len(rows) > 1 or rows == [(False,)]:
        return None
    return bool(rows)


async def _group(
    connection: Connection, tables: Sequence[TablePlan], table: str, keys: tuple[str, ...], *, after: bool | None
) -> _Group:
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
    if after is not None:
        exact = {old: new if after else old for old, new in called}
        return _matched(_Group(table, keys, into, (), ""), await _columns(connection, into), called, exact)
    if {old for old, new in called if old != new} & {new for old, new in called if old != new}:
        # By its names alone a row does not say whether they are those of before or of after.
        return _Group(table, keys, "", (), f"columns of its table {table} changed names with each other")
    return _matched(_Group(table, keys, into, (), ""), await _columns(connection, into), called, {})


async def _columns(connection: Connection, table: str) -> dict[str, tuple[str, str]]:
    """The columns of a table, each with its type, and how it is generated."""
    rows = await (
        await connection.execute(
            "SELECT attname, format_type(atttypid, -1), attgenerated FROM pg_attribute"
            " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped",
            (table,),
        )
    ).fetchall()
    return {name: (kind, made) for name, kind, made in rows}


def _matched(
    group: _Group,
    there: Mapping[str, tuple[str, str]],
    called: set[tuple[str, str]],
    exact: Mapping[str, str],
) -> _Group:
    """The group with its columns found in the table.

    Args:
        called: Names of columns before and after.
        exact: By the name before, that of now, where it is known.
    """
    columns: list[tuple[str, str, str]] = []
    lost: list[str] = []
    for key in group.keys:
        other = {key} | {text for pair in called if key in pair for text in pair}
        name = key if key in there else next((text for text in sorted(other) if text in there), None)
        if exact.get(key) in there:
            name = exact[key]
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
        return f"UPDATE {_QUARANTINE} SET reason = {literal(group.why)}, sqlstate = NULL, about = NULL WHERE {which}"
    nothing_lost = " AND ".join(f'q."row" ->> {literal(key)} IS NULL' for key in group.lost) or "true"
    names = ", ".join(quote(name) for name, _, _ in group.columns)
    values = ", ".join(_value(group.into, *column) for column in group.columns)
    insert = (
        f"INSERT INTO {group.into} ({names}) OVERRIDING SYSTEM VALUE SELECT {values}"
        if names
        else (f"INSERT INTO {group.into} DEFAULT VALUES")
    )
    why = literal(f"a column ({', '.join(group.lost)}) of its is not there")
    return f"""DO $watchdog$ DECLARE q record; {DECLARED} BEGIN
        FOR q IN SELECT id, "row" FROM {_QUARANTINE} WHERE {which} ORDER BY id LOOP
            BEGIN
                IF {nothing_lost} THEN
                    {insert};
                    DELETE FROM {_QUARANTINE} WHERE id = q.id;
                ELSE
                    UPDATE {_QUARANTINE} SET reason = {why}, sqlstate = NULL, about = NULL
                     WHERE id = q.id AND reason <> {why};
                END IF;
            EXCEPTION WHEN OTHERS THEN
                {DIAGNOSE}
                UPDATE {_QUARANTINE} k SET reason = SQLERRM, sqlstate = code, about = why
                 WHERE k.id = q.id AND (k.reason, k.sqlstate) IS DISTINCT FROM (SQLERRM, code);
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
