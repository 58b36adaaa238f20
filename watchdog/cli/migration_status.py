"""`watchdog migration status`."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from watchdog.cli.migration_options import Database
from watchdog.cli.options import Json
from watchdog.cli.output import emit, say
from watchdog.cli.render import length
from watchdog.migrations.budget import say_bytes
from watchdog.migrations.runs import Run, runs


def status(database: Database, as_json: Json = False) -> None:
    """Show every run in the database: its state, what is kept for it, and until when."""
    found = asyncio.run(runs(database))
    if as_json:
        emit([asdict(one) for one in found])
        return
    if not found:
        say("no runs")
        return
    Console(highlight=False).print(_table(found))
    late = [str(one.run) for one in found if one.expired]
    if late:
        say(f"past their time: {', '.join(late)}; watchdog migration settle --expired drops their archives")


def _table(found: Sequence[Run]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for title in ("run", "state", "name", "release", "began"):
        table.add_column(title, overflow="fold")
    for title in ("rows kept", "on disk", "quarantine"):
        table.add_column(title, justify="right")
    table.add_column("until", overflow="fold")
    table.add_column("way back", overflow="fold")
    for one in found:
        kept = "?" if one.rows_kept is None else f"{one.rows_kept:,}"
        cells = (
            one.state,
            one.name,
            one.release,
            one.began_at,
            kept,
            say_bytes(one.bytes_kept),
            f"{one.quarantined:,}",
        )
        table.add_row(str(one.run), *(Text(cell) for cell in cells), _until(one), Text(_way_back(one)))
    return table


def _until(run: Run) -> Text:
    if run.settled_at is not None:
        return Text(f"dropped {run.settled_at}", style="dim")
    if run.expires_at is None:
        return Text("no end")
    return Text(f"{run.expires_at}, past", style="bold red") if run.expired else Text(run.expires_at)


def _way_back(run: Run) -> str:
    if not run.reversible:
        return f"none: {run.reason}"
    if run.state not in {"applying", "applied"}:
        return "none"
    return f"about {length(run.predicted_rollback_seconds)}" if run.predicted_rollback_seconds is not None else "yes"
