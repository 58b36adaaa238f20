"""`watchdog migration`."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from watchdog.cli.assess import assess
from watchdog.cli.lazy import new_app
from watchdog.cli.migration_erase import erase
from watchdog.cli.migration_graph import apply_to_graph, is_graph, refuse_options, take_back_from_graph
from watchdog.cli.migration_options import Database, RunNumber
from watchdog.cli.migration_quarantine import quarantine
from watchdog.cli.migration_rehearse import insist, rehearse
from watchdog.cli.migration_settle import settle
from watchdog.cli.migration_status import status
from watchdog.cli.migration_tool import Tool, Variables, VersionTables, apply_by_tool, finish_what_stopped, split
from watchdog.cli.options import Json
from watchdog.cli.output import emit, say
from watchdog.config.spans import EXAMPLE, parse_span
from watchdog.migrations.apply import Applied
from watchdog.migrations.apply import apply as apply_script
from watchdog.migrations.budget import parse_bytes
from watchdog.migrations.options import Options, OptionsError
from watchdog.migrations.rollback import rollback as take_back
from watchdog.migrations.tools.address import Command
from watchdog.model.time import in_seconds
from watchdog.ports.errors import WatchdogError

app = new_app("Assess a migration, apply it so that it can be taken back, and take it back.")
for verb in (assess, rehearse, status, settle, erase, quarantine):
    app.command()(verb)


class ScriptError(WatchdogError):
    """A script cannot be read."""

    exit_status = 2


@app.command()
def apply(
    *,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SCRIPT", help="The migration: SQL, or Cypher for a graph. With --tool: -- and the command."
        ),
    ] = None,
    database: Database,
    tool: Tool = None,
    env: Variables = None,
    version_table: VersionTables = None,
    down: Annotated[Path | None, typer.Option("--down", help="The author's own way back; kept with the run.")] = None,
    scratch: Annotated[str | None, typer.Option("--scratch", help="A scratch server's URL, as superuser.")] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            envvar="WATCHDOG_ARCHIVE_BUDGET",
            help="What the archives may take, as 20GiB; else it is refused.",
        ),
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", help="After how long settle --expired may drop the archives, as 7d.")
    ] = None,
    name: Annotated[str, typer.Option("--name", help="What to call the run.")] = "",
    release: Annotated[str, typer.Option("--release", help="The release that it belongs to.")] = "",
    no_archive: Annotated[
        bool, typer.Option("--no-archive", help="Keep nothing, for lawful deletion: it cannot be taken back.")
    ] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why nothing is kept; recorded with the run.")] = "",
    defer: Annotated[
        bool, typer.Option("--defer", help="Move aside what it drops, and drop it at settle: back in an instant.")
    ] = False,
    role: Annotated[str, typer.Option("--role", help="Whose rights it runs with, as SET ROLE says.")] = "",
    certificate: Annotated[
        Path | None, typer.Option("--certificate", help="From rehearse: refuse what it does not hold for.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Apply a script in one transaction, with everything archived that it destroys. Status 1 changes nothing."""
    options = Options(
        budget_bytes=parse_bytes(budget) if budget is not None else None,
        expires=_seconds(expires) if expires is not None else None,
        name=name,
        release=release,
        archive=not no_archive,
        reason=reason,
        role=role,
        defer=defer,
    )
    script, command = split(words, tool)
    if certificate is not None:
        insist(certificate, database, _read(Path(script)) if script is not None else None)
    if tool is not None:
        said = Command(tool, command, tuple(env or ()), tuple(version_table or ()))
        apply_by_tool(database, said, scratch, options, as_json=as_json)
        return
    text = _read(Path(str(script)))
    if is_graph(database):
        refuse_options(
            down=down, scratch=scratch, budget=budget, expires=expires, no_archive=no_archive, defer=defer, role=role
        )
        apply_to_graph(database, text, name=name, release=release, as_json=as_json)
        return
    back = _read(down) if down is not None else None
    done = asyncio.run(apply_script(database, text, down=back, scratch_url=scratch, options=options))
    if as_json:
        emit(
            {"run": done.run, "archives": done.archives, "set_aside_on_rollback": done.quarantines, "moved": done.moved}
        )
    else:
        _say_applied(done, options)


def _say_applied(done: Applied, options: Options) -> None:
    if options.archive:
        say(f"run {done.run} is applied; watchdog migration rollback --database … {done.run} takes it back")
    else:
        say(f"run {done.run} is applied, nothing was kept: it cannot be taken back")
    for table, count in done.archives.items():
        say(f"  archived {table}: {count:,} rows")
    for what in done.moved:
        say(f"  moved aside until settled: {what}; SELECT * and tools that compare schemas still see it")
    for what in done.quarantines:
        say(f"  a rollback keeps apart what is written into {what}")


@app.command()
def rollback(run: RunNumber, database: Database, as_json: Json = False) -> None:
    """Take a run back: schema and rows as before, later rows kept. Status 1 changes nothing."""
    if is_graph(database):
        take_back_from_graph(database, run, as_json=as_json)
        return
    finish_what_stopped(database, run)
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


def _seconds(text: str) -> float:
    try:
        return in_seconds(parse_span(text))
    except ValueError as error:
        raise OptionsError(f"--expires {text} {error}; it is {EXAMPLE}.") from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ScriptError(f"{path} cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ScriptError(f"{path} is not UTF-8") from error
