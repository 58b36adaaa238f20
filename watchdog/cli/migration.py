"""`watchdog migration`."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from watchdog.cli.assess import assess
from watchdog.cli.lazy import new_app
from watchdog.cli.options import Json
from watchdog.cli.output import emit, say
from watchdog.migrations.apply import apply as apply_script
from watchdog.migrations.rollback import rollback as take_back
from watchdog.migrations.runs import runs
from watchdog.ports.errors import WatchdogError

app = new_app("Assess a migration, apply it so that it can be taken back, and take it back.")
app.command()(assess)

Database = Annotated[str, typer.Option("--database", envvar="WATCHDOG_DATABASE", help="The database's URL.")]


class ScriptError(WatchdogError):
    """A script cannot be read."""

    exit_status = 2


@app.command()
def apply(
    script: Annotated[Path, typer.Argument(help="The migration, SQL.")],
    database: Database,
    down: Annotated[Path | None, typer.Option("--down", help="The author's own way back; kept with the run.")] = None,
    scratch: Annotated[str | None, typer.Option("--scratch", help="A scratch server's URL, as superuser.")] = None,
    as_json: Json = False,
) -> None:
    """Apply a script in one transaction, with everything archived that it destroys. Status 1 changes nothing."""
    text = _read(script)
    back = _read(down) if down is not None else None
    done = asyncio.run(apply_script(database, text, down=back, scratch_url=scratch))
    if as_json:
        emit({"run": done.run, "archives": done.archives, "set_aside_on_rollback": done.quarantines})
        return
    say(f"run {done.run} is applied; watchdog migration rollback --database … {done.run} takes it back")
    for table, count in done.archives.items():
        say(f"  archived {table}: {count:,} rows")
    for what in done.quarantines:
        say(f"  a rollback keeps apart what is written into {what}")


@app.command()
def rollback(
    run: Annotated[int, typer.Argument(help="The run's number.")], database: Database, as_json: Json = False
) -> None:
    """Take a run back: schema and rows as before, later rows kept. Status 1 changes nothing."""
    report = asyncio.run(take_back(database, run))
    if as_json:
        emit(asdict(report))
        return
    say(f"run {report.run} is rolled back")
    say(
        f"  {report.earlier:,} earlier rows as before,"
        f" {report.changed:,} changed since, {report.deleted:,} deleted since"
    )
    say(f"  {report.later:,} later rows live, {report.quarantined:,} in watchdog.migration_quarantine")
    for table in report.kept_columns:
        say(f"  values of columns that are gone: {table}")


@app.command()
def status(database: Database, as_json: Json = False) -> None:
    """Show every run in the database."""
    found = asyncio.run(runs(database))
    if as_json:
        emit([asdict(one) for one in found])
        return
    for one in found:
        say(f"run {one.run}: {one.state}, began {one.began_at}, script sha256 {one.script_hash[:12]}…")
    if not found:
        say("no runs")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ScriptError(f"{path} cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ScriptError(f"{path} is not UTF-8") from error
