# ruff: noqa: S608 - SQL made of names is what this is for; each is quoted by `quote` or `literal`
"""The rows of a large table: the archive as it is, and a merge only of those rows that users wrote since.

Most of what they wrote is merged before the lock (`fold`), in rounds that each take what was committed until then. What
is written meanwhile is merged in the next round, and the rest under the lock.
"""

import psycopg

from watchdog.migrations.changelog import (
    ALL,
    Part,
    first_states,
    has_gap,
    is_touched,
    joins_live,
    keys_of,
    touched,
    was_truncated,
)
from watchdog.migrations.images import archive_live, image, merge, qualified, refill
from watchdog.migrations.renames import quote
from watchdog.migrations.runs import close
from watchdog.migrations.session import RefusedError, plain_text
from watchdog.migrations.shape import Connection
from watchdog.migrations.table_plans import TablePlan

_ROUNDS = 8
_FEW = 2_000
"""Keys that are merged under the lock rather than in one more round."""


async def fold(connection: Connection, run: int, index: int, table: TablePlan, beside: str) -> None:
    """Merges what users have written so far into the table that was made beside, while they go on.

    Args:
        beside: The table that is filled, as SQL.
    """
    if table.kind == "gone":
        return
    folded, since = image(run, index, "folded"), ""
    keys = ", ".join(f"c{n} text" for n, _ in keys_of(table))
    await connection.execute(f"DROP TABLE IF EXISTS {folded}".encode())
    await connection.execute(f"CREATE TABLE {folded} (origin text, since text, {keys})".encode())
    await close(connection, folded)
    for _ in range(_ROUNDS):
        try:
            async with connection.transaction():
                await plain_text(connection)
                until = await _horizon(connection)
                part = Part(since, until)
                if await was_truncated(connection, run, index) or await _few(connection, run, index, table, part):
                    return
                await _fold(connection, run, index, table, part, beside)
                since = until
        except (psycopg.errors.IntegrityError, psycopg.errors.DataError):
            # Some row does not fit the old table: under the lock it goes to quarantine.
            return


