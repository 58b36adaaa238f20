# ruff: noqa: S608 - SQL made of names is what this is for; each is quoted by `quote`, or ours with a number in it
"""Triggers that write down, row by row, what a tool and what others write while the tool works."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from typing import Final, TypeAlias

import psycopg

from watchdog.migrations.images import qualified
from watchdog.migrations.renames import literal
from watchdog.migrations.runs import close
from watchdog.migrations.shape import Connection, Name, Shape
from watchdog.migrations.toc import Entry
from watchdog.migrations.tools.address import MARK
from watchdog.ports.errors import WatchdogError

_TRIES: Final = 20
_SPY_TRIES: Final = 3
_PAUSE: Final = 0.3
"""Seconds between two tries to get a lock."""
_LOCK_TIMEOUT: Final = "400ms"
"""How long writers may queue behind us for one table."""
_OURS: Final = "watchdog_tool_"
_FIELD: Final = '(?:"(?:[^"]|"")*"|[^,")]*)'
"""A value in a row's text, as a regular expression."""
_LAST_PLACE: Final = 256
"""A regular expression repeats something 255 times at most."""
Places: TypeAlias = frozenset[tuple[int, ...]]
"""Where the columns of a key stand in lines of the log, counted from 1; one for each shape that the table had."""


@dataclass(frozen=True)
class Logged:
    """One line of the log; `shape` tells the columns of `old` and `new`, each a row as PostgreSQL writes it."""

    tool: bool
    op: str
    shape: tuple[str, ...]
    old: str | None
    new: str | None


def trigger(run: int) -> str:
    """The name of the triggers of a run."""
    return f"{_OURS}{run}"


def log(run: int) -> str:
    """The log of a run, as SQL."""
    return f"watchdog.tool_{run}_log"


async def install(connection: Connection, run: int, whole: Collection[Name], spied: Iterable[Name]) -> tuple[Name, ...]:
    """Makes the log and its triggers, table by table in transactions of their own; answers with what it spies not on.

    Args:
        whole: Tables of which every write is written down.
        spied: Tables of which only the tool's are.

    Raises:
        WatchdogError: Somebody holds a table for too long; `uninstall` takes away what is there.
    """
    text = resources.files("watchdog.migrations.tools").joinpath("capture.sql").read_text(encoding="utf-8")
    async with connection.transaction():
        await connection.execute(text.replace("{run}", str(run)).encode())
        await connection.execute(f"REVOKE ALL ON FUNCTION watchdog.tool_{run}_capture() FROM PUBLIC".encode())
        await close(connection, log(run))
    for table in whole:
        await _watch(connection, run, table, "")
    held: list[Name] = []
    mark = f"WHEN (coalesce(current_setting({literal(MARK)}, true), '') = {literal(str(run))}) "
    for table in spied:
        try:
            await _watch(connection, run, table, mark, tries=_SPY_TRIES)
        except WatchdogError:
            held.append(table)
    return tuple(held)


async def _watch(connection: Connection, run: int, table: Name, when: str, tries: int | None = None) -> None:
    name, where = trigger(run), qualified(table)
    calls = f"{when}EXECUTE FUNCTION watchdog.tool_{run}_capture()"
    statements = (
        f"CREATE TRIGGER {name} AFTER INSERT OR UPDATE OR DELETE ON {where} FOR EACH ROW {calls}",
        f"CREATE TRIGGER {name}_truncate AFTER TRUNCATE ON {where} FOR EACH STATEMENT {calls}",
        # Also where a session replays changes of another server.
        f"ALTER TABLE ONLY {where} ENABLE ALWAYS TRIGGER {name}, ENABLE ALWAYS TRIGGER {name}_truncate",
    )
    await patiently(connection, statements, f"{where} cannot be watched", tries)


async def patiently(connection: Connection, statements: Iterable[str], what: str, tries: int | None = None) -> None:
    """Carries statements out together, trying again while somebody holds a lock; raises WatchdogError."""
    wanted = tuple(statements)
    problem = ""
    for _ in range(tries or _TRIES):
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'".encode())
                for statement in wanted:
                    await connection.execute(statement.encode())
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
            problem = str(error).strip()
            await asyncio.sleep(_PAUSE)
        else:
            return
    raise WatchdogError(f"{what}: {problem}; find who holds it in pg_stat_activity, and try again.")


async def forget(connection: Connection, run: int) -> None:
    """Empties the log of what the transaction's snapshot already sees in the tables."""
    await connection.execute(f"DELETE FROM {log(run)}".encode())


async def uninstall(connection: Connection, run: int) -> None:
    """Takes the triggers away; `drop_log` takes the rest. Raises WatchdogError when somebody holds a table."""
    rows = await (
        await connection.execute(
            "SELECT format('DROP TRIGGER IF EXISTS %%I ON %%s', tgname, tgrelid::regclass) FROM pg_trigger"
            " WHERE NOT tgisinternal AND tgparentid = 0 AND tgname IN (%s, %s)",
            (trigger(run), f"{trigger(run)}_truncate"),
        )
    ).fetchall()
    # Together: with the lock of one table in hand we must not wait for another's for long.
    statements = [statement for (statement,) in rows]
    await patiently(connection, statements, "The triggers that watched the tool cannot be taken away")


