# ruff: noqa: S608 - SQL made of names is what this is for; each is quoted by `quote`, or ours with a number in it
"""Large tables of a tool's run: what users write after it is logged, in place of an image of the whole table after it.

The log begins before the moment of which the images are, so it says some of what they show; that is deleted again. What
users wrote while the tool worked stands at its beginning, as if they had written it just after the tool.
"""

from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager, suppress

import psycopg

from watchdog.migrations import changelog
from watchdog.migrations.changelog import keys_of
from watchdog.migrations.images import image, qualified
from watchdog.migrations.online import earlier_logs, log_to_image
from watchdog.migrations.renames import quote
from watchdog.migrations.runs import close
from watchdog.migrations.shape import Connection
from watchdog.migrations.tools.capture import patiently
from watchdog.migrations.tools.correct import Users, Watched, correct_before
from watchdog.migrations.tools.fold import Row
from watchdog.migrations.tools.texts import row_text, values
from watchdog.migrations.undo import Learnt, Plan
from watchdog.ports.errors import WatchdogError


@asynccontextmanager
async def logging(connection: Connection, run: int, plan: Plan | None) -> AsyncIterator[frozenset[int]]:
    """Begins the logs of large tables that are still there, which are told by their place in the plan.

    Where somebody holds a table there is none, and none at all where a publication of all tables lets nobody delete
    from tables without a key, as ours are. When the body fails they are ended, as far as that is possible.

    Args:
        connection: Outside a transaction.
        plan: None when there is nothing to begin.
    """
    # Of an earlier try, whose process died.
    await end(connection, run, await _there(connection, run))
    found: set[int] = set()
    done = False
    try:
        wanted = plan.tables if plan is not None and not await _all_published(connection) else ()
        for index, table in enumerate(wanted):
            if table.online and table.forward is not None:
                types = await changelog.types_of(connection, table.forward)
                statements = changelog.start(run, index, table, types, before=False)
                with suppress(WatchdogError):
                    await patiently(connection, statements, f"{qualified(table.forward)} cannot be logged")
                    found.add(index)
                    await close(connection, image(run, index, "log"))
        yield frozenset(found)
        done = True
    finally:
        if not done:
            with suppress(psycopg.Error, WatchdogError):
                await end(connection, run, found)


async def _all_published(connection: Connection) -> bool:
    query = "SELECT EXISTS (SELECT FROM pg_publication WHERE puballtables AND (pubdelete OR pubupdate))"
    row = await (await connection.execute(query.encode())).fetchone()
    return bool(row and row[0])


async def _there(connection: Connection, run: int) -> list[int]:
    rows = await (
        await connection.execute(
            "SELECT (regexp_match(relname, '_([0-9]+)_log$'))[1]::int FROM pg_class WHERE relkind = 'r'"
            " AND relnamespace = 'watchdog'::regnamespace AND relname ~ ('^run_' || %s || '_[0-9]+_log$')",
            (run,),
        )
    ).fetchall()
    return [index for (index,) in rows]


async def end(connection: Connection, run: int, logs: Collection[int]) -> None:
    """Takes logs away, with their triggers; raises WatchdogError when somebody holds a table."""
    statements = [one for index in sorted(logs) for one in _ends(run, index)]
    if statements:
        await patiently(connection, statements, "The log of what users write cannot be taken away")


async def end_all(connection: Connection, run: int) -> None:
    """Takes away every log of a run; raises as `end`."""
    await end(connection, run, await _there(connection, run))


def _ends(run: int, index: int) -> tuple[str, str]:
    function = f"watchdog.{quote(f'run_{run}_{index}_log')}()"
    return f"DROP FUNCTION IF EXISTS {function} CASCADE", f"DROP TABLE IF EXISTS {image(run, index, 'log')}"


async def forget_seen(connection: Connection, run: int, logs: Iterable[int]) -> None:
    """Takes out of the logs what the transaction's snapshot already sees in the tables."""
    for index in logs:
        await connection.execute(f"DELETE FROM {image(run, index, 'log')}".encode())


async def enter(connection: Connection, watched: Watched, users: Users) -> int:
    """As `correct`, but what the image after would hold of rows that users wrote is entered into the log.

    Args:
        users: Known by key.
    """
    if not users.keys:
        return 0
    live = await _live(connection, watched, users)
    folded, odd = await correct_before(connection, watched, users, live)
    key = watched.columns.key
    after = {tuple(one[number] for number in key): one for one in folded.after}
    entries: list[tuple[str, str | None, Row]] = []
    for one in live:
        alone = after.get(tuple(one[number] for number in key))
        if alone is None:
            entries.append(("I", None, one))
        elif any(alone[number] != one[number] for number in watched.columns.after):
            entries.append(("U", row_text(alone[number] for number in _numbers(watched)), one))
    await _write(connection, watched, entries)
    return odd


def _numbers(watched: Watched) -> list[int]:
    """The columns afterwards, in the order of a row's text."""
    return sorted(column.number for column in watched.new.columns) if watched.new else []


async def _live(connection: Connection, watched: Watched, users: Users) -> list[Row]:
    """Rows that users wrote as they are now, found by their key."""
    table, numbers = watched.table, _numbers(watched)
    names = {column.number: column.name for column in watched.new.columns} if watched.new else {}
    keys = keys_of(table)
    listed = ", ".join(f"t.{quote(names[number])}::text" for number in numbers)
    given = ", ".join("%s::text[]" for _ in keys)
    places = ", ".join(f"k{n}" for n, _ in keys)
    same = " AND ".join(f"t.{quote(column.forward or column.name)} = k.k{n}::{column.type}" for n, column in keys)
    query = (
        f"SELECT {listed} FROM unnest({given}) AS k({places})"
        f" JOIN ONLY {qualified(table.forward or table.name)} t ON {same}"
    )
    wanted = [values(text) for text in users.keys]
    rows = await (await connection.execute(query.encode(), [list(one) for one in zip(*wanted, strict=True)])).fetchall()
    return [dict(zip(numbers, one, strict=True)) for one in rows]


async def _write(connection: Connection, watched: Watched, entries: list[tuple[str, str | None, Row]]) -> None:
    """Enters first entries: before everything else that the log says, or will say."""
    keys = keys_of(watched.table)
    numbers = {column.name: column.number for column in watched.old.columns}
    listed = ", ".join(("n", "op", "o", *(f"c{n}" for n, _ in keys)))
    log = image(watched.run, watched.index, "log")
    # COPY takes numbers of an identity column as they are.
    async with connection.cursor() as cursor, cursor.copy(f"COPY {log} ({listed}) FROM STDIN".encode()) as copy:
        for n, (op, old, one) in enumerate(entries, -len(entries)):
            await copy.write_row((n, op, old, *(one[numbers[column.name]] for _, column in keys)))


async def end_earlier(connection: Connection, run: int, learnt: Learnt, undo: Plan) -> None:
    """Ends logs of earlier runs of tables that the tool will change; images of the same moment take their place.

    Args:
        connection: In a transaction whose snapshot stands; from here on it holds those tables.

    Raises:
        RefusedError: A log has a gap.
        WatchdogError: Somebody holds a table.
    """
    logs = await earlier_logs(connection, run, learnt, undo)
    for earlier, index in logs:
        await log_to_image(connection, earlier, index)
    if logs:
        statements = [one for earlier, index in logs for one in _ends(earlier, index)]
        await patiently(connection, statements, "The log of an earlier run cannot be ended")
