# ruff: noqa: S608 - SQL made of names is what this is for; each is one of ours
"""Corrects a table's images by what users wrote while the tool worked."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass

from psycopg.types.json import Jsonb

from watchdog.migrations.images import image, qualified
from watchdog.migrations.shape import Connection, Table
from watchdog.migrations.table_plans import TablePlan
from watchdog.migrations.tools.capture import Logged, Places, events, events_of_rows, events_of_users, key_places
from watchdog.migrations.tools.fold import ByKey, ByRow, Columns, Event, Folded, Row
from watchdog.migrations.tools.texts import row, row_text

_REASON = "it was written while the migration tool was at work on its columns"


@dataclass(frozen=True)
class Side:
    """An image of a table: which column of the table, by number, is which of the image's."""

    name: str
    columns: Mapping[int, str]


@dataclass(frozen=True)
class Watched:
    """A table with its log.

    Attributes:
        run: Its run.
        index: Its place in the plan.
        old: What it was before, in this database.
        new: What it is afterwards; None when it is gone.
        before: Its image before, and `after` the one of afterwards.
        was: Its columns as the log says them, before; `now` afterwards.
        bases: The types under domains.
    """

    run: int
    index: int
    table: TablePlan
    old: Table
    new: Table | None
    before: Side
    after: Side
    columns: Columns
    was: frozenset[str]
    now: frozenset[str]
    bases: Mapping[int, int]

    def event(self, logged: Logged) -> Event:
        """A line of the log; raises ValueError when it does not fit its own columns."""
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

    @property
    def key(self) -> tuple[str, ...]:
        """The columns of its key as the log says them before; none without a key."""
        return tuple(one for number in self.columns.key for one in self.was if _number(one) == number)


@dataclass(frozen=True)
class Users:
    """What users wrote into a table while the tool worked.

    Attributes:
        keys: Of the rows that they wrote.
        places: Where the key stands in lines of the log; None when it is not known of each.
        odd: Something else was done, too: all rows went at once, or a line does not fit its own columns.
    """

    keys: frozenset[str] = frozenset()
    places: Places | None = None
    odd: bool = False

    @property
    def by_key(self) -> bool:
        """Whether it is known of each line which row it is about."""
        return not self.odd and (not self.keys or self.places is not None)


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


async def watched(
    connection: Connection, what: tuple[int, int, TablePlan], tables: tuple[Table, Table | None], was: frozenset[str]
) -> Watched:
    """A table as its log is to be read.

    Args:
        what: The run, the table's place in its plan, and the plan of the table.
        tables: What it is before and afterwards, in this database.
        was: Its columns before, as `tokens` said them.
    """
    (run, index, table), (old, new) = what, tables
    before, after = _sides(run, index, table, old, new)
    names = table.key or (old.key if new is None else ())
    key = tuple(column.number for column in old.columns if column.name in names)
    columns = Columns(tuple(before.columns), tuple(after.columns), key)
    now = await tokens(connection, old.number)
    return Watched(run, index, table, old, new, before, after, columns, was, now, await _bases(connection))


async def users_wrote(connection: Connection, watched: Watched) -> Users:
    """What users wrote; where they wrote nothing, of the log nothing is read."""
    keys: set[str] = set()
    odd = False
    async for event in _events(watched, events_of_users(connection, watched.run, watched.old.number)):
        if event is None or event.op == "T":
            odd = True
        else:
            keys.update(watched.keys(event))
    places = None
    if keys and watched.columns.key and not odd:
        places = await key_places(connection, watched.run, watched.old.number, watched.key)
    return Users(frozenset(keys), places, odd)


async def correct(connection: Connection, watched: Watched, users: Users) -> int:
    """Corrects both images of a table; answers with how many writes could be placed nowhere but in quarantine."""
    if not users.keys and not users.odd:
        return 0
    key = watched.columns.key or watched.columns.after
    after = await _rows(connection, watched.after, key, users.keys) if watched.new is not None else []
    folded, odd = await correct_before(connection, watched, users, after)
    if watched.new is not None:
        await _replace(connection, watched.after, folded.after, key, users.keys)
    return odd


async def correct_before(
    connection: Connection, watched: Watched, users: Users, after: Iterable[Row]
) -> tuple[Folded, int]:
    """Corrects the image before, and says what the one after holds; answers with that, and as `correct`.

    Args:
        after: Rows as they are now, of those that users wrote.
    """
    columns = watched.columns
    key = columns.key or columns.before
    kind = ByKey if columns.key else ByRow
    fold = kind(columns, await _rows(connection, watched.before, key, users.keys), after)
    broken = 0
    async for event in _events(watched, _of_rows(connection, watched, users)):
        if event is None:
            broken += 1
        elif event.op == "T" or not users.keys.isdisjoint(watched.keys(event)):
            fold.add(event)
    folded = fold.result()
    await _replace(connection, watched.before, folded.before, key, users.keys, emptied=folded.emptied)
    await _set_aside(connection, watched, folded)
    return folded, len(folded.unplaced) + broken


def _of_rows(connection: Connection, watched: Watched, users: Users) -> AsyncIterator[Logged]:
    """The log of a table, without lines of rows that users did not write, where that can be told."""
    run, number = watched.run, watched.old.number
    if users.places is None:
        return events(connection, run, number)
    return events_of_rows(connection, run, number, watched.key, users.places)


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


async def _events(watched: Watched, lines: AsyncIterator[Logged]) -> AsyncIterator[Event | None]:
    """Lines of the log of a table; None for one that does not fit its own columns."""
    async for logged in lines:
        try:
            event = watched.event(logged)
        except ValueError:
            # A long transaction saw the columns of before in the catalog, and wrote those of afterwards.
            event = None
        yield event


def _key_of(side: Side, key: tuple[int, ...]) -> str:
    return f"ROW({', '.join(side.columns[number] for number in key)})::text"


async def _rows(connection: Connection, side: Side, key: tuple[int, ...], keys: Collection[str]) -> list[Row]:
    listed = ", ".join(side.columns.values())
    query = f"SELECT {listed} FROM {side.name} WHERE {_key_of(side, key)} = ANY (%s)"
    rows = await (await connection.execute(query.encode(), (list(keys),))).fetchall()
    return [dict(zip(side.columns, one, strict=True)) for one in rows]


async def _replace(
    connection: Connection,
    side: Side,
    rows: list[Row],
    key: tuple[int, ...],
    keys: Collection[str],
    *,
    emptied: bool = False,
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


async def _set_aside(connection: Connection, watched: Watched, folded: Folded) -> None:
    names = {c.number: c.name for one in (watched.old, watched.new) if one is not None for c in one.columns}
    for one in folded.unplaced:
        said = {names.get(number, f"column {number}"): value for number, value in one.items()}
        await connection.execute(
            'INSERT INTO watchdog.migration_quarantine (run, "table", reason, "row") VALUES (%s, %s, %s, %s)',
            (watched.run, qualified(watched.table.name), _REASON, Jsonb(said)),
        )
