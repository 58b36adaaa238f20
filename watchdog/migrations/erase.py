# ruff: noqa: S608 - SQL made of names is what this is for; each is quoted by `quote` or `literal`
"""Takes a person's rows out of every archive and out of quarantine, for good."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cattrs
import psycopg

from watchdog.migrations.images import image, qualified
from watchdog.migrations.renames import literal
from watchdog.migrations.runs import content, has_runs, prepare
from watchdog.migrations.session import connected, plain_text
from watchdog.migrations.shape import Connection, Name
from watchdog.migrations.table_plans import TablePlan
from watchdog.ports.errors import WatchdogError

_WHICH = ("before", "after", "live", "log", "conflicts")
_QUARANTINE = "watchdog.migration_quarantine"


class ErasureError(WatchdogError):
    """An erasure that cannot be meant."""

    exit_status = 2


@dataclass(frozen=True)
class Place:
    """Where rows were taken out.

    Attributes:
        name: The archive, or the quarantine, as SQL.
        table: What it keeps rows of, as SQL.
    """

    run: int
    name: str
    table: str
    rows: int


@dataclass
class Erasure:
    """What was erased.

    Attributes:
        unsearched: Archives of this table that cannot be searched by these columns, each with why: look there again
            by another column.
        others: Other tables of which archives or quarantined rows are kept, as SQL.
    """

    places: list[Place] = field(default_factory=list)
    unsearched: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


@dataclass
class _Wanted:
    """What a column of the rows holds.

    Attributes:
        values: As given, and as each type that the column has or had prints it.
        any_case: Whether one of these types does not tell capitals from small letters.
    """

    column: str
    values: set[str]
    any_case: bool = False

    def holds(self, text: str) -> str:
        """The condition on an expression of type text."""
        if self.any_case:
            text = f"lower({text})"
        values = {value.lower() for value in self.values} if self.any_case else self.values
        return f"{text} IN ({', '.join(map(literal, sorted(values)))})"


@dataclass(frozen=True)
class _Kept:
    """A table of a run, with which of its images are there."""

    run: int
    index: int
    table: TablePlan
    images: tuple[str, ...]

    def name(self, which: str) -> str:
        """The table that holds an image."""
        return image(self.run, self.index, which)


async def erase(url: str, table: str, key: Mapping[str, str]) -> Erasure:
    """Takes rows out of every archive and of quarantine, and compacts what held them.

    A table and its columns are called as before the run that archived them, or, where nothing was called that then, as
    after it. Values are compared as PostgreSQL prints them. Children of the rows are tables of their own to erase from.

    Raises:
        ErasureError: No column is named, or the table's name is none.
        WatchdogError: It failed; nothing was changed, or the message says what is left to do.
    """
    if not key:
        raise ErasureError("Name the rows by at least one column: --where id=42.")
    async with connected(url) as connection:
        done = Erasure()
        if not await has_runs(connection):
            return done
        await prepare(connection)
        try:
            name = await _name(connection, table)
            async with connection.transaction():
                await plain_text(connection)
                await _everywhere(connection, name, key, done)
        except psycopg.errors.LockNotAvailable as error:
            raise WatchdogError("Nothing was erased: an archive is in use; try again later.") from error
        except psycopg.Error as error:
            raise WatchdogError(f"Nothing was erased: {error.diag.message_primary or 'it failed'}.") from error
        await _compact(connection, done)
    return done


async def _name(connection: Connection, table: str) -> Name:
    try:
        row = await (await connection.execute("SELECT parse_ident(%s)", (table,))).fetchone()
    except psycopg.errors.InvalidParameterValue as error:
        raise ErasureError(f"{table} is no table's name; say it as SQL does: public.users.") from error
    parts: list[str] = row[0] if row else []
    if len(parts) > 2:
        raise ErasureError(f"{table} has more than a schema and a name; say it as public.users.")
    return ("public", parts[0]) if len(parts) == 1 else (parts[0], parts[1])


async def _everywhere(connection: Connection, name: Name, key: Mapping[str, str], done: Erasure) -> None:
    # No rollback reads an archive while rows are taken out of it.
    listed: list[tuple[Any, ...]] = await (
        await connection.execute(
            "SELECT id, coalesce(manifest #> '{plan,tables}', '[]') FROM watchdog.migration_runs"
            " ORDER BY id FOR UPDATE NOWAIT"
        )
    ).fetchall()
    runs = {run: cattrs.structure(tables, tuple[TablePlan, ...]) for run, tables in listed}
    asked = {run: _called(tables, name) for run, tables in runs.items()}
    plans = [runs[run][index] for run, found in asked.items() for index in found]
    wanted = [await _wanted(connection, name, plans, column, value) for column, value in key.items()]
    others: set[str] = set()
    for run, tables in runs.items():
        for index, table in enumerate(tables):
            kept = _Kept(run, index, table, await _images(connection, run, index))
            if index in asked[run]:
                await _from_images(connection, kept, wanted, done)
            elif kept.images:
                others.add(qualified(table.name))
        await _from_quarantine(connection, run, name, [tables[index] for index in asked[run]], wanted, done)
    waiting = await (await connection.execute(f'SELECT DISTINCT "table" FROM {_QUARANTINE}'.encode())).fetchall()
    done.others = sorted((others | {text for (text,) in waiting}) - {qualified(name)})


def _called(tables: Sequence[TablePlan], name: Name) -> list[int]:
    """Which tables of a run are called so: before it, or, if none was, after it."""
    before = [index for index, table in enumerate(tables) if table.name == name]
    return before or [index for index, table in enumerate(tables) if table.forward == name]


async def _wanted(connection: Connection, name: Name, plans: Sequence[TablePlan], column: str, value: str) -> _Wanted:
    rows = await (
        await connection.execute(
            "SELECT format_type(atttypid, -1) FROM pg_attribute"
            " WHERE attrelid = to_regclass(%s) AND attname = %s AND NOT attisdropped",
            (qualified(name), column),
        )
    ).fetchall()
    types: set[str] = {text for (text,) in rows}
    types |= {c.type for plan in plans for c in plan.columns if column in (c.name, c.forward)}
    wanted = _Wanted(column, {value})
    for text in sorted(types):
        wanted.any_case |= text.rpartition(".")[2] == "citext"
        try:
            async with connection.transaction():
                row = await (await connection.execute(f"SELECT (%s::text::{text})::text".encode(), (value,))).fetchone()
        except psycopg.Error:
            # The type is gone, or the value is none of its values.
            continue
        if row and row[0] is not None:
            wanted.values.add(row[0])
    return wanted


async def _images(connection: Connection, run: int, index: int) -> tuple[str, ...]:
    """Which images of a table are there."""
    rows = await (
        await connection.execute(
            "SELECT which FROM unnest(%s::text[], %s::text[]) AS i(which, name) WHERE to_regclass(name) IS NOT NULL",
            (list(_WHICH), [image(run, index, which) for which in _WHICH]),
        )
    ).fetchall()
    there = {which for (which,) in rows}
    return tuple(which for which in _WHICH if which in there)


def _column(table: TablePlan, name: str) -> str | None:
    """Where a column is in the images of a table."""
    for n, column in enumerate(table.columns):
        if column.name == name:
            return f"c{n}"
    for n, column in enumerate(table.columns):
        if column.forward == name:
            return f"c{n}"
    return next((f"x{n}" for n, one in enumerate(table.added) if name in (one.forward, one.live)), None)


async def _from_images(connection: Connection, kept: _Kept, wanted: Sequence[_Wanted], done: Erasure) -> None:
    columns = [_column(kept.table, one.column) for one in wanted]
    missing = [one.column for one, column in zip(wanted, columns, strict=True) if column is None]
    added = any(column is not None and column.startswith("x") for column in columns)
    if kept.images and (missing or (added and kept.images == ("before",))):
        names = ", ".join(missing or [one.column for one in wanted])
        done.unsearched.append(f"the archive of run {kept.run} has no column {names} of {qualified(kept.table.name)}")
        return
    if not kept.images:
        return
    hit = " AND ".join(one.holds(f"s.{column}") for one, column in zip(wanted, columns, strict=True))
    row = await (await connection.execute(_deletion(kept, hit, added=added).encode())).fetchone()
    for which, count in zip(kept.images, row or (), strict=True):
        if count:
            done.places.append(Place(kept.run, kept.name(which), qualified(kept.table.name), count))
            await _correct(connection, kept.run, kept.name(which), count)


def _deletion(kept: _Kept, hit: str, *, added: bool) -> str:
    """Deletes the rows from all images of a table alike: what is in one only would be merged as somebody's change."""
    key = _same_row(kept.table)
    seen: list[str] = []
    gone: list[str] = []
    for which in kept.images:
        # A log has only keys, and whole rows that no search goes through.
        found = "false" if which == "log" or (added and which == "before") else f"coalesce({hit}, false)"
        seen.append(f"{which}_ AS MATERIALIZED (SELECT s.n, {key} AS k, {found} AS hit FROM {kept.name(which)} s)")
        gone.append(
            f"{which}_gone AS (DELETE FROM {kept.name(which)} t USING {which}_ s"
            " WHERE t.n = s.n AND (s.hit OR s.k IN (SELECT k FROM wanted WHERE k IS NOT NULL)) RETURNING 1)"
        )
    wanted = " UNION ".join(f"SELECT k FROM {which}_ WHERE hit" for which in kept.images)
    counts = ", ".join(f"(SELECT count(*) FROM {which}_gone)" for which in kept.images)
    return f"WITH {', '.join(seen)}, wanted AS MATERIALIZED ({wanted}), {', '.join(gone)} SELECT {counts}"


