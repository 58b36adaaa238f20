"""A migration tool of a few lines: runs statements, each in a transaction of its own."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.archives import open_to, sql
from watchdog.migrations.tools.address import Command

_SOURCE = """\
import json, os, psycopg, sys
with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
    for statement in json.loads({statements!r}):
        connection.execute(statement)
"""
WAIT = "SELECT pg_advisory_lock(42), pg_advisory_unlock(42)"
"""Waits in production while a test is in `held`; a copy is another database, so nobody waits there."""


def plain(place: Path, statements: Sequence[str]) -> Command:
    script = place / "tool.py"
    script.write_text(_SOURCE.format(statements=json.dumps(statements)))
    return Command("other", (sys.executable, str(script)), ("DATABASE_URL",))


@asynccontextmanager
async def held(url: str) -> AsyncIterator[asyncio.Event]:
    """Whoever waits in this database waits until the event is set."""
    go = asyncio.Event()
    async with open_to(url) as connection:
        await connection.execute("SELECT pg_advisory_lock(42)")

        async def release() -> None:
            await go.wait()
            await connection.execute("SELECT pg_advisory_unlock(42)")

        releasing = asyncio.create_task(release())
        try:
            yield go
        finally:
            go.set()
            await asyncio.wait_for(releasing, 10)


async def somebody_waits(url: str) -> None:
    """Returns when a tool waits."""
    query = (
        "SELECT 1 FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
        " WHERE l.locktype = 'advisory' AND NOT l.granted AND d.datname = current_database()"
    )
    await until(url, query, rows=1)


async def nobody_is_there(url: str) -> None:
    """Returns when no other session is in the database."""
    query = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    await until(url, query, rows=0)


async def until(url: str, query: str, rows: int) -> None:
    """Returns when a query answers with so many rows."""
    async with asyncio.timeout(60):
        while len(await sql(url, query)) != rows:  # noqa: ASYNC110 - the condition is in the server
            await asyncio.sleep(0.02)