async def _horizon(connection: Connection) -> str:
    """Every transaction before this one has ended, so that what it logged is there."""
    row = await (await connection.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text")).fetchone()
    assert row is not None  # noqa: S101 - a function answers
    return str(row[0])


async def _few(connection: Connection, run: int, index: int, table: TablePlan, part: Part) -> bool:
    query = f"SELECT count(*) FROM ({touched(run, index, table, part)} LIMIT {_FEW}) k"
    row = await (await connection.execute(query.encode())).fetchone()
    return not row or int(row[0]) < _FEW


async def _fold(connection: Connection, run: int, index: int, table: TablePlan, part: Part, beside: str) -> None:
    joined = joins_live(run, index, table, part, forward=True)
    await connection.execute(archive_live(run, index, table, joined, forward=True).encode())
    await connection.execute(first_states(run, index, table, part, forward=True).encode())
    only = is_touched(run, index, table, "s", part)
    await connection.execute(merge(run, index, table, by_key=True, only=only).encode())
    await _replace(connection, run, index, table, part, beside)
    for origin in ("changed", "later"):
        await connection.execute(refill(run, index, table, where=origin, into=beside).encode())
    folded = image(run, index, "folded")
    names = ", ".join(f"c{n}" for n, _ in keys_of(table))
    await connection.execute(f"DELETE FROM {folded} f WHERE {is_touched(run, index, table, 'f', part)}".encode())
    await connection.execute(
        f"INSERT INTO {folded} (origin, {names}) SELECT origin, {names} FROM {image(run, index, 'result')}"
        f" UNION ALL SELECT 'deleted', {names} FROM {image(run, index, 'before')} s WHERE {only}"
        f" AND ({names}) NOT IN (SELECT {names} FROM {image(run, index, 'result')})".encode()
    )
    await connection.execute(f"DELETE FROM {folded} WHERE since IS NOT NULL".encode())
    await connection.execute(f"INSERT INTO {folded} (since) VALUES ('{part.until}')".encode())
    for which in ("live", "after", "result"):
        await connection.execute(f"DROP TABLE {image(run, index, which)}".encode())


async def _replace(connection: Connection, run: int, index: int, table: TablePlan, part: Part, where: str) -> None:
    """Takes every touched row out, and puts those back that are as before."""
    same = " AND ".join(f"t.{quote(column.name)} = k.c{n}::{column.type}" for n, column in keys_of(table))
    which = f"USING ({touched(run, index, table, part)}) k WHERE {same}"
    await connection.execute(f"DELETE FROM ONLY {where} t {which}".encode())
    await connection.execute(refill(run, index, table, where="earlier", into=where).encode())


async def _left(connection: Connection, run: int, index: int, *, beside: bool) -> Part:
    """What no round has merged yet."""
    name = image(run, index, "folded")
    there = await (await connection.execute("SELECT to_regclass(%s) IS NOT NULL", (name,))).fetchone()
    if not (beside and there and there[0]):
        return ALL
    row = await (await connection.execute(f"SELECT max(since) FROM {name}".encode())).fetchone()
    return Part(since=str(row[0])) if row and row[0] else ALL


async def read_written(production: Connection, run: int, index: int, table: TablePlan, *, beside: bool) -> None:
    """Merges what users wrote since. After a TRUNCATE everything that is there was written since."""
    if await has_gap(production, run, index, table):
        raise RefusedError((f"the key of {qualified(table.name)} had another name for a while, so its log has a gap",))
    part = await _left(production, run, index, beside=beside)
    emptied = await was_truncated(production, run, index)
    joined = "" if emptied else joins_live(run, index, table, part)
    await production.execute(archive_live(run, index, table, joined).encode())
    try:
        await production.execute(first_states(run, index, table, part).encode())
    except psycopg.errors.DataError as error:
        why = f"the log of {qualified(table.name)} holds rows of another shape: the schema was another one for a while"
        raise RefusedError((why,)) from error
    if emptied:
        await production.execute(f"DELETE FROM {image(run, index, 'after')}".encode())
    for which in ("live", "after"):
        await close(production, image(run, index, which))
    only = "false" if emptied else is_touched(run, index, table, "s", part)
    await production.execute(merge(run, index, table, by_key=True, only=only).encode())


async def put_in(production: Connection, run: int, index: int, table: TablePlan, *, beside: bool) -> dict[str, int]:
    """The whole archive, and in place of the rows that users wrote since what the merge made of them.

    Args:
        beside: The archive is in the table already, with what was folded into it.

    Returns:
        Rows by what became of them: `earlier`, `changed`, `later`, `deleted`.
    """
    if not beside:
        await production.execute(refill(run, index, table, "before").encode())
    rows = await _count(production, f"SELECT count(*) FROM {image(run, index, 'before')}")
    if table.kind == "gone":
        return {"earlier": rows}
    if await was_truncated(production, run, index):
        await production.execute(f"DELETE FROM ONLY {qualified(table.name)}".encode())
        return {
            "deleted": rows,
            "later": await _count(production, f"SELECT count(*) FROM {image(run, index, 'result')}"),
        }
    part = await _left(production, run, index, beside=beside)
    await _replace(production, run, index, table, part, qualified(table.name))
    found = dict.fromkeys(("changed", "later", "deleted"), 0)
    mine = is_touched(run, index, table, "s", part)
    names = ", ".join(f"c{n}" for n, _ in keys_of(table))
    result = image(run, index, "result")
    gone = f"{mine} AND ({names}) NOT IN (SELECT {names} FROM {result})"
    sources = [f"SELECT origin FROM {result}", f"SELECT 'deleted' FROM {image(run, index, 'before')} s WHERE {gone}"]
    if part != ALL:
        folded = image(run, index, "folded")
        sources.append(f"SELECT origin FROM {folded} s WHERE since IS NULL AND NOT ({mine})")
    query = f"SELECT origin, count(*) FROM ({' UNION ALL '.join(sources)}) o (origin) GROUP BY 1"
    found |= dict(await (await production.execute(query.encode())).fetchall())
    return {**found, "earlier": rows - found["changed"] - found["deleted"]}


async def _count(connection: Connection, query: str) -> int:
    row = await (await connection.execute(query.encode())).fetchone()
    return int(row[0]) if row else 0
