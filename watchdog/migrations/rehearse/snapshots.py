# ruff: noqa: S608 - SQL made of names is what this is for; each is quoted by `quote` or `literal`
"""The rows of every table at one moment, kept as text in the copy itself, so that moments can be compared there."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from watchdog.migrations.images import qualified
from watchdog.migrations.renames import quote
from watchdog.migrations.session import plain_text
from watchdog.migrations.shape import Connection, Shape, Table, look

_ALIKE: Final = frozenset({"smallint", "integer", "bigint"}), frozenset({"text", "character varying"})


@dataclass(frozen=True)
class Snapshot:
    """Where the rows of a table are kept: `k` is its old primary key, `a1` its first column, and so on.

    Attributes:
        columns: By number.
        keyed: Whether the key tells rows apart.
    """

    image: str
    columns: tuple[int, ...]
    keyed: bool


Snapshots = Mapping[int, Snapshot]
"""By the number that the table had when it was seen first."""


async def shape_of(connection: Connection) -> Shape:
    """The shape now, with every type called by its full name."""
    async with connection.transaction():
        return await look(connection)


async def take(connection: Connection, moment: str, shape: Shape, like: Shape | None = None) -> Snapshots:
    """Keeps every row of every table.

    Args:
        moment: A word for the names of the images.
        shape: As it is now.
        like: As it was before the script; keys are those of then. None when that is now.
    """
    found: dict[int, Snapshot] = {}
    async with connection.transaction():
        await plain_text(connection)
        for table in shape.tables:
            if table.kind != "r":
                continue
            old = table if like is None else like.table(table.number)
            names = {column.number: quote(column.name) for column in table.columns}
            image = f"watchdog.rehearsal_{moment}_{table.number}"
            found[table.number] = await _keep(connection, image, table, names, _key(old))
    return found


async def take_back(connection: Connection, moment: str, old: Shape, now: Shape) -> tuple[Snapshots, tuple[str, ...]]:
    """Keeps the rows of the old tables by name, as a way back has left them; also says which are not there."""
    found: dict[int, Snapshot] = {}
    gone: list[str] = []
    there = {table.name: table for table in now.tables}
    async with connection.transaction():
        await plain_text(connection)
        for table in old.tables:
            if table.kind != "r":
                continue
            new = there.get(table.name)
            if new is None or not {c.name for c in table.columns} <= {c.name for c in new.columns}:
                gone.append(f"table {qualified(table.name)} or one of its columns is gone")
                continue
            names = {column.number: quote(column.name) for column in table.columns}
            image = f"watchdog.rehearsal_{moment}_{table.number}"
            found[table.number] = await _keep(connection, image, table, names, _key(table))
    return found, tuple(gone)


def _key(old: Table | None) -> tuple[int, ...]:
    if old is None:
        return ()
    return tuple(column.number for name in old.key for column in old.columns if column.name == name)


async def _keep(
    connection: Connection, image: str, table: Table, names: Mapping[int, str], key: Sequence[int]
) -> Snapshot:
    keyed = bool(key) and set(key) <= set(names)
    parts = [f"ROW({', '.join(f'{names[n]}::text' for n in key)})::text AS k"] if keyed else ["NULL::text AS k"]
    parts += [f"{name}::text AS a{number}" for number, name in names.items()]
    query = f"CREATE UNLOGGED TABLE {image} AS SELECT {', '.join(parts)} FROM ONLY {qualified(table.name)}"
    await connection.execute(query.encode())
    return Snapshot(image, tuple(names), keyed)


def relabelled(old: Shape, new: Shape) -> frozenset[str]:
    """Enum types some of whose labels are others now, so that an equal value is another text."""
    now = _labels(new)
    return frozenset(name for name, labels in _labels(old).items() if not labels <= now.get(name, labels))


def _labels(shape: Shape) -> dict[str, set[str]]:
    types = {one.number: f"{one.schema}.{one.name}" for one in shape.names if one.group == "type"}
    found: dict[str, set[str]] = {}
    for one in shape.names:
        if one.group == "label":
            found.setdefault(types[one.parent], set()).add(one.name)
    return found


def common(old: Table, new: Table, other: Collection[str] = ()) -> tuple[int, ...]:
    """The columns, by number, whose values can be compared as text before and after.

    Args:
        other: Types whose values read in another way now.
    """
    there = {column.number: column for column in new.columns}
    return tuple(
        column.number
        for column in old.columns
        if (now := there.get(column.number)) is not None
        and column.type.replace('"', "").removesuffix("[]") not in other
        and not column.generated
        and not now.generated
        and (column.type == now.type or any({column.type, now.type} <= each for each in _ALIKE))
    )


def listed(columns: Iterable[int], alias: str = "") -> str:
    """Columns of a snapshot as SQL."""
    return ", ".join(f"{alias}a{number}" for number in columns)


async def number(connection: Connection, query: str) -> int:
    """The one number that a query answers."""
    row = await (await connection.execute(query.encode())).fetchone()
    return int(row[0]) if row else 0


async def missing(connection: Connection, wanted: Snapshot, there: Snapshot) -> int:
    """How many rows of one snapshot the other one has not, each with all its columns."""
    columns = listed(wanted.columns)
    rows = f"SELECT {columns} FROM {wanted.image} EXCEPT ALL SELECT {columns} FROM {there.image}"
    return await number(connection, f"SELECT count(*) FROM ({rows}) AS m")
