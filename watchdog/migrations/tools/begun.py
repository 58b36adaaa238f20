# ruff: noqa: S608 - the only names in SQL here are ours, with a number in them
"""What stands in the database while a tool works, so that a run whose process died can be finished."""

from dataclasses import dataclass, field
from typing import Final

from cattrs.preconf.json import make_converter
from psycopg.types.json import Jsonb

from watchdog.migrations.limits import Recorded
from watchdog.migrations.runs import close
from watchdog.migrations.session import RefusedError
from watchdog.migrations.shape import Connection, Name, Shape
from watchdog.migrations.toc import Entry
from watchdog.migrations.tools.address import session_name
from watchdog.migrations.tools.capture import drop_log, uninstall
from watchdog.migrations.undo import Plan

_CONVERTER: Final = make_converter()
_LOCK: Final = "hashtext('watchdog.migration_runs'), %s::int"
_NO_RUN: Final = 0
_WAY_OUT: Final = "`watchdog migration rollback --database … {}` finishes it and takes it back"


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
        log: What will be said of the log of what users write after the tool.
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
    log: Recorded = field(default_factory=Recorded)


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


async def sweep(connection: Connection) -> None:
    """Takes away what runs left behind that are over or gone.

    Raises:
        RefusedError: Another run is still under way, or was left half-way.
        WatchdogError: Somebody holds a table.
    """
    rows = await (
        await connection.execute(
            "SELECT number, EXISTS (SELECT FROM watchdog.migration_runs"
            " WHERE id = number AND state IN ('preparing', 'applying'))"
            " FROM (SELECT DISTINCT (regexp_match(relname, '^tool_([0-9]+)_(log|begun)$'))[1]::bigint AS number"
            " FROM pg_class WHERE relnamespace = 'watchdog'::regnamespace) AS left_behind WHERE number IS NOT NULL"
        )
    ).fetchall()
    for run, under_way in rows:
        if under_way:
            raise RefusedError((f"run {run} of a tool is not finished: {await _what_to_do(connection, run)}",))
        await take_away(connection, run)


async def alone(connection: Connection) -> None:
    """Keeps others from beginning a run of a tool to the end of the transaction; raises as `sweep`."""
    await connection.execute(f"SELECT pg_advisory_xact_lock({_LOCK})".encode(), (_NO_RUN,))
    await sweep(connection)


async def _what_to_do(connection: Connection, run: int) -> str:
    if pid := await works_in(connection, run):
        return f"it still works, in the session with pid {pid}; wait for it, or stop it, and try again"
    if not await hold(connection, run):
        return "somebody else is at it; wait, and try again"
    await connection.execute(f"SELECT pg_advisory_unlock({_LOCK})".encode(), (run,))
    return f"who applied it is gone; {_WAY_OUT.format(run)}, then try again"


async def hold(connection: Connection, run: int) -> bool:
    """Holds a run for the connection; False when somebody else does."""
    row = await (await connection.execute(f"SELECT pg_try_advisory_lock({_LOCK})".encode(), (run,))).fetchone()
    return bool(row and row[0])


async def works_in(connection: Connection, run: int) -> int | None:
    """The pid of a session in which the tool of a run is; None when there is none."""
    row = await (
        await connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s",
            (session_name(run),),
        )
    ).fetchone()
    return row[0] if row else None


async def refuse_unfinished(connection: Connection, run: int) -> None:
    """Raises RefusedError when a run stopped half way: what it did is not known before it is finished."""
    if await load(connection, run):
        raise RefusedError((f"run {run} stopped half way; {_WAY_OUT.format(run)}",))


async def take_away(connection: Connection, run: int) -> None:
    """Takes away all that watches the tool of a run; raises WatchdogError when somebody holds a table."""
    await uninstall(connection, run)
    await drop_log(connection, run)
    await drop(connection, run)
