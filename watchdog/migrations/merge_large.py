# ruff: noqa: S608 - SQL made of names is what this is for; each is quoted by `quote` or `literal`
"""The rows of a large table: the archive as it is, and a merge only of those rows that users wrote since.

Most of what they wrote is merged before the lock (`fold`), in rounds that each take what was committed until then. What
is written meanwhile is merged in the next round, and the rest under the lock, where nothing is read whole.
"""

from typing import Final

import psycopg

from watchdog.migrations import folded
from watchdog.migrations.changelog import (
    ALL,
    Part,
    find_keys,
    first_states,
    has_gap,
    is_key,
    joins_live,
    keys_of,
    summarize,
    was_truncated,
)
from watchdog.migrations.conflicts import forget_losers, keep_losers
from watchdog.migrations.images import archive_live, image, merge, qualified, refill
from watchdog.migrations.misfits import fit_one_by_one, mark_incomplete
from watchdog.migrations.policies import Policy
from watchdog.migrations.renames import quote
from watchdog.migrations.runs import archives, close
from watchdog.migrations.session import RefusedError, plain_text
from watchdog.migrations.shape import Connection
from watchdog.migrations.table_plans import TablePlan

_ROUNDS: Final = 8
_FEW: Final = 2_000
"""Keys that are merged under the lock rather than in one more round."""


async def fold(
    connection: Connection, run: int, index: int, table: TablePlan, beside: str, policy: Policy = Policy.LATER
) -> None:
    """Merges what users have written so far into the table that was made beside, while they go on.

    Args:
        beside: The table that is filled, as SQL.
    """
    if table.kind == "gone":
        return
    async with connection.transaction():
        await folded.begin(connection, run, index, table)
    since = ""
    for _ in range(_ROUNDS):
        async with connection.transaction():
            await plain_text(connection)
            await summarize(connection, run, index)
            until = await _horizon(connection)
            found = await find_keys(connection, run, index, table, Part(since, until))
            if found >= _FEW and not await was_truncated(connection, run, index):
                await merge_round(connection, run, index, table, beside, policy)
                await folded.remember(connection, run, index, table, until)
                since = until
            await _drop(connection, run, index, "keys", "live", "after", "result", "first")
        if since != until:
            return


