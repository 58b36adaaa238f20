"""`watchdog migration apply --safe` and `--resume`: a script in steps during which nobody waits for long."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, TypeVar

import typer

from watchdog.cli.migration_graph import is_graph
from watchdog.cli.output import complain, emit, say
from watchdog.cli.told import until_told
from watchdog.migrations.options import Options, OptionsError
from watchdog.migrations.safe.apply import SafelyApplied, apply_safe, resume_safe
from watchdog.migrations.safe.progress import Progress

T = TypeVar("T")

Safe = Annotated[
    bool, typer.Option("--safe", help="In steps where that means the same: batches, CONCURRENTLY, NOT VALID.")
]
Resume = Annotated[
    int | None, typer.Option("--resume", metavar="RUN", help="Go on with a run in steps that stopped half way.")
]


def refuse_safe(
    *, safe: bool, resume: int | None, words: Sequence[str] | None, tool: str | None, database: str
) -> None:
    """Refuses what cannot be said together; raises OptionsError."""
    if resume is not None and (words or tool or safe):
        raise OptionsError("--resume goes on with a run whose script is in the database: leave out script and --safe.")
    if safe and (tool is not None or is_graph(database)):
        raise OptionsError("--safe is for SQL scripts; a tool runs its own statements, and a graph has other ones.")


def apply_safely(
    database: str, script: str, *, down: str | None, scratch: str | None, options: Options, as_json: bool
) -> None:
    """Applies in safe forms, and prints what was done."""
    tell = _complain if as_json else _say
    work = apply_safe(database, script, down=down, scratch_url=scratch, options=options, tell=tell)
    _show(asyncio.run(until_told(work)), as_json=as_json)


def resume_safely(database: str, run: int, *, as_json: bool) -> None:
    """Goes on with a run, and prints what was done."""
    tell = _complain if as_json else _say
    _show(asyncio.run(until_told(resume_safe(database, run, tell=tell))), as_json=as_json)


def _say(progress: Progress) -> None:
    say(progress.text)


def _complain(progress: Progress) -> None:
    complain(progress.text)


def _show(done: SafelyApplied, *, as_json: bool) -> None:
    if as_json:
        steps = [{"line": one.line, "kind": one.kind, "statements": one.statements} for one in done.steps]
        said = {**asdict(done), "steps": steps, "set_aside_on_rollback": done.quarantines}
        del said["quarantines"]
        emit(said)
        return
    back = f"; watchdog migration rollback --database … {done.run} takes it back" if done.reversible else ""
    how = f" in {len(done.steps)} step{'s' if len(done.steps) > 1 else ''}" if done.steps else ""
    say(f"run {done.run} is applied{how}{back}")
    for table, count in done.archives.items():
        say(f"  archived {table}: {count:,} rows")
    for sentence in done.kept:
        say(f"  {sentence}")
    for what in done.quarantines:
        say(f"  a rollback keeps apart what is written into {what}")
    for sentence in done.lowered:
        complain(sentence if done.reversible else f"protection is lowered: {sentence}")
