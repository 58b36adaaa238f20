"""`python -m benchmarks.rollback.harm [--version 18]`: every hostile script is taken back exactly, or refused."""

import argparse
import asyncio
import sys
from typing import cast

import psycopg
from psycopg import sql

from benchmarks.rollback.hostile import HOSTILE, REFUSED, SHOP
from benchmarks.rollback.pair import first_difference, schema
from benchmarks.rollback.rows import snapshot
from watchdog.migrations.apply import apply
from watchdog.migrations.clone import database_url
from watchdog.migrations.rollback import rollback
from watchdog.ports.errors import WatchdogError
from watchdog.servers.paths import scratch_dir
from watchdog.servers.postgres import PostgresServer, Version

_SETTINGS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


async def state(url: str) -> tuple[str, dict[tuple[str, str], object]]:
    """Schema and rows."""
    return await schema(url), {table.name: table.rows for table in (await snapshot(url)).values()}


async def judge(url: str, scratch: str, script: str) -> tuple[str, str]:
    """What became of a script on a shop of its own: restored, refused, or `false success`; and why."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(SHOP.encode())
    before = await state(url)
    try:
        applied = await apply(url, script, scratch_url=scratch)
    except WatchdogError as error:
        return ("refused" if await state(url) == before else "refused, but changed"), str(error)
    try:
        await rollback(url, applied.run)
    except WatchdogError as error:
        return "rollback refused", str(error)
    after = await state(url)
    if after == before:
        return "restored", ""
    return "false success", first_difference(before[0], after[0]) or "rows differ"


async def main(version: Version) -> int:
    """Prints a table; the exit status is 1 for a false success."""
    bad = 0
    with scratch_dir("harm") as directory:
        async with await PostgresServer.start(directory / "data", version=version, settings=_SETTINGS) as server:
            admin = server.url("postgres")
            for number, (name, script) in enumerate((HOSTILE | REFUSED).items()):
                async with await psycopg.AsyncConnection.connect(admin, autocommit=True) as connection:
                    made = f"shop_{number}"
                    words = sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(made))
                    await connection.execute(words)
                    kind, why = await judge(database_url(admin, made), admin, script)
                    await connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(made)))
                bad += kind not in {"restored", "refused"}
                sys.stdout.write(f"| {name} | {kind} | {' '.join(why.split()).replace('|', '/')[:160]} |\n")
                sys.stdout.flush()
    return 1 if bad else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rollback.harm", description=__doc__)
    parser.add_argument("--version", default="18", choices=["15", "17", "18"])
    sys.exit(asyncio.run(main(cast("Version", parser.parse_args().version))))
