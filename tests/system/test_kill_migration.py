"""`watchdog migration` is killed on the way there and back: nothing is lost, users go on, and it can be done again."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from watchdog.servers.postgres import PostgresServer

SHOP = """
CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL, born date NOT NULL, score int);
INSERT INTO people SELECT n, 'p' || n, '2000-01-01', n FROM generate_series(1, 60000) n;
CREATE INDEX ON people (name);
CREATE TABLE few (id int PRIMARY KEY, name text);
INSERT INTO few SELECT n, 'few' FROM generate_series(1, 10) n;
VACUUM ANALYZE;
"""
UP = "ALTER TABLE people DROP COLUMN born; UPDATE few SET name = 'many'"
STATE = """
    SELECT md5(string_agg(t, ',' ORDER BY t))
    FROM (SELECT people::text FROM people UNION ALL SELECT few::text FROM few) AS r (t)
"""

# What the database shows when the moment has come; a lock is held by the test where that stops them.
APPLYING = {
    "users are logged": ("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'watchdog_log%'", ""),
    "it waits to log users": ("SELECT count(*) FROM pg_locks WHERE NOT granted", "LOCK TABLE people IN SHARE MODE"),
    "it waits in the transaction of the script": (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%few%'",
        "LOCK TABLE few IN SHARE MODE",
    ),
}
COMING_BACK = {
    "a table is made beside": ("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'watchdog_run_%'", ""),
    "it waits for the lock": (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%EXCLUSIVE%'",
        "LOCK TABLE people IN ACCESS SHARE MODE",
    ),
}


class Shop:
    """A database, and `watchdog migration` on it as a process."""

    def __init__(self, url: str, scratch: str, script: Path) -> None:
        self.url = url
        self._scratch = scratch
        self._script = script

    async def sql(self, text: str) -> Any:
        """The one value of a query, or None."""
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as connection:
            cursor = await connection.execute(text.encode())
            row = await cursor.fetchone() if cursor.description else None
            return row[0] if row else None

    async def until(self, query: str) -> None:
        """Waits until a query answers with more than nothing."""
        async with asyncio.timeout(60):
            while not await self._found(query):  # noqa: ASYNC110 - what is waited for is outside this process
                await asyncio.sleep(0.002)

    async def _found(self, query: str) -> bool:
        try:
            return bool(await self.sql(query))
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            return False

    @asynccontextmanager
    async def holding(self, lock: str) -> AsyncIterator[None]:
        """Somebody else holds a lock."""
        async with await psycopg.AsyncConnection.connect(self.url) as connection:
            if lock:
                await connection.execute(lock.encode())
            yield

    async def start(self, *words: str) -> asyncio.subprocess.Process:
        """`watchdog migration`."""
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "watchdog", "migration", *words, "--database", self.url),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    async def apply(self) -> asyncio.subprocess.Process:
        """Begins to apply the script."""
        return await self.start("apply", str(self._script), "--scratch", self._scratch)

    async def done(self, process: asyncio.subprocess.Process) -> None:
        """Waits for success."""
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()

    async def killed(self, process: asyncio.subprocess.Process, query: str, lock: str) -> None:
        """Kills it at a moment, and waits until the server has noticed."""
        async with self.holding(lock):
            await self.until(query)
            process.send_signal(signal.SIGKILL)
            await process.wait()
        ours = "application_name = 'watchdog migration' AND datname = current_database()"
        await self.until(f"SELECT count(*) = 0 FROM pg_stat_activity WHERE {ours}")

    async def last_run(self) -> tuple[int, str]:
        """Number and state of the last run."""
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as connection:
            query = "SELECT id, state FROM watchdog.migration_runs ORDER BY id DESC LIMIT 1"
            row = await (await connection.execute(query)).fetchone()
            assert row is not None
            return row[0], row[1]


@pytest.fixture
async def shop(pg_database: str, postgres_server: PostgresServer, tmp_path: Path) -> Shop:
    script = tmp_path / "up.sql"
    script.write_text(UP)
    made = Shop(pg_database, postgres_server.url("postgres"), script)
    for statement in SHOP.split(";\n"):
        await made.sql(statement)
    return made


async def write(shop: Shop, number: int) -> None:
    """Users go on, whatever was left behind."""
    await shop.sql(f"UPDATE people SET score = score + 1 WHERE id = {number}")


@pytest.mark.parametrize("moment", APPLYING)
async def test_killed_while_it_applies(shop: Shop, moment: str) -> None:
    before = await shop.sql(STATE)
    await shop.killed(await shop.apply(), *APPLYING[moment])
    await write(shop, 7)
    run, state = await shop.last_run()
    assert state == "preparing"
    assert await shop.sql("SELECT count(born) FROM people") == 60_000
    await shop.done(await shop.start("rollback", str(run)))
    assert await shop.sql("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'watchdog%'") == 0
    await shop.sql("UPDATE people SET score = score - 1 WHERE id = 7")
    assert await shop.sql(STATE) == before
    if moment == "users are logged":
        await shop.done(await shop.apply())
        await shop.done(await shop.start("rollback", str((await shop.last_run())[0])))
        assert await shop.sql(STATE) == before


@pytest.mark.parametrize("moment", COMING_BACK)
async def test_killed_while_it_takes_back(shop: Shop, moment: str) -> None:
    before = await shop.sql(STATE)
    await shop.done(await shop.apply())
    run, _ = await shop.last_run()
    await write(shop, 7)
    await shop.killed(await shop.start("rollback", str(run)), *COMING_BACK[moment])
    await write(shop, 8)
    assert await shop.last_run() == (run, "applied")
    await shop.done(await shop.start("rollback", str(run)))
    assert await shop.sql("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'watchdog_run_%'") == 0
    assert await shop.sql("SELECT array_agg(score - id ORDER BY id) FROM people WHERE id IN (7, 8)") == [1, 1]
    await shop.sql("UPDATE people SET score = score - 1 WHERE id IN (7, 8)")
    assert await shop.sql(STATE) == before
