"""Archives a table in parts, and waits between them while a replica is behind."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Final

from watchdog.migrations.images import archive_before, archive_pages, qualified
from watchdog.migrations.safe.limits import Limits
from watchdog.migrations.safe.throttle import wait_for_replicas
from watchdog.migrations.shape import Connection
from watchdog.migrations.table_plans import TablePlan

DEFAULTS: Final = Limits(rest=1.0)
PART_PAGES: Final = 1_024
"""Pages of a part, 8 MiB: what users and replicas bear before there is a rest."""
Hear = Callable[[str], None]
"""Hears what is done, as sentences for people."""


def unheard(_: str) -> None:
    """For those who do not listen."""


async def archive(
    connection: Connection, run: int, index: int, table: TablePlan, hear: Hear = unheard, *, limits: Limits = DEFAULTS,
    pages: int = PART_PAGES,
) -> int:  # fmt: skip
    """Keeps a table as the transaction's snapshot has it; answers with its rows.

    Args:
        connection: In a transaction whose snapshot stands (`REPEATABLE READ`).
        hear: Hears why it waits.
        limits: How far behind a replica may be, for how long, before it is given up; and the rest after each part.
        pages: Of a part.

    Raises:
        WatchdogError: A replica stayed behind for too long.
        psycopg.Error: It failed.
    """
    # Pages that come later hold nothing that the snapshot sees, except in a table that is being rewritten, which waits.
    row = await (
        await connection.execute(
            "SELECT pg_relation_size(oid) / current_setting('block_size')::int FROM pg_class"
            " WHERE oid = %s::regclass AND relkind = 'r'",
            (qualified(table.name),),
        )
    ).fetchone()
    whole = int(row[0]) if row else 0
    if whole <= pages:
        return (await connection.execute(archive_before(run, index, table).encode())).rowcount
    # Users need the other processors.
    await connection.execute("SET LOCAL max_parallel_workers_per_gather = 0")
    await connection.execute(f"{archive_before(run, index, table)} WITH NO DATA".encode())
    rows = 0
    for first in range(0, whole, pages):
        await wait_for_replicas(connection, limits, lambda why: hear(f"archiving {qualified(table.name)}: {why}"))
        began = monotonic()
        part = archive_pages(run, index, table, (first, min(first + pages, whole)), rows)
        rows += (await connection.execute(part.encode())).rowcount
        await asyncio.sleep(limits.rest * (monotonic() - began))
    return rows
