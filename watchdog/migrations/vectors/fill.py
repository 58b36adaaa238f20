"""Fills a column of vectors: in short batches by an expression, or by a command of the user."""

import asyncio
import os
from collections.abc import Mapping

import psycopg
from psycopg import sql

from watchdog.migrations.shape import Connection
from watchdog.migrations.vectors.file import Fill
from watchdog.migrations.vectors.plan import Plan
from watchdog.ports.errors import WatchdogError

_BATCH = 500
_TRIES = 20
_ROUNDS = 5
_GRACE_S = 10.0
_STANDARD_ERROR = 2
_STEP = """
    WITH batch AS (
        SELECT {key} AS watchdog_key FROM {table}
        WHERE {after} AND {to} IS NULL AND {have} IS NOT NULL ORDER BY {key} LIMIT {limit}
    ), done AS (
        UPDATE {table} SET {to} = ({expression}
        ) FROM batch WHERE {table}.{key} = watchdog_key
    ) SELECT watchdog_key, (SELECT count(*) FROM batch) FROM batch ORDER BY 1 DESC LIMIT 1
"""
_MISSING = "SELECT count(*) FROM {table} WHERE {new} IS NULL AND {old} IS NOT NULL"


async def fill_new(connection: Connection, url: str, plan: Plan, fill: Fill) -> int:
    """Fills rows with an old vector and no new one, until there are none; answers how many there were.

    Raises:
        WatchdogError: Rows stay without a vector; what is filled stays, and applying again goes on.
        psycopg.Error: The expression fails.
    """
    first = missing = await count_missing(connection, plan)
    for _ in range(_ROUNDS):
        if not missing or not fill.is_ours:
            break
        await fill_once(connection, url, plan, fill)
        missing = await count_missing(connection, plan)
    if missing:
        by = "the application has to fill them" if not fill.is_ours else "fill gave them none"
        raise WatchdogError(
            f"{missing:,} rows have no vector in {plan.new} ({by}); apply again to go on, or roll back."
        )
    return first


async def fill_once(connection: Connection, url: str, plan: Plan, fill: Fill) -> None:
    """One pass over what is missing."""
    if fill.command:
        await _command(fill.command, _environment(url, plan))
    else:
        await _by_expression(connection, plan, fill.sql)


async def count_missing(connection: Connection, plan: Plan) -> int:
    """Rows that have an old vector and no new one."""
    row = await (await connection.execute(sql.SQL(_MISSING).format(**plan.names))).fetchone()
    return int(row[0]) if row else 0


async def run_command(command: tuple[str, ...], url: str, plan: Plan, **more: str) -> None:
    """Runs a command of the user with the database in its environment; raises WatchdogError when it fails."""
    await _command(command, {**_environment(url, plan), **more})


def _environment(url: str, plan: Plan) -> Mapping[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": url,
        "WATCHDOG_TABLE": f"{plan.schema}.{plan.table}",
        "WATCHDOG_KEY": plan.key,
        "WATCHDOG_COLUMN": plan.column,
        "WATCHDOG_NEW_COLUMN": plan.new,
    }


async def _by_expression(connection: Connection, plan: Plan, expression: str) -> None:
    last: object = None
    while True:
        after = sql.SQL("{} > {}").format(plan.names["key"], sql.Literal(last)) if last is not None else sql.SQL("true")
        query = sql.SQL(_STEP).format(
            **plan.names,
            after=after,
            to=plan.names["new"],
            have=plan.names["old"],
            limit=sql.Literal(_BATCH),
            expression=sql.SQL(expression),
        )
        row = await _patiently(connection, query)
        if row is None:
            return
        last = row[0]


async def _patiently(connection: Connection, query: sql.Composed) -> tuple[object, ...] | None:
    for attempt in range(_TRIES):
        try:
            async with connection.transaction():
                await connection.execute("SET LOCAL lock_timeout = '2s'")
                return await (await connection.execute(query)).fetchone()
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            if attempt == _TRIES - 1:
                raise
            await asyncio.sleep(0.1)
    return None


async def _command(command: tuple[str, ...], environment: Mapping[str, str]) -> None:
    try:
        process = await asyncio.create_subprocess_exec(
            *command, env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=_STANDARD_ERROR
        )
    except OSError as error:
        raise WatchdogError(f"{command[0]} cannot be run ({error.strerror}); check command.") from None
    try:
        status = await process.wait()
    finally:
        if process.returncode is None:
            await _stop(process)
    if status:
        raise WatchdogError(f"{command[0]} ended with status {status}; apply again to go on, or roll back.")


async def _stop(process: asyncio.subprocess.Process) -> None:
    process.terminate()
    try:
        await asyncio.wait_for(asyncio.shield(process.wait()), _GRACE_S)
    except TimeoutError:
        process.kill()
        await process.wait()
