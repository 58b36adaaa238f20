"""Applies scripts that only build or drop indexes CONCURRENTLY: statement by statement, outside a transaction."""

import re

import psycopg

from watchdog.migrations.catalog import catalog
from watchdog.migrations.concurrent import Concurrent
from watchdog.migrations.manifest import Manifest, begin, finished, record
from watchdog.migrations.options import Options
from watchdog.migrations.plain import plain
from watchdog.migrations.session import RefusedError, sequence_positions
from watchdog.migrations.shape import Connection, look
from watchdog.migrations.undo import Learnt, Plan
from watchdog.ports.errors import WatchdogError


async def build(
    production: Connection, script: str, indexes: Concurrent, learnt: Learnt, undo: Plan, options: Options
) -> int:
    """Runs the statements; the run stands in the database before the first one. Answers with the run's number.

    Raises:
        RefusedError: A unique index would be dropped, or the schema changed meanwhile.
        WatchdogError: A statement failed; what was built is taken away again.
    """
    if any(table.kind != "shrunk" for table in undo.tables):
        raise RefusedError(("it drops a unique index: later rows may break it, so drop it without CONCURRENTLY",))
    async with production.transaction():
        if (await look(production)).outline() != learnt.shape_before.outline():
            raise RefusedError(("the schema changed while the script was tried on a copy; try again",))
        positions = await sequence_positions(production)
        manifest = Manifest(undo, await catalog(production), "", positions, positions, role=options.role)
        run = await begin(production, script, options)
        await record(production, run, manifest)
    try:
        # Held while it works, so that nobody takes an unfinished run back under it.
        await production.execute("SELECT pg_advisory_lock(hashtext('watchdog.migration_runs'), %s::int)", (run,))
        await production.execute("SET lock_timeout = '5s'")
        for statement in indexes.statements:
            await production.execute(statement.encode())
        await finished(production, run)
    except psycopg.Error as error:
        await take_indexes_back(production, manifest)
        await production.execute("DELETE FROM watchdog.migration_runs WHERE id = %s", (run,))
        raise WatchdogError(f"The script failed and was taken back: {plain(error)}") from error
    return run


async def take_indexes_back(production: Connection, manifest: Manifest) -> None:
    """Takes back what there is of a script of indexes that stopped half way, INVALID ones too; raises RefusedError."""
    undo = manifest.plan
    async with production.transaction():
        for statement in undo.drops:
            await production.execute(statement.replace("DROP INDEX ", "DROP INDEX IF EXISTS ", 1).encode())
        for statement in (*undo.makes, *undo.constrains, *undo.finishes):
            again = re.sub(r"^(CREATE (?:UNIQUE )?INDEX) ", r"\1 IF NOT EXISTS ", statement.lstrip())
            await production.execute(again.encode())
        await production.execute("SELECT set_config('search_path', '', true)")
        if await catalog(production) != manifest.catalog:
            raise RefusedError(("indexes stopped half way and what is left is not as before; look at them by hand",))
