"""One pair: apply, users write, take back, compare, apply again, compare."""

import asyncio
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import psycopg

from benchmarks.rollback.rows import Rows, quarantined, snapshot, users
from watchdog.migrations.apply import apply
from watchdog.migrations.options import Options
from watchdog.migrations.rollback import Report, rollback
from watchdog.migrations.session import RefusedError
from watchdog.ports.errors import WatchdogError
from watchdog.servers.postgres import tool

# As pg_dump shows what ALWAYS fires for a run.
_LOG = re.compile(
    r"\n--\n-- Name: \S+ watchdog_log\w*; Type: TRIGGER;[^\n]*\n--\n\nCREATE TRIGGER [^;]*;\n\n"
    r"ALTER TABLE [^;]* ENABLE ALWAYS TRIGGER watchdog_log\w*;\n\n"
)
# A script may write the moment of its own run into the schema, so a second run never makes the same.
_NOW = re.compile(r"'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+(\+\d\d)?'")
_RESTRICT = re.compile(r"^\\(un)?restrict .*\n", re.MULTILINE)


@dataclass(frozen=True)
class Referee:
    """The scripts that write rows, as text."""

    seed: str
    later: str

    @classmethod
    def load(cls, directory: Path) -> "Referee":
        """Reads them."""
        return cls((directory / "seed.sql").read_text(), (directory / "later_rows.sql").read_text())


@dataclass(frozen=True)
class Outcome:
    """What became of one pair; `kind` is restored, refused, impossible, or failed."""

    pair: str
    kind: str
    cause: str = ""
    seconds: float = 0.0
    later_live: int = 0
    later_quarantined: int = 0


async def schema(url: str) -> str:
    """What `pg_dump -s` says, without our own schema."""
    parts = urlsplit(url)
    process = await asyncio.create_subprocess_exec(
        tool("pg_dump"), "-s", "-N", "watchdog",
        env={
            "PATH": os.defpath, "PGHOST": str(parts.hostname), "PGPORT": str(parts.port),
            "PGUSER": str(parts.username), "PGPASSWORD": str(parts.password), "PGDATABASE": parts.path.lstrip("/"),
        },
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await process.communicate()
    return _RESTRICT.sub("", output.decode())


async def run_script(url: str, script: str) -> None:
    """Runs a referee's script in a session of its own."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(script.encode())


async def try_pair(name: str, url: str, scratch: str, up: str, referee: Referee, options: Options) -> Outcome:
    """Puts one pair through; never raises for what the product does."""
    began = monotonic()
    try:
        outcome = await _try(name, url, scratch, up, referee, options)
    except RefusedError as error:
        outcome = Outcome(name, "refused", str(error))
    except (WatchdogError, psycopg.Error) as error:
        outcome = Outcome(name, "failed", f"{type(error).__name__}: {error}")
    return Outcome(
        outcome.pair, outcome.kind, outcome.cause, monotonic() - began, outcome.later_live, outcome.later_quarantined
    )


async def _try(name: str, url: str, scratch: str, up: str, referee: Referee, options: Options) -> Outcome:
    await run_script(url, referee.seed)
    before, seeded = await schema(url), await snapshot(url)
    try:
        applied = await apply(url, up, scratch_url=scratch, options=options)
    except RefusedError:
        if (await schema(url), await snapshot(url)) != (before, seeded):
            return Outcome(name, "failed", "refused, but something was changed")
        raise
    except WatchdogError as error:
        if (await schema(url), await snapshot(url)) != (before, seeded):
            return Outcome(name, "failed", "it failed, but something was changed")
        return Outcome(name, "impossible" if await _fails_alone(url, up) else "failed", str(error))
    # A log of what users write is no part of the schema, and is gone after a rollback.
    forward, pre = _LOG.sub("", await schema(url)), await snapshot(url)
    await run_script(url, referee.later)
    await users(url)
    post = await snapshot(url)
    try:
        report = await rollback(url, applied.run)
    except WatchdogError as error:
        return Outcome(name, "failed", f"rollback: {error}")
    if wrong := first_difference(before, await schema(url)):
        return Outcome(name, "failed", f"schema: {wrong}")
    kept = await quarantined(url, applied.run)
    if wrong := _compare(seeded, pre, post, await snapshot(url), kept):
        return Outcome(name, "failed", f"rows: {wrong}")
    await apply(url, up, scratch_url=scratch, options=options)
    if wrong := first_difference(_NOW.sub("now", forward), _NOW.sub("now", _LOG.sub("", await schema(url)))):
        return Outcome(name, "failed", f"applied again: {wrong}")
    return _restored(name, report)


async def _fails_alone(url: str, up: str) -> bool:
    """Whether the script fails on the seeded rows also without us."""
    try:
        await run_script(url, up)
    except psycopg.Error:
        return True
    return False


def _restored(name: str, report: Report) -> Outcome:
    return Outcome(name, "restored", later_live=report.later, later_quarantined=report.quarantined)


def first_difference(before: str, after: str) -> str:
    """The first line that is not the same; empty for none."""
    if before == after:
        return ""
    old, new = Counter(before.splitlines()), Counter(after.splitlines())
    changed = [f"- {line}" for line in (old - new) if line.strip()] + [
        f"+ {line}" for line in (new - old) if line.strip()
    ]
    return " / ".join(changed[:4]) or "the order of lines"


def _compare(
    seeded: dict[int, Rows], pre: dict[int, Rows], post: dict[int, Rows], now: dict[int, Rows], kept: Counter[str]
) -> str:
    """Earlier rows are there again but for those that users touched; later rows are live or in quarantine."""
    by_name = {table.name: table.rows for table in now.values()}
    for number, table in seeded.items():
        live = by_name.get(table.name)
        if live is None:
            return f"table {table.name} is gone"
        there = number in pre and number in post
        touched = (pre[number].rows - post[number].rows).total() if there else 0
        written = (post[number].rows - pre[number].rows).total() if there else 0
        said = '"%s"."%s"' % table.name  # noqa: UP031 - a tuple
        aside = kept[said]
        missing = (table.rows - live).total()
        if missing > touched + aside:
            return (
                f"{missing} earlier rows of {table.name} are missing, users touched {touched}, quarantine has {aside}"
            )
        if (live - table.rows).total() + aside < written:
            more = (live - table.rows).total()
            return f"of {written} later rows of {table.name} {more} are live and {aside} in quarantine"
    for number, table in post.items():
        if number in seeded:
            continue
        said = '"%s"."%s"' % (pre[number].name if number in pre else table.name)
        written = (table.rows - pre[number].rows).total() if number in pre else table.rows.total()
        if kept[said] < written:
            return f"of {written} later rows of the new {said} {kept[said]} are in quarantine"
    return ""
