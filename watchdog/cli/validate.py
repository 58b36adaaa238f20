"""`watchdog validate`."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from watchdog.app.procedures import snapshot as snapshots
from watchdog.app.procedures.checks import Said
from watchdog.app.procedures.compare import Limits
from watchdog.app.procedures.validation import Wanted, remember
from watchdog.app.procedures.validation import validate as run_validation
from watchdog.cli.client import AnswerError, Daemon, DaemonDownError
from watchdog.cli.options import DEFAULT_CONFIG, Config, Guard, Json, Socket
from watchdog.cli.output import emit, say
from watchdog.cli.parts import length, ratio, show_parts
from watchdog.model.time import Span
from watchdog.runtime.clock import SystemClock


def validate(
    *,
    guard: Guard,
    save: Annotated[Path | None, typer.Option("--save", help="Only write a snapshot to compare with later.")] = None,
    before: Annotated[Path | None, typer.Option("--before", help="The snapshot made before the migration.")] = None,
    shrink: Annotated[str, typer.Option("--may-shrink", help="The share of its rows a table may lose.")] = "0%",
    slower: Annotated[float, typer.Option("--slower", min=1.0, help="How many times slower a query may be.")] = 2.0,
    calls: Annotated[int, typer.Option("--calls", min=1, help="Judge queries called so often since.")] = 5,
    judge_for: Annotated[str, typer.Option("--judge-for", help="How long to read, where no daemon runs.")] = "10s",
    timeout: Annotated[str, typer.Option("--timeout", help="For each statement.")] = "1m",
    strict: Annotated[bool, typer.Option("--strict", help="Exit status 1 also if a part was not run.")] = False,
    config: Config = DEFAULT_CONFIG,
    socket: Socket = None,
    as_json: Json = False,
) -> None:
    """Validate a guard's service after its migration, against a snapshot made before by --save.

    Rows, foreign keys, indexes, query times, health, checks and rules. Everything is only read. The rules are those
    of the running daemon; without one they are judged on a few readings.
    """
    patience = length(timeout, "--timeout")
    if save is not None:
        if before is not None:
            raise typer.BadParameter("a snapshot is either made or compared with", param_hint="--save")
        _save(config, guard, save, patience, as_json=as_json)
        return
    wanted = Wanted(
        before=snapshots.read(before, guard) if before else None,
        limits=Limits(shrink=ratio(shrink, "--may-shrink"), slower=slower, calls=calls),
        rules=_said(config, socket, guard),
        judge_for=length(judge_for, "--judge-for"),
        patience=patience,
    )
    show_parts(guard, run_validation(config, guard, wanted, SystemClock()), strict=strict, as_json=as_json)


def _save(config: Path, guard: str, path: Path, patience: Span, *, as_json: bool) -> None:
    taken = asyncio.run(remember(config, guard, SystemClock(), patience))
    snapshots.save(taken, path)
    if as_json:
        emit({"guard": guard, "snapshot": str(path), "taken_at": taken.taken_at, "databases": list(taken.databases)})
        return
    say(f"snapshot of {guard} at {taken.taken_at} in {path}")
    for name, usage in taken.databases.items():
        queries = f"{len(usage.statements)} queries" if usage.statements is not None else usage.no_statements
        say(f"  {name}: {sum(usage.rows.values()):,} rows in {len(usage.rows)} tables; {queries}")


def _said(config: Path, socket: Path | None, guard: str) -> list[Said] | None:
    """What the daemon says of the rules; None where nobody answers."""
    try:
        with Daemon.of(config, socket) as daemon:
            rules = daemon.get(guard)["rules"]
    except (DaemonDownError, AnswerError):
        return None
    return [Said(rule["name"], rule["verdict"], rule["sentence"]) for rule in rules]