async def drop_log(connection: Connection, run: int) -> None:
    """Takes away the log, when no trigger writes it any more."""
    await connection.execute(f"DROP FUNCTION IF EXISTS watchdog.tool_{run}_capture()".encode())
    await connection.execute(f"DROP TABLE IF EXISTS {log(run)}".encode())


async def abandon(connection: Connection, run: int) -> None:
    """Takes everything away as far as that is possible, when something else went wrong already."""
    with suppress(WatchdogError, psycopg.Error):
        await uninstall(connection, run)
        await drop_log(connection, run)


async def written(connection: Connection, run: int, *, tool: bool) -> frozenset[int]:
    """Tables, by number, that the tool wrote, or that others did."""
    rows = await (
        await connection.execute(f"SELECT DISTINCT relid::bigint FROM {log(run)} WHERE tool = %s".encode(), (tool,))
    ).fetchall()
    return frozenset(number for (number,) in rows)


async def transactions(connection: Connection, run: int) -> tuple[str, ...]:
    """The transactions of the tool that wrote something."""
    rows = await (await connection.execute(f"SELECT DISTINCT xid FROM {log(run)} WHERE tool".encode())).fetchall()
    return tuple(xid for (xid,) in rows)


async def key_places(connection: Connection, run: int, table: int, key: Sequence[str]) -> Places | None:
    """Where the columns of a table's key stand in the lines of its log; None when a line lacks one or has it too late.

    Args:
        key: The columns, as `tokens` says them.
    """
    listed = ", ".join(f"array_position(shape, {literal(one)})" for one in key)
    query = f"SELECT DISTINCT ARRAY[{listed}] FROM {log(run)} WHERE relid = %s AND op <> 'T'"
    rows = await (await connection.execute(query.encode(), (table,))).fetchall()
    found = frozenset(tuple(places) for (places,) in rows)
    return None if any(place is None or place > _LAST_PLACE for places in found for place in places) else found


def _key_in(row: str, key: Sequence[str], places: Places) -> str:
    """The key in a row's text, as an expression: what is written there, as it is."""
    cases: list[str] = []
    for at in sorted(places):
        parts = [f"substring({row} from '^\\((?:{_FIELD},){{{place - 1}}}({_FIELD})')" for place in at]
        here = [f"array_position(shape, {literal(one)}) = {place}" for one, place in zip(key, at, strict=True)]
        cases.append(f"WHEN {' AND '.join(here)} THEN " + " || ',' || ".join(parts))
    return f"CASE {' '.join(cases)} END"


async def events(connection: Connection, run: int, table: int) -> AsyncIterator[Logged]:
    """What was written into a table, in order."""
    async for one in _lines(connection, run, table, f"FROM {log(run)} WHERE relid = {table}"):
        yield one


async def events_of_users(connection: Connection, run: int, table: int) -> AsyncIterator[Logged]:
    """What users wrote into a table, in order."""
    async for one in _lines(connection, run, table, f"FROM {log(run)} WHERE relid = {table} AND NOT tool"):
        yield one


async def events_of_rows(
    connection: Connection, run: int, table: int, key: Sequence[str], places: Places
) -> AsyncIterator[Logged]:
    """What was written into rows that users wrote too, in order, and what was done to all rows at once.

    Args:
        key: Columns of the table's key, as `tokens` says them.
        places: As `key_places` found them.
    """
    was, now = (_key_in(row, key, places) for row in ("old", "new"))
    wanted = (
        f"WITH lines AS MATERIALIZED (SELECT seq, tool, op, {was} AS a, {now} AS b FROM {log(run)}"
        f" WHERE relid = {table}), users AS MATERIALIZED"
        " (SELECT a AS k FROM lines WHERE NOT tool UNION SELECT b FROM lines WHERE NOT tool)"
        " SELECT seq FROM lines JOIN users ON k = a UNION SELECT seq FROM lines JOIN users ON k = b"
        " UNION SELECT seq FROM lines WHERE op = 'T'"
    )
    async for one in _lines(connection, run, table, f"FROM ({wanted}) w JOIN {log(run)} l USING (seq)"):
        yield one


async def _lines(connection: Connection, run: int, table: int, source: str) -> AsyncIterator[Logged]:
    query = f"SELECT tool, op, coalesce(shape, '{{}}'), old, new {source} ORDER BY seq"
    async with connection.cursor(f"tool_{run}_{table}") as cursor:
        await cursor.execute(query.encode())
        async for tool, op, shape, old, new in cursor:
            yield Logged(tool, op, tuple(shape), old, new)


def is_ours(line: str) -> bool:
    """Whether a line of the catalog is one of our triggers."""
    return line.startswith(f"trigger CREATE TRIGGER {_OURS}")


def without_triggers(shape: Shape) -> tuple[str, ...]:
    """A schema's outline as it is without our triggers."""
    return tuple(line for line in shape.outline() if f" {_OURS}" not in line or not line.startswith("trigger "))


def entries_without_triggers(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """A dump's contents without our triggers."""
    return tuple(e for e in entries if not (e.kind == "TRIGGER" and f" {_OURS}" in f" {e.tag}"))
