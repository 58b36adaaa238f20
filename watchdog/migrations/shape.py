"""What a schema is made of, by number: the same number before and after tells a rename from a drop and an add."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import TypeAlias

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

Connection: TypeAlias = AsyncConnection[TupleRow]
Name: TypeAlias = tuple[str, str]
"""Schema and name of a relation."""


@dataclass(frozen=True)
class Named:
    """An object that can be renamed.

    Attributes:
        group: schema, relation, type, routine, column, constraint, trigger, policy, rule or label.
        parent: The number of what it belongs to; 0 for none.
        kind: PostgreSQL's letter for it.
        extra: Arguments of a routine; `i` for what is inherited; how a sequence is owned; `filled` for a materialized
            view with contents.
    """

    group: str
    number: int
    parent: int
    kind: str
    schema: str
    name: str
    extra: str


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        type: Without its length or precision, as an assignment target.
        exact: With them.
        other: Whatever else it is made of, as text.
    """

    number: int
    name: str
    type: str
    exact: str
    generated: bool
    required: bool
    default: str | None
    inherited: bool
    other: str


@dataclass(frozen=True)
class Table:
    """A table or partition.

    Attributes:
        kind: `r`, or `p` for a partitioned one, which holds no rows itself.
        storage: The number of its file; another one means that it was rewritten.
        other: Whatever else it is made of, as text.
        key: The columns of its primary key.
        checks: Its CHECK constraints by name.
    """

    number: int
    name: Name
    kind: str
    storage: int
    other: str
    key: tuple[str, ...]
    checks: Mapping[str, str]
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key; `on_delete` is PostgreSQL's letter."""

    name: str
    child: Name
    parent: Name
    columns: tuple[str, ...]
    parent_columns: tuple[str, ...]
    on_delete: str
    valid: bool


@dataclass(frozen=True)
class Shape:
    """A whole schema."""

    names: tuple[Named, ...]
    tables: tuple[Table, ...]
    foreign_keys: tuple[ForeignKey, ...]

    def table(self, number: int) -> Table | None:
        """The table with this number."""
        return next((table for table in self.tables if table.number == number), None)

    def filled(self) -> frozenset[Name]:
        """Materialized views with contents."""
        return frozenset((one.schema, one.name) for one in self.names if one.kind == "m" and one.extra == "filled")

    def outline(self) -> tuple[str, ...]:
        """What must be equal on the clone and in production: names and types, no expressions, which drift in text."""
        lines = [
            f"{one.group} {one.kind} {one.schema} {one.name} {one.extra}" for one in self.names if one.group != "column"
        ]
        for table in self.tables:
            lines += [f"{table.name} {c.name} {c.exact} {c.required} {c.generated}" for c in table.columns]
            lines += [f"{table.name} {position} {c.name}" for position, c in enumerate(table.columns)]
        return tuple(sorted(lines))


def load_query(name: str) -> bytes:
    """A query of this package, from its file."""
    return resources.files("watchdog.migrations").joinpath(name).read_bytes()


async def look(connection: Connection) -> Shape:
    """The shape of the connection's database, our own schema left out. Sets search_path for the transaction."""
    await connection.execute("SELECT set_config('search_path', '', true)")
    names = await (await connection.execute(load_query("shape.sql"))).fetchall()
    tables = await (await connection.execute(load_query("columns.sql"))).fetchall()
    keys = await (await connection.execute(load_query("foreign_keys.sql"))).fetchall()
    return Shape(
        tuple(Named(*row) for row in names),
        tuple(_table(row) for row in tables),
        tuple(ForeignKey(n, (cs, c), (ps, p), tuple(x), tuple(y), d, v) for n, cs, c, ps, p, x, y, d, v in keys),
    )


def _table(row: TupleRow) -> Table:
    number, schema, name, kind, storage, other, key, checks, columns = row
    return Table(
        number, (schema, name), kind, storage, other, tuple(key), checks, tuple(Column(**column) for column in columns)
    )
