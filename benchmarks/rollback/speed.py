"""`python -m benchmarks.rollback.speed [--rows N] [--later N,N] [--out FILE]`: how long it takes, and whom it harms.

One column of pgbench's accounts is dropped and comes back, while clients write at a fixed rate. Beside it, in the same
run, what people use today: a hand-written down script with a hand-made copy, and pg_dump with pg_restore.
"""

import argparse
import asyncio
import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import psycopg

from benchmarks.rollback.clients import Seen, clients
from watchdog.migrations.apply import apply
from watchdog.migrations.options import Options
from watchdog.migrations.outlook import outlooks
from watchdog.migrations.rollback import rollback
from watchdog.migrations.runs import runs
from watchdog.servers.paths import scratch_dir
from watchdog.servers.postgres import PostgresServer, tool

SCRIPT = "ALTER TABLE pgbench_accounts DROP COLUMN filler"
_SETTINGS = {"shared_buffers": "512MB", "max_wal_size": "8GB", "checkpoint_timeout": "30min", "max_connections": "60"}
_SEED = 7


@dataclass(frozen=True)
class Lost:
    """Transactions a second: without us, while the migration is applied, while the log is on.

    Attributes:
        rate: What pgbench was told to do; None for as many as it can.
    """

    rate: float | None
    plain: float
    archived: float
    logged: float


@dataclass
class Line:
    """One way of going and coming back; times in seconds."""

    way: str
    later: int
    apply_s: float
    apply: Seen
    back_s: float
    back: Seen
    lost: int
    predicted: float | None = None


async def sql(url: str, *statements: str) -> list[tuple[object, ...]]:
    """Runs statements, each by itself; the rows of the last one."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        rows: list[tuple[object, ...]] = []
        for statement in statements:
            cursor = await connection.execute(statement.encode())
            rows = await cursor.fetchall() if cursor.description else []
        return rows


async def start(name: str, url: str, *words: str) -> asyncio.subprocess.Process:
    """Starts one of PostgreSQL's programs on a database."""
    parts = urlsplit(url)
    return await asyncio.create_subprocess_exec(
        tool(name), *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={
            "PATH": os.defpath, "PGHOST": str(parts.hostname), "PGPORT": str(parts.port),
            "PGUSER": str(parts.username), "PGPASSWORD": str(parts.password), "PGDATABASE": parts.path.lstrip("/"),
        },
    )  # fmt: skip


async def program(name: str, url: str, *words: str) -> str:
    """Runs one of PostgreSQL's programs on a database."""
    process = await start(name, url, *words)
    output, errors = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"{name}: {errors.decode()}")
    return output.decode()


