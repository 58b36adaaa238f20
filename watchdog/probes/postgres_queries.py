"""Asking PostgreSQL: one observing connection, and what its errors mean."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

import psycopg
from psycopg import sql

from watchdog.model.signals import Cause, Labels, Missing
from watchdog.ports.errors import ProbeError, WatchdogError
from watchdog.ports.kinds import Script
from watchdog.ports.probes import Reading, Readings
from watchdog.probes.readings import no_answer, single
from watchdog.targets.postgres import PostgresTarget

Connection: TypeAlias = psycopg.AsyncConnection[Any]
Check: TypeAlias = Callable[[Connection], Awaitable[float]]

# Too many connections, shutting down, starting up, lock and statement timeouts: it does not answer now.
_NOT_NOW: Final = ("08", "53", "55P03", "57")
_READ_ONLY: Final = "25006"
_WRONG_QUERY: Final = ("42", "0A")


@asynccontextmanager
async def observing(target: PostgresTarget) -> AsyncIterator[Connection]:
    """A read-only connection.

    Raises:
        ProbeError: For whatever the target or the server says in the block.
    """
    try:
        async with target.observe() as connection:
            yield connection
    except ProbeError:
        raise
    except WatchdogError as error:
        raise no_answer(error) from error


async def read_each(target: PostgresTarget, checks: Mapping[str, Check]) -> Readings:
    """Every signal's check, one after the other on one connection; one that fails does not hide the others.

    Raises:
        ProbeError: The server does not answer.
    """
    readings: dict[str, Mapping[Labels, Reading]] = {}
    async with observing(target) as connection:
        for name, check in checks.items():
            try:
                answer: Reading = await check(connection)
            except ProbeError as error:
                answer = Missing(error.cause, f"target {target.place}: {error}")
            except psycopg.Error as error:
                if connection.broken:
                    raise
                problem = query_error(target.place, error)
                answer = Missing(problem.cause, str(problem))
            readings[name] = single(answer)
    return readings


async def fetch(
    connection: Connection, query: sql.Composable | bytes, values: Sequence[object] | Mapping[str, object] = ()
) -> list[tuple[Any, ...]]:
    """Every row of one query that is ours and returns few."""
    text = query if isinstance(query, bytes) else query.as_bytes(connection)
    cursor = await connection.execute(text, values or None)
    return await cursor.fetchall()


async def fetch_wrapped(
    connection: Connection, before: str, script: Script, after: str, limit: int
) -> list[tuple[Any, ...]]:
    """Every row of a configured query put as a sub-select between two pieces of ours; `$1` in them is `limit`.

    Raises:
        ProbeError: The query is wrong; names its file and line.
        psycopg.Error: Anything else.
    """
    prefix = before + "\n"
    text = f"{prefix}{statement(script)}\n{after}"
    try:
        # A raw cursor leaves a % in the script alone; its parameter makes the server take one statement only.
        cursor = psycopg.AsyncRawCursor(connection)
        await cursor.execute(text.encode(), [limit])
        return await cursor.fetchall()
    except psycopg.Error as error:
        state = error.sqlstate or ""
        if state == _READ_ONLY:
            raise ProbeError(
                Cause.PROBE_BROKEN, f"{script.source or 'query'}: it writes; a check must only read"
            ) from error
        if not state.startswith(_WRONG_QUERY):
            raise
        position = int(error.diag.statement_position or 0) - len(prefix) - 1
        raise ProbeError(
            Cause.PROBE_BROKEN,
            f"{script.source or 'query'} line {_line_at(script, position)}: {error.diag.message_primary} ({state}); "
            "it must be one SELECT that the target's user may run",
        ) from error


def statement(script: Script) -> str:
    """The one statement of a script, without its final semicolon."""
    return script.text.strip().removesuffix(";")


def table_name(name: str) -> sql.Identifier:
    """`table` or `schema.table`, quoted."""
    return sql.Identifier(*name.split("."))


def check_table(name: str, what: str) -> None:
    """Refuses what is no table name.

    Raises:
        ValueError: It has an empty part, or more than a schema and a table.
    """
    parts = name.split(".")
    if not all(parts) or len(parts) > 2:
        raise ValueError(f"{what}: {name!r} is no table; write table or schema.table")


def query_error(place: str, error: psycopg.Error) -> ProbeError:
    """What an error means. Its message is quoted only where it speaks of names: other messages can quote a value."""
    state = error.sqlstate or ""
    if state == "57014":
        return ProbeError(
            Cause.UNREACHABLE,
            f"target {place}: the query took longer than the target's statement_timeout; "
            "make it cheaper, give it an index, or raise the timeout",
        )
    cause = Cause.UNREACHABLE if state.startswith(_NOT_NOW) else Cause.PROBE_BROKEN
    said = error.diag.message_primary if state.startswith("42") else type(error).__name__
    return ProbeError(cause, f"target {place}: {said} (SQLSTATE {state or 'none'})")


def _line_at(script: Script, position: int) -> int:
    """The line in the script of a position in its statement."""
    start = len(script.text) - len(script.text.lstrip())
    return script.text.count("\n", 0, start + max(position, 0)) + 1
