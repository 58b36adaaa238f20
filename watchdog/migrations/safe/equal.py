# ruff: noqa: S608 - SQL made of names is what this is for; each is quoted
"""Proves on copies that a script in safe forms ends where the plain script ends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from watchdog.migrations.clone import Clone, ScriptFailsError, as_user, clone, database_url, schema_after
from watchdog.migrations.dump import dump
from watchdog.migrations.images import qualified
from watchdog.migrations.renames import quote
from watchdog.migrations.safe.forms import without_concurrently
from watchdog.migrations.safe.run import Runner
from watchdog.migrations.safe.values import Backfill, Forms
from watchdog.migrations.shape import Connection
from watchdog.migrations.toc import Entry, differences
from watchdog.ports.errors import WatchdogError

_ROWS = (1_000, 0)
"""Rows a table on the copies; none when the script fails with some."""


async def otherwise(
    production: Connection, admin: str, entries: tuple[Entry, ...], script: str, forms: Forms, role: str
) -> str:
    """How the safe form differs from the script, as a sentence; empty when both end in the same.

    Args:
        admin: A scratch server, as superuser.
        entries: The schema before.

    Raises:
        ScriptFailsError: The plain script itself fails, with and without rows.
    """
    failure: ScriptFailsError | None = None
    for rows in _ROWS:
        async with clone(admin, production, entries, rows=rows, role=role) as pair, _twin(admin, pair) as twin:
            try:
                wanted = await schema_after(pair, without_concurrently(script))
            except ScriptFailsError as error:
                failure = failure or error
                continue
            return await _compared(pair, twin, wanted, forms)
    assert failure is not None  # noqa: S101 - one of the tries ended
    raise failure


@asynccontextmanager
async def _twin(admin: str, pair: Clone) -> AsyncIterator[Clone]:
    name = str(conninfo_to_dict(pair.url)["dbname"])
    other = f"{name}_safe"
    async with await psycopg.AsyncConnection.connect(admin, autocommit=True) as server:
        try:
            await server.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(other), sql.Identifier(name))
            )
            user = sql.Identifier(pair.user)
            await server.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(sql.Identifier(other), user))
            yield replace(pair, url=database_url(admin, other))
        finally:
            await server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(other)))


async def _compared(pair: Clone, twin: Clone, wanted: tuple[Entry, ...], forms: Forms) -> str:
    async with await psycopg.AsyncConnection.connect(twin.url, autocommit=True) as work:
        await as_user(work, twin.user)
        await work.execute("SELECT set_config('search_path', %s, false)", (twin.search_path,))
        try:
            await Runner(work).go(forms)
        except WatchdogError as error:
            return f"in safe forms it fails on a copy: {error}"
    if other := differences(wanted, await dump(twin.url)):
        return f"in safe forms it would end in another schema: {other[0]}"
    for step in forms.steps:
        if step.backfill is not None and await _rows(pair, step.backfill) != await _rows(twin, step.backfill):
            return f"in batches, line {step.line} gives other rows on a copy"
    return ""


async def _rows(there: Clone, backfill: Backfill) -> tuple[object, ...]:
    """A hash of what a backfill sets, by key."""
    columns = ", ".join(map(quote, (*backfill.key, *backfill.sets)))
    query = (
        "SELECT count(*), md5(string_agg(r, ',' ORDER BY r COLLATE \"C\"))"
        f" FROM (SELECT ROW({columns})::text AS r FROM {qualified(backfill.table)}) AS t"
    )
    async with await psycopg.AsyncConnection.connect(there.url, autocommit=True) as connection:
        row = await (await connection.execute(query.encode())).fetchone()
        return tuple(row or ())