class Bench:
    """A server with a template database."""

    def __init__(self, server: PostgresServer, directory: Path, rows: int) -> None:
        self._server = server
        self._directory = directory
        self._rows = rows
        self._number = 0

    async def fill(self) -> None:
        """Makes the template."""
        await sql(self._server.url("postgres"), "CREATE DATABASE filled")
        await program("pgbench", self._server.url("filled"), "-i", "-q", "-s", str(self._rows // 100_000))
        await sql(self._server.url("filled"), "UPDATE pgbench_branches SET bbalance = 0", "VACUUM ANALYZE")

    async def fresh(self) -> str:
        """A copy of the template."""
        self._number += 1
        name, admin = f"try_{self._number}", self._server.url("postgres")
        await sql(admin, f"CREATE DATABASE {name} TEMPLATE filled STRATEGY FILE_COPY", "CHECKPOINT")
        return self._server.url(name)

    async def line(self, way: str, later: int, go: "Way", back: "Way") -> Line:
        """Goes, lets users write, comes back, and counts what of their writes is there."""
        url = await self.fresh()
        async with clients(url, self._rows, seed=_SEED) as seen:
            await asyncio.sleep(2)
            seen.waits.clear()
            began = monotonic()
            await go(url)
            apply_s = monotonic() - began
        if later:
            await sql(url, f"UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid <= {later}")  # noqa: S608 - a number
        known = await runs(url)
        predicted = [one.rollback_seconds for one in (await outlooks(url, known)).values()] if known else []
        async with clients(url, self._rows, seed=_SEED + 100) as after:
            await asyncio.sleep(2)
            after.waits.clear()
            began = monotonic()
            await back(url)
            back_s = monotonic() - began
            await asyncio.sleep(1)
        lost = await self._lost(url, later, seen, after)
        await sql(self._server.url("postgres"), f"DROP DATABASE {url.rsplit('/', 1)[1]} WITH (FORCE)")
        return Line(way, later, apply_s, seen, back_s, after, lost, predicted[0] if predicted else None)

    async def _lost(self, url: str, later: int, *seen: Seen) -> int:
        """Accounts that do not hold what was acknowledged."""
        wanted = sum((one.added for one in seen), start=Counter[int]())
        rows: Any = await sql(url, "SELECT aid, abalance FROM pgbench_accounts WHERE abalance <> 0")
        found: dict[int, int] = dict(rows)
        total = 0
        for account in found.keys() | wanted.keys() | set(range(1, later + 1)):
            total += found.get(account, 0) != wanted[account] + (1 if account <= later else 0)
        return total

    async def watchdog(self, way: str, later: int, options: Options) -> Line:
        """By `migration apply` and `rollback`."""
        number = 0

        async def go(url: str) -> None:
            nonlocal number
            number = (await apply(url, SCRIPT, scratch_url=self._server.url("postgres"), options=options)).run

        async def back(url: str) -> None:
            await rollback(url, number)

        return await self.line(way, later, go, back)

    async def by_hand(self, later: int) -> Line:
        """A careful engineer's own scripts."""

        async def go(url: str) -> None:
            keep = "CREATE TABLE keep AS SELECT aid, filler FROM pgbench_accounts"
            await sql(url, keep, "ALTER TABLE keep ADD PRIMARY KEY (aid)", SCRIPT)

        async def back(url: str) -> None:
            await sql(
                url,
                "BEGIN; ALTER TABLE pgbench_accounts ADD COLUMN filler character(84);"
                " UPDATE pgbench_accounts a SET filler = k.filler FROM keep k WHERE k.aid = a.aid; COMMIT",
            )

        return await self.line("by hand: copy, ADD COLUMN, UPDATE", later, go, back)

    async def dumped(self, later: int) -> Line:
        """From a dump of before."""
        place = self._directory / "dump"

        async def go(url: str) -> None:
            await program("pg_dump", url, "-Fc", "-f", str(place))
            await sql(url, SCRIPT)

        async def back(url: str) -> None:
            await program("pg_restore", url, "--clean", "-d", url.rsplit("/", 1)[1], str(place))

        return await self.line("pg_dump, pg_restore --clean", later, go, back)

    async def throughput(self, rate: float | None) -> Lost:
        """Transactions a second of pgbench: without us, while the table is archived, and while the log is on.

        Args:
            rate: Transactions a second that it is to do; None for as many as it can.
        """
        url = await self.fresh()
        words = ["-N", "-n", "-c", "4", "-j", "2", "--random-seed=7", *(["-R", f"{rate:.0f}"] if rate else [])]

        async def measure() -> float:
            said = await program("pgbench", url, *words, "-T", "10")
            return float(next(line for line in said.splitlines() if line.startswith("tps")).split()[2])

        plain = [await measure()]
        archived = await self._while_applied(url, words)
        logged = [await measure(), await measure()]
        await rollback(url, 1)
        plain.append(await measure())
        return Lost(rate, sum(plain) / 2, archived, sum(logged) / 2)

    async def _while_applied(self, url: str, words: list[str]) -> float:
        """Transactions a second while the migration is applied, from its first second to its last."""
        load = await start("pgbench", url, *words, "-T", "86400", "-P", "1")
        assert load.stderr is not None  # noqa: S101 - a pipe was asked for
        seen: list[tuple[float, float]] = []
        reading = asyncio.create_task(_progress(load.stderr, seen))
        await asyncio.sleep(3)
        began = monotonic()
        await apply(url, SCRIPT, scratch_url=self._server.url("postgres"))
        ended = monotonic()
        load.terminate()
        await reading
        await load.wait()
        within = [tps for at, tps in seen if began + 1 <= at <= ended]
        return sum(within) / len(within)


async def _progress(lines: asyncio.StreamReader, into: list[tuple[float, float]]) -> None:
    """When pgbench said how many transactions the last second had, and how many."""
    async for line in lines:
        words = line.decode().split()
        if words[:1] == ["progress:"]:
            into.append((monotonic(), float(words[3])))


Way = Callable[[str], Awaitable[None]]


def page(lines: list[Line], rows: int, lost: Iterable[Lost] = ()) -> Iterator[str]:
    """The table."""
    yield f"{rows:,} accounts, a column of 84 bytes dropped and brought back while clients write 200 rows a second."
    yield ""
    heads = ("later writes", "apply", "stall", "rollback", "stall", "p99", "exclusive lock", "writes lost", "predicted")
    yield f"| way | {' | '.join(heads)} |"
    yield f"|---|{'---:|' * len(heads)}"
    for one in lines:
        guess = "" if one.predicted is None else f"{one.predicted:.1f} s"
        yield (
            f"| {one.way} | {one.later:,} | {one.apply_s:.1f} s | {one.apply.stall * 1000:.0f} ms | {one.back_s:.1f} s"
            f" | {one.back.stall * 1000:.0f} ms | {one.back.p99 * 1000:.0f} ms | {one.back.locked * 1000:.0f} ms"
            f" | {one.lost:,} | {guess} |"
        )
    yield ""
    yield "| `pgbench -N`, 4 clients | alone | while it is applied | while the log is on |"
    yield "|---|---:|---:|---:|"
    for one in lost:
        how = "as fast as it can" if one.rate is None else f"told to do {one.rate:,.0f}/s"
        yield (
            f"| {how} | {one.plain:,.0f}/s | {one.archived:,.0f}/s ({one.archived / one.plain - 1:+.1%})"
            f" | {one.logged:,.0f}/s ({one.logged / one.plain - 1:+.1%}) |"
        )


async def main(arguments: argparse.Namespace) -> int:
    """Runs everything; the exit status is 1 if one of our ways lost a write."""
    with scratch_dir("speed") as directory:
        async with await PostgresServer.start(directory / "data", version="18", settings=_SETTINGS) as server:
            bench = Bench(server, directory, arguments.rows)
            await bench.fill()
            lines: list[Line] = []
            for later in arguments.later:
                lines.append(await bench.watchdog("watchdog", later, Options()))
                lines.append(await bench.watchdog("watchdog --defer", later, Options(defer=True)))
                lines.append(await bench.by_hand(later))
                lines.append(await bench.dumped(later))
                sys.stderr.writelines(f"{line}\n" for line in page(lines[-4:], arguments.rows))
            most = await bench.throughput(None)
            half = await bench.throughput(most.plain / 2)
    text = "\n".join(page(lines, arguments.rows, (most, half))) + "\n"
    sys.stdout.write(text)
    if arguments.out:
        arguments.out.write_text(text)
    return 1 if any(line.lost for line in lines if line.way.startswith("watchdog")) else 0


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rollback.speed", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--later", type=_numbers, default=[0, 10_000], help="counts of later writes; empty for none")
    parser.add_argument("--out", type=Path, default=None)
    sys.exit(asyncio.run(main(parser.parse_args())))
