# ruff: noqa: S608 - the only names in SQL here are ours, with a number in them
"""What stands in the database while a tool works, so that a run whose process died can be finished."""

from dataclasses import dataclass
from typing import Final

from cattrs.preconf.json import make_converter
from psycopg.types.json import Jsonb

from watchdog.migrations.runs import close
from watchdog.migrations.shape import Connection, Name, Shape
from watchdog.migrations.toc import Entry
from watchdog.migrations.undo import Plan

_CONVERTER: Final = make_converter()


@dataclass(frozen=True)
class Begun:
    """Production before the tool, and what the tool is expected to do.

    Attributes:
        entries: Contents of the schema.
        catalog: Its catalog, by lines.
        positions: Of sequences: last value, and whether it was given out.
        columns: Columns of each archived table by its number, as the log says them.
        outside: What lies outside the schema, as text.
        plan: The undo, as proven on a copy; images are numbered by it.
        outline: The schema afterwards, as on the copy.
        archived: Tables whose rows are kept.
        made: Rows, each as one text, that it wrote on the copy into tables of its own, by their names as SQL.
        version_tables: More tables in which the tool notes what it applied.
    """

    entries: tuple[Entry, ...]
    shape: Shape
    catalog: tuple[str, ...]
    positions: dict[str, tuple[int, bool]]
    columns: dict[int, frozenset[str]]
    outside: str
    plan: Plan
    outline: tuple[str, ...]
    archived: frozenset[Name]
    made: dict[str, tuple[str, ...]]
    version_tables: tuple[str, ...] = ()
    role: str = ""


def _where(run: int) -> str:
    return f"watchdog.tool_{run}_begun"


async def save(connection: Connection, run: int, begun: Begun) -> None:
    """Keeps it until the run is finished."""
    await connection.execute(f"CREATE TABLE {_where(run)} (value jsonb NOT NULL)".encode())
    await close(connection, _where(run))
    value = Jsonb(_CONVERTER.unstructure(begun))
    await connection.execute(f"INSERT INTO {_where(run)} VALUES (%s)".encode(), (value,))


async def load(connection: Connection, run: int) -> Begun | None:
    """What was kept; None when this is no run of a tool, or it is finished."""
    there = await (await connection.execute("SELECT to_regclass(%s) IS NOT NULL", (_where(run),))).fetchone()
    if not (there and there[0]):
        return None
    row = await (await connection.execute(f"SELECT value FROM {_where(run)}".encode())).fetchone()
    return _CONVERTER.structure(row[0], Begun) if row else None


async def drop(connection: Connection, run: int) -> None:
    """Takes it away."""
    await connection.execute(f"DROP TABLE IF EXISTS {_where(run)}".encode())
