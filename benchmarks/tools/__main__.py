"""`python -m benchmarks.tools [--only NAME]`: fetches each tool, applies two migrations, takes one back, again.

`python -m benchmarks.tools --large ROWS`: a large table, as a tool and `--safe` change it, while a client writes.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable
from pathlib import Path
from time import monotonic
from typing import Any

import psycopg

from benchmarks.tools.cases import CASES, FIRST, SECOND, Case, MissingError
from benchmarks.tools.graph import NAME, try_on_graph
from benchmarks.tools.large import HEAD, WAYS, measure
from watchdog.migrations.rollback import rollback
from watchdog.migrations.tools.apply import apply_tool
from watchdog.ports.errors import WatchdogError
from watchdog.servers.paths import scratch_dir
from watchdog.servers.postgres import PostgresServer

_SEED = "INSERT INTO shop SELECT n, 'name ' || n, 'old ' || n FROM generate_series(1, 10000) n"


async def main(only: str | None) -> int:
    """Prints the table; the exit status is 1 if a tool's migration was not taken back."""
    failed = False
    _say("| tool | migration | applied (s) | taken back (s) | rows and version as before | applied again |")
    _say("|---|---|---:|---:|---|---|")
    with scratch_dir("tools") as directory:
        async with await PostgresServer.start(directory / "data", settings={"fsync": "off"}) as server:
            for number, case in enumerate(CASES):
                if only is not None and only.lower() not in case.name.lower():
                    continue
                work = _try(case, server, directory / str(number), f"shop_{number}")
                failed = not await _show(case.name, work) or failed
        if only is None or only.lower() in NAME:
            failed = not await _show(NAME, try_on_graph(directory / "graph")) or failed
    return int(failed)


async def _show(name: str, work: Awaitable[tuple[str, ...]]) -> bool:
    try:
        cells = await work
    except MissingError as error:
        cells = (f"not to be had: {error}",)
    except WatchdogError as error:
        cells = (f"NO: {error}",)
    _say(f"| {name} | {' | '.join(cells)} |")
    return not any(cell.startswith("NO") for cell in cells)


async def _try(case: Case, server: PostgresServer, place: Path, name: str) -> tuple[str, ...]:
    migrations = place / "migrations"
    migrations.mkdir(parents=True)
    command = case.fetch(place, migrations)
    scratch = server.url("postgres")
    await _sql(scratch, f"CREATE DATABASE {name}")
    url = f"{server.url(name)}?sslmode=disable"
    case.write(migrations, 1, FIRST)
    await apply_tool(url, command, scratch_url=scratch)
    await _sql(url, _SEED)
    rows, version = await _sql(url, "SELECT * FROM shop ORDER BY id"), await _sql(url, case.versions)
    case.write(migrations, 2, SECOND)
    began = monotonic()
    done = await apply_tool(url, command, scratch_url=scratch)
    applied = monotonic() - began
    if done is None or await _sql(url, case.versions) == version:
        return (SECOND, "", "", "NO: nothing was applied", "")
    await _sql(url, "INSERT INTO shop VALUES (0, 'later')")
    began = monotonic()
    await rollback(url, done.run)
    back = monotonic() - began
    same = await _sql(url, "SELECT * FROM shop ORDER BY id") == [(0, "later", None), *rows]
    same = same and await _sql(url, case.versions) == version
    again = await apply_tool(url, command, scratch_url=scratch)
    return (SECOND, f"{applied:.1f}", f"{back:.1f}", "yes" if same else "NO", "yes" if again else "NO")


async def _sql(url: str, query: str) -> list[Any]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        cursor = await connection.execute(query.encode())
        return await cursor.fetchall() if cursor.description else []


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def large(rows: int) -> int:
    """Prints the table of a large table's runs."""
    for line in HEAD:
        _say(line)
    with scratch_dir("tools") as directory:
        async with await PostgresServer.start(directory / "data", settings={"fsync": "off"}) as server:
            for number, way in enumerate(WAYS):
                _say(await measure(way, server, directory / str(number), rows))
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="a part of a tool's name")
    parser.add_argument("--large", type=int, metavar="ROWS", help="no tool's, but a table of so many rows instead")
    said = parser.parse_args()
    sys.exit(asyncio.run(main(said.only) if said.large is None else large(said.large)))
