# ruff: noqa: S608 - SQL made of names is what this is for; each is one of ours
"""Corrects a table's images by what users wrote while the tool worked."""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass

from psycopg.types.json import Jsonb

from watchdog.migrations.images import image, qualified
from watchdog.migrations.shape import Connection, Table
from watchdog.migrations.table_plans import TablePlan
from watchdog.migrations.tools.capture import Logged, events
from watchdog.migrations.tools.fold import ByKey, ByRow, Columns, Event, Folded, Row
from watchdog.migrations.tools.texts import row, row_text

_REASON = "it was written while the migration tool was at work on its columns"


@dataclass(frozen=True)
class Side:
    """An image of a table: which column of the table, by number, is which of the image's."""

    name: str
    columns: Mapping[int, str]


@dataclass(frozen=True)
class _Watched:
    """A table with its log.

    Attributes:
        was, now: Its columns as the log says them, before and afterwards.
        bases: The types under domains.
    """

    number: int
    columns: Columns
    was: frozenset[str]
    now: frozenset[str]
    bases: Mapping[int, int]

    def event(self, logged: Logged) -> Event:
        return Event(
            logged.tool,
            logged.op,
            row(logged.old, logged.shape, self.bases),
            row(logged.new, logged.shape, self.bases),
            frozenset(_number(one) for one in logged.shape if one in self.was),
            frozenset(_number(one) for one in logged.shape if one in self.now),
        )

    def keys(self, event: Event) -> Iterable[str]:
        """What tells the rows of an event apart, in either image."""
        for one in (event.old, event.new):
            if one is None:
                continue
            for numbers in {self.columns.key} if self.columns.key else {self.columns.before, self.columns.after}:
                yield row_text(one.get(number) for number in numbers)


async def tokens(connection: Connection, number: int) -> frozenset[str]:
    """A table's columns as the log says them."""
    rows = await (
        await connection.execute(
            "SELECT concat_ws(':', attnum, atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped",
            (number,),
        )
    ).fetchall()
    return frozenset(token for (token,) in rows)


async def correct(
    connection: Connection, run: int, index: int, table: TablePlan, tables: tuple[Table, Table | None],
    was: frozenset[str],
) -> int:  # fmt: skip
    """Corrects the images of a table; answers with how many writes could be placed nowhere but in quarantine.

    Args:
        tables: What it is before and afterwards, in this database.
        was: Its columns before, as `tokens` said them.
    """
    old, new = tables
    before, after = _sides(run, index, table, old, new)
    names = table.key or (old.key if new is None else ())
    key = tuple(column.number for column in old.columns if column.name in names)
    columns = Columns(tuple(before.columns), tuple(after.columns), key)
    watched = _Watched(old.number, columns, was, await tokens(connection, old.number), await _bases(connection))
    keys, odd = await _users_keys(connection, run, watched)
    if not keys and not odd:
        return 0
    fold = (ByKey if key else ByRow)(
        columns,
        await _rows(connection, before, key or columns.before, keys),
        await _rows(connection, after, key or columns.after, keys) if new is not None else (),
    )
    broken = 0
    async for event in _events(connection, run, watched):
        if event is None:
            broken += 1
        elif event.op == "T" or not keys.isdisjoint(watched.keys(event)):
            fold.add(event)
    folded = fold.result()
    await _replace(connection, before, folded.before, key or columns.before, keys, emptied=folded.emptied)
    if new is not None:
        await _replace(connection, after, folded.after, key or columns.after, keys)
    await _set_aside(connection, run, table, (old, new), folded)
    return len(folded.unplaced) + broken


def _number(token: str) -> int:
    return int(token.split(":", 1)[0])


def _sides(run: int, index: int, table: TablePlan, old: Table, new: Table | None) -> tuple[Side, Side]:
    # Generated values are made again, so nobody compares them.
    was = {column.name: column.number for column in old.columns}
    before = {was[c.name]: f"c{n}" for n, c in enumerate(table.columns) if not c.generated}
    after: dict[int, str] = {}
    if new is not None:
        now = {column.name: column.number for column in new.columns}
        after = {now[c.forward]: f"c{n}" for n, c in enumerate(table.columns) if c.forward and not c.generated}
        after |= {now[c.forward]: f"x{n}" for n, c in enumerate(table.added)}
    return Side(image(run, index, "before"), before), Side(image(run, index, "after"), after)


async def _bases(connection: Connection) -> dict[int, int]:
    rows = await (
        await connection.execute("SELECT oid::bigint, typbasetype::bigint FROM pg_type WHERE typtype = 'd'")
    ).fetchall()
    return dict(rows)


async def _events(connection: Connection, run: int, watched: _Watched) -> AsyncIterator[Event | None]:
    """The log of a table; None for a line that does not fit its own columns."""
    async for logged in events(connection, run, watched.number):
        try:
            event = watched.event(logged)
        except ValueError:
            # A long transaction saw the columns of before in the catalog, and wrote those of afterwards.
            event = None
        yield event


async def _users_keys(connection: Connection, run: int, watched: _Watched) -> tuple[set[str], bool]:
    """The keys that users wrote, and whether something else must be looked at."""
    keys: set[str] = set()
    odd = False
    async for event in _events(connection, run, watched):
        if event is None or (event.op == "T" and not event.tool):
            odd = True
        elif not event.tool:
            keys.update(watched.keys(event))
    return keys, odd


def _key_of(side: Side, key: tuple[int, ...]) -> str:
    return f"ROW({', '.join(side.columns[number] for number in key)})::text"


async def _rows(connection: Connection, side: Side, key: tuple[int, ...], keys: set[str]) -> list[Row]:
    listed = ", ".join(side.columns.values())
    query = f"SELECT {listed} FROM {side.name} WHERE {_key_of(side, key)} = ANY (%s)"
    rows = await (await connection.execute(query.encode(), (list(keys),))).fetchall()
    return [dict(zip(side.columns, one, strict=True)) for one in rows]


async def _replace(
    connection: Connection, side: Side, rows: list[Row], key: tuple[int, ...], keys: set[str], *, emptied: bool = False
) -> None:
    """Puts rows in place of those with these keys, or of all."""
    # A publication of all tables lets nobody delete from a table without an identity.
    await connection.execute(f"ALTER TABLE {side.name} REPLICA IDENTITY FULL".encode())
    where = f" WHERE {_key_of(side, key)} = ANY (%s)"
    await connection.execute(
        f"DELETE FROM {side.name}{'' if emptied else where}".encode(), None if emptied else (list(keys),)
    )
    last = await (await connection.execute(f"SELECT coalesce(max(n), 0) FROM {side.name}".encode())).fetchone()
    first = int(last[0]) + 1 if last else 1
    listed = ", ".join(("n", *side.columns.values()))
    async with connection.cursor() as cursor, cursor.copy(f"COPY {side.name} ({listed}) FROM STDIN".encode()) as copy:
        for n, one in enumerate(rows, first):
            await copy.write_row((n, *(one.get(number) for number in side.columns)))


async def _set_aside(
    connection: Connection, run: int, table: TablePlan, tables: tuple[Table, Table | None], folded: Folded
) -> None:
    names = {c.number: c.name for one in tables if one is not None for c in one.columns}
    for one in folded.unplaced:
        said = {names.get(number, f"column {number}"): value for number, value in one.items()}
        await connection.execute(
            'INSERT INTO watchdog.migration_quarantine (run, "table", reason, "row") VALUES (%s, %s, %s, %s)',
            (run, qualified(table.name), _REASON, Jsonb(said)),
        )