async def _horizon(connection: Connection) -> str:
    """Every transaction before this one has ended, so that what it logged is there."""
    row = await (await connection.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text")).fetchone()
    assert row is not None  # noqa: S101 - a function answers
    return str(row[0])


async def merge_round(
    connection: Connection, run: int, index: int, table: TablePlan, beside: str, policy: Policy
) -> None:
    """Merges the keys of the image `keys` into the table made beside; users have not named anything back yet."""
    state = await folded.progress(connection, run, index, beside=True)
    if state.left != ALL:
        await folded.add_unfit(connection, run, index, table)
    live = archive_live(run, index, table, joins_live(run, index, table, forward=True), forward=True)
    await connection.execute(_unlogged(live))
    await folded.make_first(connection, run, index, table, state)
    await connection.execute(_unlogged(first_states(run, index, table, _first(run, index), forward=True)))
    only = is_key(run, index, table, "s")
    await connection.execute(_unlogged(merge(run, index, table, by_key=True, only=only, policy=policy)))
    result = image(run, index, "result")
    if policy is Policy.QUARANTINE:
        await connection.execute(f"UPDATE {result} SET origin = '{folded.UNFIT}' WHERE conflict".encode())
    else:
        await forget_losers(connection, run, index, table)
        await keep_losers(connection, run, index, table, policy)
    if table.added:
        await folded.keep_added(connection, run, index, table)
    await mark_incomplete(connection, run, index, table, beside, folded.UNFIT)
    await _replace(connection, run, index, table, beside)
    for origin in ("changed", "later"):
        try:
            async with connection.transaction():
                await connection.execute(refill(run, index, table, where=origin, into=beside).encode())
        except (psycopg.errors.IntegrityError, psycopg.errors.DataError):
            await connection.execute(fit_one_by_one(run, index, table, origin, beside, folded.UNFIT).encode())


def _first(run: int, index: int) -> str:
    return f"SELECT op, o FROM {image(run, index, 'first')}"


def _unlogged(creation: str) -> bytes:
    """It ends with its transaction, so that no replica needs to hear of it."""
    return f"CREATE UNLOGGED {creation.removeprefix('CREATE ')}".encode()


async def _drop(connection: Connection, run: int, index: int, *which: str) -> None:
    names = ", ".join(image(run, index, one) for one in which)
    await connection.execute(f"DROP TABLE IF EXISTS {names}".encode())


async def _replace(connection: Connection, run: int, index: int, table: TablePlan, where: str) -> None:
    """Takes every row of the image `keys` out, and puts those back that are as before."""
    same = " AND ".join(f"t.{quote(column.name)} = k.c{n}::{column.type}" for n, column in keys_of(table))
    await connection.execute(f"DELETE FROM ONLY {where} t USING {image(run, index, 'keys')} k WHERE {same}".encode())
    await connection.execute(refill(run, index, table, where="earlier", into=where).encode())


async def read_written(
    production: Connection, run: int, index: int, table: TablePlan, *, beside: bool, policy: Policy = Policy.LATER
) -> int:
    """Merges what users wrote since. After a TRUNCATE everything that is there was written since.

    Returns:
        Conflicts whose loser was kept, those of the rounds before not counted.
    """
    if await has_gap(production, run, index, table):
        raise RefusedError((f"the key of {qualified(table.name)} had another name for a while, so its log has a gap",))
    state = await folded.progress(production, run, index, beside=beside)
    emptied = await was_truncated(production, run, index)
    await find_keys(production, run, index, table, state.left)
    if state.left != ALL:
        await folded.add_unfit(production, run, index, table)
    joined = "" if emptied else joins_live(run, index, table)
    await production.execute(archive_live(run, index, table, joined).encode())
    await folded.make_first(production, run, index, table, state)
    try:
        await production.execute(first_states(run, index, table, _first(run, index)).encode())
    except psycopg.errors.DataError as error:
        why = f"the log of {qualified(table.name)} holds rows of another shape: the schema was another one for a while"
        raise RefusedError((why,)) from error
    if emptied:
        await production.execute(f"DELETE FROM {image(run, index, 'after')}".encode())
    for which in ("live", "after"):
        await close(production, image(run, index, which))
    only = "false" if emptied else is_key(run, index, table, "s")
    await production.execute(merge(run, index, table, by_key=True, only=only, policy=policy).encode())
    await forget_losers(production, run, index, table)
    return await keep_losers(production, run, index, table, policy)


async def put_in(production: Connection, run: int, index: int, table: TablePlan, *, beside: bool) -> dict[str, int]:
    """The whole archive, and in place of the rows that users wrote since what the merge made of them.

    Args:
        beside: The archive is in the table already, with what was folded into it.

    Returns:
        Rows by what became of them: `earlier`, `changed`, `later`, `deleted`.
    """
    before, result = image(run, index, "before"), image(run, index, "result")
    if not beside:
        await production.execute(refill(run, index, table, "before").encode())
    # Just found to be true of the archive; counting it would take as long as it is large.
    rows = next(one.rows for one in await archives(production, run) if one.name == before)
    if table.kind == "gone":
        return {"earlier": rows}
    if await was_truncated(production, run, index):
        await production.execute(f"DELETE FROM ONLY {qualified(table.name)}".encode())
        return {"deleted": rows, "later": await _count(production, f"SELECT count(*) FROM {result}")}
    await _replace(production, run, index, table, qualified(table.name))
    state = await folded.progress(production, run, index, beside=beside)
    found = await folded.merged_before(production, run, index, table, state)
    found.update(
        dict(await (await production.execute(f"SELECT origin, count(*) FROM {result} GROUP BY 1".encode())).fetchall())
    )
    same = {alias: " AND ".join(f"{alias}.c{n} = k.c{n}" for n, _ in keys_of(table)) for alias in ("s", "r")}
    found["deleted"] += await _count(
        production,
        f"SELECT count(*) FROM {image(run, index, 'keys')} k JOIN {before} s ON {same['s']}"
        f" WHERE NOT EXISTS (SELECT FROM {result} r WHERE {same['r']})",
    )
    made = {what: found[what] for what in ("changed", "later", "deleted")}
    return {**made, "earlier": rows - made["changed"] - made["deleted"]}


async def _count(connection: Connection, query: str) -> int:
    row = await (await connection.execute(query.encode())).fetchone()
    return int(row[0]) if row else 0
