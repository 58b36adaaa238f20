"""`watchdog migration status`."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from watchdog.cli.migration_graph import is_graph, show_runs_of_graph
from watchdog.cli.migration_options import Database
from watchdog.cli.migration_stores import show_runs_elsewhere
from watchdog.cli.migration_vectors import runs_of_vectors, say_runs_of_vectors
from watchdog.cli.options import Json
from watchdog.cli.output import emit, say
from watchdog.cli.render import length
from watchdog.migrations.budget import say_bytes
from watchdog.migrations.outlook import Outlook, outlooks
from watchdog.migrations.runs import Run, runs


def status(database: Database, as_json: Json = False) -> None:
    """Show every run in the database: its state, what is kept for it, and until when."""
    if is_graph(database):
        show_runs_of_graph(database, as_json=as_json)
        return
    if show_runs_elsewhere(database, as_json=as_json):
        return
    found = asyncio.run(runs(database))
    vectors = runs_of_vectors(database)
    ahead = asyncio.run(outlooks(database, found)) if found else {}
    if as_json:
        told = [{**asdict(one), "now": asdict(ahead[one.run]) if one.run in ahead else None} for one in found]
        emit([*told, *({**asdict(one), "vectors": True} for one in vectors)])
        return
    if not found and not vectors:
        say("no runs")
        return
    say_runs_of_vectors(vectors)
    if found:
        _say_runs(found, ahead)


def _say_runs(found: Sequence[Run], ahead: Mapping[int, Outlook]) -> None:
    Console(highlight=False).print(_table(found, ahead))
    for run, outlook in ahead.items():
        for line in _about_log(outlook):
            say(f"run {run}: {line}")
    late = [str(one.run) for one in found if one.expired]
    if late:
        say(f"past their time: {', '.join(late)}; watchdog migration settle --expired drops their archives")


def _about_log(outlook: Outlook) -> Iterator[str]:
    log = outlook.log
    if outlook.unwatched:
        yield f"its change log cannot be looked after: {outlook.unwatched}"
    if log is None:
        return
    if log.ended:
        yield (
            f"protection is lowered, its change log was ended: {log.ended}; a rollback compares all rows with the"
            " archive under the lock, and refuses where the script wrote rows itself"
        )
    elif log.entries:
        yield f"{log.entries:,} later writes in its change log, {say_bytes(log.bytes)}"


def _table(found: Sequence[Run], ahead: Mapping[int, Outlook]) -> Table:
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
        table.add_row(
            str(one.run), *map(Text, cells), _kept(one), _until(one), Text(_way_back(one, ahead.get(one.run)))
        )
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


def _way_back(run: Run, outlook: Outlook | None) -> str:
    if not run.reversible:
        return f"none: {run.reason}"
    if run.state not in {"applying", "applied"}:
        return "none"
    if outlook is not None and outlook.log is not None and outlook.log.ended:
        return "by archive only"
    seconds = outlook.rollback_seconds if outlook is not None else run.predicted_rollback_seconds
    return f"about {length(seconds)}" if seconds is not None else "yes"
