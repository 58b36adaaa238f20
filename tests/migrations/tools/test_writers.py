"""People go on writing while a tool works: what they wrote is there afterwards, and after the rollback."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from tests.migrations.tools.projects import alembic
from tests.migrations.tools.test_alembic import ask
from tests.migrations.tools.test_large import large_tables
from tests.support.archives import sql
from watchdog.migrations.options import Options
from watchdog.migrations.rollback import rollback
from watchdog.migrations.tools.address import Command
from watchdog.migrations.tools.apply import apply_tool

BASE = """\
op.execute("CREATE TABLE accounts (id int PRIMARY KEY, name text, balance int NOT NULL, old text, flag bool)")
op.execute("CREATE TABLE notes (body text, at int)")
op.execute("INSERT INTO accounts SELECT n, 'n' || n, 100, 'o' || n, n % 2 = 0 FROM generate_series(1, 400) n")
op.execute("INSERT INTO notes SELECT 'note ' || n, n FROM generate_series(1, 50) n")
"""
STEPS = {
    "zero": BASE,
    "a": 'op.execute("UPDATE accounts SET name = upper(name)")\nop.execute("SELECT pg_sleep(0.2)")',
    "b": 'op.execute("UPDATE notes SET body = body || \'!\' WHERE at <= 25")\nop.execute("SELECT pg_sleep(0.2)")',
    "c": 'op.execute("ALTER TABLE accounts DROP COLUMN old")\nop.execute("ALTER TABLE accounts ADD COLUMN extra int")',
    "d": 'op.execute("SELECT pg_sleep(0.3)")\nop.execute("UPDATE accounts SET extra = 1 WHERE id <= 200")',
}


class Writer:
    """Writes without a pause; knows what it wrote last."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._random = random.Random(7)
        self.balances: dict[int, int] = {}
        self.names: dict[int, str] = {}
        self.olds: dict[int, str] = {}
        self.deleted: set[int] = set()
        self.inserted: dict[int, int] = {}
        self.notes: list[str] = []
        self._next = 1000

    async def work(self, stop: asyncio.Event) -> None:
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            while not stop.is_set():
                for act in (self._update, self._rename, self._write_old, self._insert, self._delete, self._note):
                    await act(connection)

    async def _update(self, connection: psycopg.AsyncConnection) -> None:
        number, value = self._random.randint(1, 400), self._random.randint(0, 10**6)
        cursor = await connection.execute("UPDATE accounts SET balance = %s WHERE id = %s", (value, number))
        if cursor.rowcount:
            self.balances[number] = value

    async def _rename(self, connection: psycopg.AsyncConnection) -> None:
        """Writes what the tool writes too."""
        number = self._random.randint(1, 400)
        cursor = await connection.execute("UPDATE accounts SET name = 'mine' WHERE id = %s", (number,))
        if cursor.rowcount:
            self.names[number] = "mine"

    async def _write_old(self, connection: psycopg.AsyncConnection) -> None:
        """Writes what the tool drops."""
        number = self._random.randint(1, 400)
        with suppress(psycopg.errors.UndefinedColumn):
            cursor = await connection.execute("UPDATE accounts SET old = 'last' WHERE id = %s", (number,))
            if cursor.rowcount:
                self.olds[number] = "last"

    async def _insert(self, connection: psycopg.AsyncConnection) -> None:
        self._next += 1
        await connection.execute(
            "INSERT INTO accounts (id, name, balance) VALUES (%s, %s, 5)", (self._next, 'Mia, ("x\\')
        )
        self.inserted[self._next] = 5
        if self._next % 3 == 0:
            await connection.execute("UPDATE accounts SET balance = 6 WHERE id = %s", (self._next,))
            self.inserted[self._next] = 6

    async def _delete(self, connection: psycopg.AsyncConnection) -> None:
        if self._next % 20 == 0:
            number = self._random.randint(1, 400)
            await connection.execute("DELETE FROM accounts WHERE id = %s", (number,))
            self.deleted.add(number)
            self.balances.pop(number, None)

    async def _note(self, connection: psycopg.AsyncConnection) -> None:
        text = f"written {self._next}"
        await connection.execute("INSERT INTO notes VALUES (%s, -1)", (text,))
        self.notes.append(text)


async def while_writing(writer: Writer, work: Callable[[], Awaitable[int]]) -> int:
    stop = asyncio.Event()
    writing = asyncio.create_task(writer.work(stop))
    try:
        return await work()
    finally:
        stop.set()
        await asyncio.wait_for(writing, 30)


@pytest.mark.parametrize("options", [Options(), Options(online_rows=1)], ids=["small", "large"])
async def test_no_write_is_lost_while_a_tool_works(
    tmp_path: Path, tools_python: str, pg_database: str, scratch: str, options: Options
) -> None:
    project = alembic(tmp_path, tools_python, STEPS)
    ask(project, pg_database, "upgrade", "zero")
    before = {row[0]: row for row in await sql(pg_database, "SELECT id, name, balance, old, flag FROM accounts")}
    writer = Writer(pg_database)

    async def work() -> int:
        command = Command("alembic", project.words("upgrade", "head"))
        done = await apply_tool(pg_database, command, scratch_url=scratch, options=options)
        assert done is not None
        assert done.reversible, done.lowered
        return done.run

    run = await while_writing(writer, work)
    assert ("accounts" in await large_tables(pg_database, run)) == (options.online_rows == 1)
    assert len(writer.inserted) > 100, "it did not really write meanwhile"
    report = await rollback(pg_database, run)

    now = {row[0]: row for row in await sql(pg_database, "SELECT id, name, balance, old, flag FROM accounts")}
    for number, (_, name, balance, old, flag) in before.items():
        if number in writer.deleted:
            assert number not in now
        else:
            wanted = (
                number, writer.names.get(number, name), writer.balances.get(number, balance),
                writer.olds.get(number, old), flag,
            )  # fmt: skip
            assert now.pop(number) == wanted
    assert {number: row[2] for number, row in now.items()} == writer.inserted
    assert {row[1] for row in now.values()} == {'Mia, ("x\\'}
    notes = sorted(body for (body,) in await sql(pg_database, "SELECT body FROM notes"))
    assert notes == sorted([*writer.notes, *(f"note {n}" for n in range(1, 51))])
    assert report.quarantined == 0