def _same_row(table: TablePlan) -> str:
    """What tells that rows `s` of two images are the same row, as the merge of a rollback sees it."""
    if table.kind != "rebuilt":
        return "NULL::text"
    if table.key:
        used = [n for n, column in enumerate(table.columns) if column.name in table.key]
        return f"ROW({', '.join(f's.c{n}' for n in used)})::text"
    used = [n for n, c in enumerate(table.columns) if c.forward is not None and c.same_type and not c.generated]
    row = f"ROW({', '.join(f's.c{n}' for n in used)})::text"
    return f"{row} || '#' || row_number() OVER (PARTITION BY {row} ORDER BY s.n)"


async def _from_quarantine(
    connection: Connection,
    run: int,
    name: Name,
    plans: Sequence[TablePlan],
    wanted: Sequence[_Wanted],
    done: Erasure,
) -> None:
    names = sorted({qualified(name), *(qualified(plan.name) for plan in plans)})
    conditions: list[str] = []
    for one in wanted:
        # A row is kept by the names of after the run, its children by those of before.
        both = {(c.name, c.forward) for plan in plans for c in plan.columns if one.column in (c.name, c.forward)}
        called = {one.column, *(text for pair in both for text in pair if text is not None)}
        conditions.append("(" + " OR ".join(one.holds(f'"row" ->> {literal(text)}') for text in sorted(called)) + ")")
    query = (
        f'WITH gone AS (DELETE FROM {_QUARANTINE} WHERE run = {run} AND "table" IN ({", ".join(map(literal, names))})'
        f' AND {" AND ".join(conditions)} RETURNING "table") SELECT "table", count(*) FROM gone GROUP BY 1'
    )
    rows = await (await connection.execute(query.encode())).fetchall()
    done.places += [Place(run, _QUARANTINE, table, count) for table, count in rows]


async def _correct(connection: Connection, run: int, name: str, erased: int) -> None:
    """The registry tells the truth about what is left."""
    rows, checksum = await content(connection, name)
    await connection.execute(
        "UPDATE watchdog.migration_archives SET rows = %s, checksum = %s, erased = erased + %s"
        " WHERE run = %s AND name = %s",
        (rows, checksum, erased, run, name),
    )


async def _compact(connection: Connection, done: Erasure) -> None:
    """Writes what held the rows anew: a deleted row stays in the file until then."""
    for name in sorted({place.name for place in done.places}):
        try:
            await connection.execute("SET lock_timeout = '5s'")
            await connection.execute(f"VACUUM (FULL) {name}".encode())
        except psycopg.Error as error:
            raise WatchdogError(
                f"The rows are erased, but {name} could not be compacted ({error.diag.message_primary});"
                f" run VACUUM FULL {name}, until then they are in its file."
            ) from error
        await connection.execute(
            "UPDATE watchdog.migration_archives SET bytes = pg_total_relation_size(name::regclass) WHERE name = %s",
            (name,),
        )
