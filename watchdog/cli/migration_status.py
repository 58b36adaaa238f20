"""`watchdog migration status`."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from watchdog.cli.migration_graph import is_graph, show_runs_of_graph
from watchdog.cli.migration_options import Database
from watchdog.cli.options import Json
from watchdog.cli.output import emit, say
from watchdog.cli.render import length
from watchdog.migrations.budget import say_bytes
from watchdog.migrations.runs import Run, runs


def status(database: Database, as_json: Json = False) -> None:
    """Show every run in the database: its state, what is kept for it, and until when."""
    if is_graph(database):
        show_runs_of_graph(database, as_json=as_json)
        return
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
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column("run", justify="right")
    table.add_column("state", no_wrap=True)
    table.add_column("name", min_width=8, overflow="fold")
    table.add_column("began (UTC)", min_width=10, overflow="fold")
    table.add_column("kept", min_width=10, overflow="fold")
    table.add_column("until (UTC)", min_width=10, overflow="fold")
    table.add_column("way back", min_width=8, overflow="fold")
    for one in found:
        name = f"{one.name} ({one.release})" if one.release else one.name
        cells = (one.state, name, _minute(one.began_at))
        table.add_row(str(one.run), *map(Text, cells), _kept(one), _until(one), Text(_way_back(one)))
    return table


def _minute(stamp: str) -> str:
    return stamp[:16].replace("T", " ")


def _kept(run: Run) -> str:
    rows = "? rows" if run.rows_kept is None else f"{run.rows_kept:,} rows"
    waiting = f", {run.quarantined:,} in quarantine" if run.quarantined else ""
    return (
        f"{rows}, {say_bytes(run.bytes_kept)}{waiting}" if run.bytes_kept else waiting.removeprefix(", ") or "nothing"
    )


def _until(run: Run) -> Text:
    if run.settled_at is not None:
        return Text(f"dropped {_minute(run.settled_at)}", style="dim")
    if run.expires_at is None:
        return Text("no end" if run.bytes_kept else "")
    return Text(f"{_minute(run.expires_at)}, past", style="bold red") if run.expired else Text(_minute(run.expires_at))


def _way_back(run: Run) -> str:
    if not run.reversible:
        return f"none: {run.reason}"
    if run.state not in {"applying", "applied"}:
        return "none"
    return f"about {length(run.predicted_rollback_seconds)}" if run.predicted_rollback_seconds is not None else "yes"
