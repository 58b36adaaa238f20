"""`watchdog migration erase`."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from watchdog.cli.migration_options import Database
from watchdog.cli.options import Json
from watchdog.cli.output import complain, emit, say
from watchdog.migrations.erase import ErasureError
from watchdog.migrations.erase import erase as erase_rows


def erase(
    database: Database,
    table: Annotated[str, typer.Option("--table", help="The table, as public.users.")],
    where: Annotated[
        list[str], typer.Option("--where", help="A column and its value, as id=42; all of several must hold.")
    ],
    as_json: Json = False,
) -> None:
    """Take a person's rows out of every archive and of quarantine.

    The live table is yours to delete from; do that first. Rows of other tables that belong to the person are yours to
    name, with a call for each table: orders by user_id=42. Status 1: an archive of the table could not be searched by
    these columns, so search it by others. Scripts of runs and backups are not looked at.
    """
    done = asyncio.run(erase_rows(database, table, _pairs(where)))
    if as_json:
        emit(asdict(done))
    else:
        for place in done.places:
            say(f"run {place.run}: {place.rows:,} rows of {place.table} erased from {place.name}")
        if not done.places:
            say("no row was found")
        if done.others:
            say(f"not looked at: rows kept of {', '.join(done.others)}")
        for text in done.unsearched:
            complain(f"{text}; name the rows by another column")
    if done.unsearched:
        raise typer.Exit(1)


def _pairs(where: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in where:
        column, equals, value = text.partition("=")
        if not equals or not column:
            raise ErasureError("--where is a column and its value, as id=42.")
        if found.setdefault(column, value) != value:
            raise ErasureError(f"Column {column} cannot have two values; erase one after the other.")
    return found
