"""`python -m benchmarks.rollback --corpus DIR --referee DIR [--limit N] [--only NAME] [--version 15] [--online]`."""

import argparse
import asyncio
import re
import sys
from pathlib import Path
from time import monotonic
from typing import cast

import psycopg
from psycopg import sql

from benchmarks.rollback.pair import Outcome, Referee, try_pair
from benchmarks.rollback.table import table
from watchdog.migrations.clone import database_url
from watchdog.migrations.options import Options
from watchdog.migrations.parser import postgast
from watchdog.servers.paths import scratch_dir
from watchdog.servers.postgres import PostgresServer, Version

_SETTINGS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "max_connections": "60"}


def pairs(corpus: Path) -> list[Path]:
    """The corpus' directories by version: what stands before the first underscore, without dashes."""
    found = [path for path in corpus.iterdir() if (path / "up.sql").is_file()]
    return sorted(found, key=lambda path: (path.name.split("_")[0].replace("-", ""), path.name))


async def main(arguments: argparse.Namespace) -> int:
    """Runs the corpus; the exit status is 1 if a pair failed."""
    referee = Referee.load(arguments.referee)
    wanted = pairs(arguments.corpus)[: arguments.limit]
    version = cast("Version", arguments.version)
    began = monotonic()
    with scratch_dir("bench") as directory:
        async with (
            await PostgresServer.start(directory / "chain", version=version, settings=_SETTINGS) as chain,
            await PostgresServer.start(directory / "scratch", version=version, settings=_SETTINGS) as scratch,
        ):
            outcomes = await _chain(chain.url("postgres"), scratch.url("postgres"), wanted, referee, arguments)
    sys.stdout.write(table(outcomes, monotonic() - began) + "\n")
    return 1 if any(outcome.kind == "failed" for outcome in outcomes) else 0


async def _chain(
    admin: str, scratch: str, wanted: list[Path], referee: Referee, arguments: argparse.Namespace
) -> list[Outcome]:
    gate = asyncio.Semaphore(2)
    options = Options(online_rows=0) if arguments.online else Options()
    tasks: list[asyncio.Task[Outcome]] = []
    async with await psycopg.AsyncConnection.connect(admin, autocommit=True) as server:
        await server.execute("CREATE DATABASE chain TEMPLATE template0")
        for number, path in enumerate(wanted):
            up = (path / "up.sql").read_text()
            if re.search(arguments.only, path.name):
                await gate.acquire()
                name = f"pair_{number}"
                await server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE chain").format(sql.Identifier(name)))
                tasks.append(
                    asyncio.create_task(_one(gate, server, admin, scratch, name, path.name, up, referee, options))
                )
            try:
                await _forward(database_url(admin, "chain"), up)
            except psycopg.Error as error:
                sys.stderr.write(f"The chain ends with {path.name}, which fails on no rows at all: {error}\n")
                break
        return list(await asyncio.gather(*tasks))


async def _one(  # noqa: PLR0913, PLR0917 - the pair and where it is tried
    gate: asyncio.Semaphore,
    server: psycopg.AsyncConnection[tuple[object, ...]],
    admin: str,
    scratch: str,
    database: str,
    name: str,
    up: str,
    referee: Referee,
    options: Options,
) -> Outcome:
    try:
        outcome = await try_pair(name, database_url(admin, database), scratch, up, referee, options)
        sys.stderr.write(f"{outcome.kind} {name} {outcome.seconds:.1f} s {outcome.cause}\n")
        await server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))
        return outcome
    finally:
        gate.release()


async def _forward(url: str, up: str) -> None:
    """The chain receives the script as psql would send it: statement by statement."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for statement in postgast.split(up):
            await connection.execute(statement.encode())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rollback", description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--referee", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--only", default="", help="a regular expression on the pairs' names")
    parser.add_argument("--online", action="store_true", help="treat every table as a large one")
    parser.add_argument("--version", default="15", choices=["15", "17", "18"])
    sys.exit(asyncio.run(main(parser.parse_args())))
