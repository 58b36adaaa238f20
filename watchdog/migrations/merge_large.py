# ruff: noqa: S608 - SQL made of names is what this is for; each is quoted by `quote` or `literal`
"""The rows of a large table: the archive as it is, and a merge only of those rows that users wrote since."""

from watchdog.migrations.changelog import first_states, is_touched, joins_live, keys_of, touched, was_truncated
from watchdog.migrations.images import archive_live, counts, image, merge, qualified, refill
from watchdog.migrations.renames import quote
from watchdog.migrations.runs import close
from watchdog.migrations.shape import Connection
from watchdog.migrations.table_plans import TablePlan


async def read_written(production: Connection, run: int, index: int, table: TablePlan) -> None:
    """Merges what users wrote since. After a TRUNCATE everything that is there was written since."""
    emptied = await was_truncated(production, run, index)
    joined = "" if emptied else joins_live(run, index, table)
    await production.execute(archive_live(run, index, table, joined).encode())
    await production.execute(first_states(run, index, table).encode())
    if emptied:
        await production.execute(f"DELETE FROM {image(run, index, 'after')}".encode())
    for which in ("live", "after"):
        await close(production, image(run, index, which))
    only = "false" if emptied else is_touched(run, index, table, "s")
    await production.execute(merge(run, index, table, by_key=True, only=only).encode())


async def put_in(production: Connection, run: int, index: int, table: TablePlan, *, beside: bool) -> dict[str, int]:
    """The whole archive, and in place of the rows that users wrote since what the merge made of them.

    Args:
        beside: The archive is in the table already.

    Returns:
        Rows by what became of them: `earlier`, `changed`, `later`, `deleted`.
    """
    if not beside:
        await production.execute(refill(run, index, table, "before").encode())
    whole = await (await production.execute(f"SELECT count(*) FROM {image(run, index, 'before')}".encode())).fetchone()
    rows = int(whole[0]) if whole else 0
    if table.kind == "gone":
        return {"earlier": rows}
    which = ""
    if not await was_truncated(production, run, index):
        same = " AND ".join(f"t.{quote(column.name)} = k.c{n}::{column.type}" for n, column in keys_of(table))
        which = f" USING ({touched(run, index, table)}) k WHERE {same}"
    taken = await production.execute(f"DELETE FROM ONLY {qualified(table.name)} t{which}".encode())
    put = await production.execute(refill(run, index, table, where="earlier").encode())
    found: dict[str, int] = dict(await (await production.execute(counts(run, index).encode())).fetchall())
    changed = found.get("changed", 0)
    return {
        "earlier": rows + put.rowcount - taken.rowcount,
        "changed": changed,
        "later": found.get("later", 0),
        "deleted": taken.rowcount - put.rowcount - changed,
    }
