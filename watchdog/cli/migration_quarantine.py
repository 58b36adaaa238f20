"""`watchdog migration quarantine`."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from watchdog.cli.migration_options import Database, RunNumber
from watchdog.cli.options import Json
from watchdog.cli.output import emit, say
from watchdog.migrations.quarantine import Replayed, Waiting, replay, waiting


def quarantine(
    run: RunNumber,
    database: Database,
    again: Annotated[
        bool, typer.Option("--replay", help="Put back what fits now, after the migration was tried again.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Count a run's rows in quarantine by table and reason, or put them back. Never shows a row."""
    done = asyncio.run(replay(database, run)) if again else Replayed({}, asyncio.run(waiting(database, run)))
    if as_json:
        emit({"back": done.back, "waiting": [asdict(one) for one in done.waiting]})
        return
    for table, count in done.back.items():
        say(f"{count:,} rows are back in {table}")
    _lines(done.waiting)


def _lines(rows: Sequence[Waiting]) -> None:
    for one in rows:
        say(f"{one.rows:,} rows of {one.table} wait: {one.reason}")
    if not rows:
        say("no row waits in quarantine")
