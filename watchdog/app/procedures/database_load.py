"""Load on a staging database, made by pgbench."""

import asyncio
import math
import os
import re
import shutil
import tempfile
from array import array
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from watchdog.app.procedures.load import GRACE, Load, LoadError, Measured, load_part, run_tool
from watchdog.app.procedures.parts import Outcome, Part
from watchdog.migrations.session import connected
from watchdog.model.time import MINUTE, SECOND
from watchdog.ports.errors import WatchdogError
from watchdog.servers.errors import ServerError
from watchdog.servers.postgres import tool

NAME: Final = "database load"
SCHEMA: Final = "watchdog_load"
"""Where pgbench's own tables are while it runs without a script of yours."""

_SCALE: Final = 10
_TABLES: Final = ("pgbench_accounts", "pgbench_branches", "pgbench_history", "pgbench_tellers")
_ABORTED: Final = re.compile(rb"client (\d+) (?:script \d+ )?aborted")


def find_tool() -> Path | None:
    """Where pgbench is: in the package `migration-watchdog[servers]`, or on PATH."""
    try:
        return tool("pgbench")
    except ServerError:
        found = shutil.which("pgbench")
        return Path(found) if found else None


async def database_load(url: str, scripts: Sequence[Path], asked: Load) -> Part:
    """Runs pgbench with scripts of yours, one picked at random each time, or with its own on tables of its own.

    Args:
        url: A staging database: this writes.
    """
    pgbench = find_tool()
    if pgbench is None:
        return Part(NAME, Outcome.NOT_RUN, "there is no pgbench: pip install 'migration-watchdog[servers]'")
    try:
        if scripts:
            return await _run(pgbench, url, scripts, asked)
        async with _own_tables(pgbench, url, min(_SCALE, asked.users)) as inside:
            return await _run(pgbench, inside, (), asked)
    except WatchdogError as error:
        return Part(NAME, Outcome.FAILED, str(error))
    except psycopg.Error as error:
        return Part(NAME, Outcome.FAILED, f"the database says {error.sqlstate or type(error).__name__}")


@asynccontextmanager
async def _own_tables(pgbench: Path, url: str, scale: int) -> AsyncIterator[str]:
    """Tables for pgbench in a schema of their own; yields the address that finds them there."""
    options = f"{conninfo_to_dict(url).get('options') or ''} -c search_path={SCHEMA}".strip()
    inside = make_conninfo(url, options=options)
    async with connected(url) as connection:
        await connection.execute(f"CREATE SCHEMA {SCHEMA}".encode())
        try:
            said, env = _address(inside)
            command = [str(pgbench), "-i", "-q", "-s", str(scale), said]
            status, _ = await run_tool(command, env=env, length=10 * MINUTE)
            if status:
                raise LoadError(f"pgbench -i ended with status {status}; has the user room for its tables?")
            yield inside
        finally:
            for table in _TABLES:
                await connection.execute(f"DROP TABLE IF EXISTS {SCHEMA}.{table}".encode())
            await connection.execute(f"DROP SCHEMA {SCHEMA}".encode())


async def _run(pgbench: Path, url: str, scripts: Sequence[Path], asked: Load) -> Part:
    with tempfile.TemporaryDirectory(prefix="watchdog-load-") as private:
        said, env = _address(url)
        command = [str(pgbench), "-n", "-c", str(asked.users), "-j", str(min(asked.users, os.cpu_count() or 1))]
        command += ["-T", str(asked.seconds), "--log", "--log-prefix", str(Path(private) / "log")]
        for script in scripts:
            command += ["-f", str(script)]
        status, output = await run_tool([*command, said], env=env, length=asked.seconds * SECOND + GRACE)
        measured = await asyncio.to_thread(read_logs, Path(private), asked.seconds)
    aborted = len({found[1] for found in _ABORTED.finditer(output)})
    part = load_part(NAME, asked, measured)
    if not status:
        return part
    why = f"{aborted} of {asked.users} clients were ended by an error" if aborted else f"pgbench ended with {status}"
    advice = "; run the script by psql to see it" if scripts else ""
    return Part(NAME, Outcome.FAILED, f"{why}{advice}", (part.detail,), part.numbers)


def _address(url: str) -> tuple[str, Mapping[str, str]]:
    """The address without its password, which everybody could see among the processes, and an environment with it."""
    parameters = conninfo_to_dict(url)
    password = parameters.pop("password", None)
    env = dict(os.environ)
    if password is not None:
        env["PGPASSWORD"] = str(password)
    return make_conninfo("", **parameters), env


def read_logs(directory: Path, seconds: int) -> Measured:
    """What pgbench's logs say, a line for each transaction: its third word is how long it took in microseconds."""
    times, failed = array("d"), 0
    for log in sorted(directory.glob("log*")):
        with log.open(encoding="utf-8") as lines:
            for line in lines:
                took = line.split(maxsplit=3)[2]
                if took.isdigit():
                    times.append(int(took) / 1_000_000)
                else:
                    failed += 1
    ordered = sorted(times)
    return Measured(
        tried=len(ordered) + failed,
        failed=failed,
        per_second=(len(ordered) + failed) / seconds,
        p50=_percentile(ordered, 0.50),
        p95=_percentile(ordered, 0.95),
        p99=_percentile(ordered, 0.99),
        notes=(f"serialization failures and deadlocks: {failed:,}",) if failed else (),
    )


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    """The nearest rank."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]
