"""`watchdog migration apply`: by script, in safe steps, by a tool, on a graph, on Redis keys, on vectors."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from watchdog.cli.migration_graph import apply_to_graph, is_graph, refuse_options
from watchdog.cli.migration_limits import LagLimit, LogLimit, Policy, WalLimit
from watchdog.cli.migration_options import Database
from watchdog.cli.migration_rehearse import insist
from watchdog.cli.migration_safe import Resume, Safe, apply_safely, refuse_safe, resume_safely
from watchdog.cli.migration_stores import apply_elsewhere
from watchdog.cli.migration_tool import Tool, Variables, VersionTables, apply_by_tool, complain_line, split
from watchdog.cli.options import Json
from watchdog.cli.output import emit, say
from watchdog.cli.scripts import read_script
from watchdog.config.spans import EXAMPLE, parse_span
from watchdog.migrations.apply import Applied
from watchdog.migrations.apply import apply as apply_script
from watchdog.migrations.budget import parse_bytes
from watchdog.migrations.options import Options, OptionsError
from watchdog.migrations.policies import parse_policies
from watchdog.migrations.tools.address import Command
from watchdog.model.time import in_seconds

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SCRIPT",
        help="SQL; for a graph Cypher; *.redis.yaml; *.vectors.yaml. With --tool: -- and the command.",
    ),
]
Down = Annotated[Path | None, typer.Option("--down", help="The author's own way back; kept with the run.")]
Scratch = Annotated[str | None, typer.Option("--scratch", help="A scratch server's URL, as superuser.")]
Budget = Annotated[
    str | None,
    typer.Option(
        "--budget", envvar="WATCHDOG_ARCHIVE_BUDGET", help="What the archives may take, as 20GiB; else it is refused."
    ),
]
Within = Annotated[
    str, typer.Option("--rollback-within", help="How long its rollback may be predicted to take; else it is refused.")
]
Expires = Annotated[
    str | None, typer.Option("--expires", help="After how long settle --expired may drop the archives, as 7d.")
]
Name = Annotated[str, typer.Option("--name", help="What to call the run.")]
Release = Annotated[str, typer.Option("--release", help="The release that it belongs to.")]
NoArchive = Annotated[
    bool, typer.Option("--no-archive", help="Keep nothing, for lawful deletion: it cannot be taken back.")
]
Reason = Annotated[str, typer.Option("--reason", help="Why nothing is kept; recorded with the run.")]
Defer = Annotated[
    bool, typer.Option("--defer", help="Move aside what it drops, and drop it at settle: back in an instant.")
]
Role = Annotated[str, typer.Option("--role", help="Whose rights it runs with, as SET ROLE says.")]
CertificateFile = Annotated[
    Path | None, typer.Option("--certificate", help="From rehearse: refuse what it does not hold for.")
]
WITHIN = "5m"


@dataclass(frozen=True)
class _Said:
    """What was said on the command line, beside the options of the run.

    Attributes:
        only_sql: By the names of their options, what means nothing anywhere but for a SQL script.
    """

    database: str
    options: Options
    as_json: bool
    down: Path | None = None
    scratch: str | None = None
    only_sql: Mapping[str, object] = field(default_factory=dict)


def apply(
    *,
    words: Words = None,
    database: Database,
    tool: Tool = None,
    env: Variables = None,
    version_table: VersionTables = None,
    down: Down = None,
    scratch: Scratch = None,
    budget: Budget = None,
    rollback_within: Within = WITHIN,
    expires: Expires = None,
    name: Name = "",
    release: Release = "",
    no_archive: NoArchive = False,
    reason: Reason = "",
    defer: Defer = False,
    safe: Safe = False,
    resume: Resume = None,
    role: Role = "",
    policy: Policy = None,
    log_limit: LogLimit = None,
    wal_limit: WalLimit = None,
    lag_limit: LagLimit = None,
    certificate: CertificateFile = None,
    as_json: Json = False,
) -> None:
    """Apply a script in one transaction, with everything archived that it destroys. Status 1 changes nothing."""
    options = Options(
        budget_bytes=parse_bytes(budget) if budget is not None else None,
        rollback_within=_seconds(rollback_within, "--rollback-within"),
        expires=_seconds(expires, "--expires") if expires is not None else None,
        name=name,
        release=release,
        archive=not no_archive,
        reason=reason,
        role=role,
        defer=defer,
        log_bytes=parse_bytes(log_limit) if log_limit is not None else None,
        wal_bytes=parse_bytes(wal_limit) if wal_limit is not None else None,
        lag_seconds=_seconds(lag_limit, "--lag-limit") if lag_limit is not None else None,
        policies=parse_policies(policy or ()),
    )
    refuse_safe(safe=safe, resume=resume, words=words, tool=tool, database=database)
    if resume is not None:
        resume_safely(database, resume, as_json=as_json)
        return
    later = {"policy": policy, "log_limit": log_limit, "wal_limit": wal_limit, "lag_limit": lag_limit}
    others = {"down": down, "scratch": scratch, "budget": budget, "expires": expires, "no_archive": no_archive}
    said = _Said(database, options, as_json, down, scratch, {**others, "defer": defer, "role": role, **later})
    script, command = split(words, tool)
    if certificate is not None:
        insist(certificate, database, read_script(Path(script)) if script is not None else None)
    if tool is not None:
        by = Command(tool, command, tuple(env or ()), tuple(version_table or ()))
        apply_by_tool(database, by, scratch, options, as_json=as_json)
        return
    _apply_file(said, Path(str(script)), safe=safe)


def _apply_file(said: _Said, file: Path, *, safe: bool) -> None:
    options = said.options
    name, release = options.name, options.release
    if apply_elsewhere(said.database, file, name=name, release=release, as_json=said.as_json, **said.only_sql):
        return
    text = read_script(file)
    if is_graph(said.database):
        refuse_options(**said.only_sql)
        apply_to_graph(said.database, text, name=name, release=release, as_json=said.as_json)
        return
    back = read_script(said.down) if said.down is not None else None
    if safe:
        apply_safely(said.database, text, down=back, scratch=said.scratch, options=options, as_json=said.as_json)
        return
    hear = complain_line if said.as_json else say
    going = apply_script(said.database, text, down=back, scratch_url=said.scratch, options=options, hear=hear)
    done = asyncio.run(going)
    if said.as_json:
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


def _seconds(text: str, option: str) -> float:
    try:
        return in_seconds(parse_span(text))
    except ValueError as error:
        raise OptionsError(f"{option} {text} {error}; it is {EXAMPLE}.") from error
