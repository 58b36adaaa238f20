"""The author's own way back, tried on a copy of its own."""

from typing import Final

import psycopg

from watchdog.migrations.assess.script import read
from watchdog.migrations.clone import as_user
from watchdog.migrations.dump import dump
from watchdog.migrations.images import qualified
from watchdog.migrations.parser import SqlSyntaxError
from watchdog.migrations.rehearse.copies import Copy
from watchdog.migrations.rehearse.errors import plain
from watchdog.migrations.rehearse.snapshots import missing, shape_of, take, take_back
from watchdog.migrations.rehearse.values import Down, DownOutcome
from watchdog.migrations.session import connected
from watchdog.migrations.toc import differences

_SHOWN: Final = 3


async def try_down(copy: Copy, script: str, down: str) -> Down:
    """Runs the script and the author's way back, and compares schema and rows.

    Raises:
        psycopg.Error: The script itself fails.
    """
    async with connected(copy.url) as connection:
        await connection.execute("CREATE SCHEMA IF NOT EXISTS watchdog")
        before = await dump(copy.url)
        shape = await shape_of(connection)
        rows = await take(connection, "before", shape)
        await _run(copy, script)
        try:
            await _run(copy, down)
        except psycopg.Error as error:
            return Down(DownOutcome.FAILS, (plain(error),))
        except SqlSyntaxError as error:
            return Down(DownOutcome.FAILS, (str(error),))
        back, gone = await take_back(connection, "back", shape, await shape_of(connection))
        lost = list(gone)
        for number, image in back.items():
            table = shape.table(number)
            count = await missing(connection, rows[number], image)
            extra = await missing(connection, image, rows[number])
            if table is not None and (count or extra):
                name = qualified(table.name)
                lost.append(
                    f"{count} rows of {name} are gone or changed" if count else f"{extra} rows of {name} are new"
                )
    other = differences(before, await dump(copy.url))
    if lost:
        return Down(DownOutcome.LOSES, (*lost, *other)[:_SHOWN])
    return Down(DownOutcome.OTHER_SCHEMA, other[:_SHOWN]) if other else Down(DownOutcome.PROVEN)


async def _run(copy: Copy, script: str) -> None:
    """Runs a script as production's user would: as one transaction, or one by one what can be in none."""
    statements = read(script)
    parts = [each.text for each in statements] if any(each.outside for each in statements) else [script]
    async with connected(copy.url) as connection:
        await as_user(connection, copy.role)
        for part in parts:
            await connection.execute(part.encode())
