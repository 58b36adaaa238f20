"""`watchdog migration apply --tool`: a migration tool that a team already has."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, TypeVar
from urllib.parse import unquote, urlsplit

import typer

from watchdog.cli.migration_graph import is_graph, refuse_options, with_graph
from watchdog.cli.output import complain, emit, say
from watchdog.cli.told import until_told
from watchdog.migrations.options import Options
from watchdog.migrations.tools.address import Command, ToolError
from watchdog.migrations.tools.apply import ToolApplied, apply_tool
from watchdog.migrations.tools.finish import resume
from watchdog.migrations.tools.graph import Login, apply_to_chain
from watchdog.migrations.tools.known import TOOLS
from watchdog.migrations.tools.process import Hear

T = TypeVar("T")

Tool = Annotated[
    str | None,
    typer.Option("--tool", help=f"Run a migration tool, its command behind --: {', '.join(TOOLS)}."),
]
Variables = Annotated[
    list[str] | None, typer.Option("--env", help="With --tool: one more environment variable that gets the URL.")
]
VersionTables = Annotated[
    list[str] | None,
    typer.Option("--version-table", help="With --tool: where it notes what it applied, if that is no usual table."),
]


def split(words: Sequence[str] | None, tool: str | None) -> tuple[str | None, tuple[str, ...]]:
    """The script, or the words of a tool's command.

    Raises:
        ToolError: Neither, or both.
    """
    said = tuple(words or ())
    if tool is not None:
        return None, said
    if len(said) != 1:
        raise ToolError("Name one script; for a migration tool say --tool NAME, and its command behind --.")
    return said[0], ()


def apply_by_tool(database: str, command: Command, scratch: str | None, options: Options, *, as_json: bool) -> None:
    """Applies, and prints what was done."""
    hear = complain_line if as_json else say
    if is_graph(database):
        _apply_to_graph(database, command, scratch, options, hear, as_json=as_json)
        return
    done = asyncio.run(until_told(apply_tool(database, command, scratch_url=scratch, options=options, hear=hear)))
    if as_json:
        emit(_as_value(done))
        return
    if done is None:
        say("there is nothing to apply; nothing was run in the database")
        return
    say(f"run {done.run} is applied", "" if not done.reversible else _way_back(done.run))
    for table, count in done.archives.items():
        say(f"  archived {table}: {count:,} rows")
    for what in done.quarantines:
        say(f"  a rollback keeps apart what is written into {what}")
    for sentence in done.lowered:
        complain(sentence if done.reversible else f"protection is lowered: {sentence}")


def _apply_to_graph(
    database: str, command: Command, scratch: str | None, options: Options, hear: Hear, *, as_json: bool
) -> None:
    refuse_options(
        scratch=scratch,
        budget=options.budget_bytes,
        expires=options.expires,
        no_archive=not options.archive,
        defer=options.defer,
        role=options.role,
        env=command.variables,
        version_table=command.version_tables,
    )
    parts = urlsplit(database)
    said = (unquote(parts.username or ""), unquote(parts.password or ""), parts.path.strip("/") or "neo4j")
    login = Login(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", *said)
    named = {"name": options.name, "release": options.release}
    done = with_graph(database, lambda target: until_told(apply_to_chain(target, login, command, **named, hear=hear)))
    if as_json:
        emit({"run": None} if done is None else asdict(done))
        return
    if done is None:
        say("there is nothing to apply; nothing was run in the graph")
        return
    say(f"run {done.run} is applied{_way_back(done.run)}")
    say(f"  archived {done.archived:,} nodes and relationships that it made, changed or deleted")


def finish_what_stopped(database: str, run: int) -> None:
    """Finishes a run whose process died while its tool worked, so that it can be taken back."""
    finished = asyncio.run(resume(database, run))
    for sentence in finished.lowered if finished is not None else ():
        complain(sentence)


def complain_line(line: str) -> None:
    """A line of the tool, on standard error."""
    sys.stderr.write(line + "\n")


def _way_back(run: int) -> str:
    return f"; watchdog migration rollback --database … {run} takes it back"


def _as_value(done: ToolApplied | None) -> dict[str, object]:
    if done is None:
        return {"run": None}
    return {
        "run": done.run,
        "archives": done.archives,
        "set_aside_on_rollback": done.quarantines,
        "reversible": done.reversible,
        "lowered": done.lowered,
    }
