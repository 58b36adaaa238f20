"""`watchdog migration rehearse`."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from watchdog.app.procedures.certificate import read_certificate
from watchdog.cli.migration_graph import is_graph
from watchdog.cli.migration_options import Database
from watchdog.cli.options import Json
from watchdog.cli.output import emit, say, word
from watchdog.cli.render import length
from watchdog.cli.scripts import read_script
from watchdog.cli.writes import read_writes
from watchdog.migrations.budget import say_bytes
from watchdog.migrations.rehearse.hold import holds
from watchdog.migrations.rehearse.rehearse import rehearse as rehearse_script
from watchdog.migrations.rehearse.values import Data, Given, HeldLock, Rehearsal, Statement
from watchdog.migrations.session import RefusedError, connected
from watchdog.ports.errors import WatchdogError
from watchdog.runtime.clock import SystemClock
from watchdog.web.views import certificate_view


class RehearseError(WatchdogError):
    """What a rehearsal is given cannot be used."""

    exit_status = 2


def rehearse(
    *,
    script: Annotated[Path, typer.Argument(help="The migration, SQL.")],
    database: Database,
    down: Annotated[Path | None, typer.Option("--down", help="The author's own way back, to be tried too.")] = None,
    scratch: Annotated[str | None, typer.Option("--scratch", help="A scratch server's URL, as superuser.")] = None,
    data: Annotated[Data, typer.Option("--data", help="The rows of the copy.")] = Data.SAMPLE,
    rows: Annotated[int, typer.Option("--rows", min=1, help="Rows of each table in a sample.")] = 1_000,
    unmasked: Annotated[
        bool, typer.Option("--unmasked", help="Copy text, JSON and binary values as they are.")
    ] = False,
    writes: Annotated[Path | None, typer.Option("--writes", help="Recorded writes of the old version, JSON.")] = None,
    statements: Annotated[
        Path | None, typer.Option("--statements", help="Statements of the old version, a JSON list.")
    ] = None,
    from_statistics: Annotated[
        bool, typer.Option("--from-statistics", help="Take the statements from the database's pg_stat_statements.")
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Where the certificate goes.")] = None,
    as_json: Json = False,
) -> None:
    """Apply a script to a throw-away copy, write there, take it back, and compare; certify what holds.

    The database is only read. Exit status 1, and no certificate, if schema or rows did not come back.
    """
    if is_graph(database):
        raise RehearseError("A graph is rehearsed with its playbook, by watchdog playbook rehearse.")
    given = Given(
        script=read_script(script),
        down=read_script(down) if down is not None else None,
        data=data,
        rows=rows,
        masked=not unmasked,
        writes=tuple(read_writes(writes)) if writes is not None else (),
        statements=_statements(statements) if statements is not None else (),
        statistics=from_statistics,
    )
    found = asyncio.run(rehearse_script(database, given, SystemClock(), scratch_url=scratch))
    certificate = certificate_view(found.certificate)
    if as_json:
        emit({**certificate, **_view(found)})
    else:
        _print(found)
    if not found.certificate.restored:
        raise typer.Exit(1)
    if out is not None:
        _write(out, json.dumps(certificate, indent=2) + "\n")


def insist(certificate: Path, database: str, script: str | None) -> None:
    """Raises RefusedError unless a certificate holds for a script on a database.

    Args:
        script: Its text; None when a tool applies what it finds.

    Raises:
        RehearseError: There can be no certificate for that.
        CertificateFileError: The file holds none.
    """
    if script is None or is_graph(database):
        raise RehearseError("A certificate is for one script on PostgreSQL; leave out --certificate.")
    proof = read_certificate(certificate)

    async def ask() -> tuple[str, ...]:
        async with connected(database) as connection:
            return await holds(connection, proof, script)

    if reasons := asyncio.run(ask()):
        raise RefusedError(tuple(f"certificate {proof.id} does not hold here: {reason}" for reason in reasons))


def _view(found: Rehearsal) -> dict[str, Any]:
    """What is known beyond the certificate."""
    return {
        "predicted_rollback_seconds": found.predicted_rollback_seconds,
        "loaded": found.loaded,
        "written": asdict(found.written),
        "quarantined": found.quarantined,
        "old_code_reasons": list(found.old_code),
        "down": asdict(found.down) if found.down else None,
        "locks": [{**asdict(lock), "waits": list(lock.waits)} for lock in found.trace.locks],
        "lock_differences": list(found.trace.differences),
        "locks_untraced": found.trace.untraced or None,
    }


def _print(found: Rehearsal) -> None:
    certificate = found.certificate
    state = "restored" if certificate.restored else "NOT restored"
    took = length(certificate_view(certificate)["measured_seconds"])
    say("schema and data ", word(state), f" in {took}; old code {certificate.old_code}")
    for finding in certificate.findings:
        say(f"  {finding}")
    felt = [lock for lock in found.trace.locks if lock.waits]
    if felt:
        Console(highlight=False).print(_table(felt))
    if not certificate.restored:
        say("no certificate")


def _table(locks: Sequence[HeldLock]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column("line", justify="right")
    table.add_column("locks", min_width=12, overflow="fold")
    table.add_column("mode", min_width=10)
    table.add_column("rows", justify="right")
    table.add_column("size", justify="right")
    table.add_column("who waits", min_width=10)
    for lock in locks:
        rows = "?" if lock.rows is None else f"{lock.rows:,}"
        cells = (str(lock.line), lock.relation, lock.mode, rows, say_bytes(lock.bytes), ", ".join(lock.waits))
        table.add_row(*map(Text, cells))
    return table


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RehearseError(f"The certificate cannot be written to {path} ({error.strerror})") from error


def _statements(path: Path) -> tuple[Statement, ...]:
    try:
        said = json.loads(read_script(path))
    except ValueError as error:
        raise RehearseError(f"{path} is no JSON ({error})") from error
    if not isinstance(said, list) or not all(isinstance(one, str) for one in said):
        raise RehearseError(f"{path} holds no statements: a JSON list of SQL texts, with $1 for values")
    return tuple(Statement(f"statement {number}", text) for number, text in enumerate(said, 1))
