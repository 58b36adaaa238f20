"""`watchdog test`."""

from pathlib import Path
from typing import Annotated

import typer

from watchdog.app.procedures.certificate import read_certificate
from watchdog.app.procedures.load import Load
from watchdog.app.procedures.pretest import Asked, pretest
from watchdog.app.procedures.staging import Script
from watchdog.cli.options import DEFAULT_CONFIG, Config, Guard, Json
from watchdog.cli.parts import length, ratio, show_parts
from watchdog.cli.scripts import read_script
from watchdog.runtime.clock import SystemClock


def run(
    *,
    guard: Guard,
    staging: Annotated[
        str | None,
        typer.Option("--staging", envvar="WATCHDOG_STAGING", help="A copy of the database: it is written to."),
    ] = None,
    script: Annotated[list[Path] | None, typer.Option("--script", help="A migration, SQL; repeat in order.")] = None,
    scratch: Annotated[str | None, typer.Option("--scratch", help="A scratch server's URL, as superuser.")] = None,
    users: Annotated[int | None, typer.Option("--users", min=1, help="Users of the load test, with --for.")] = None,
    duration: Annotated[str | None, typer.Option("--for", help="How long the load test lasts, such as 30s.")] = None,
    think: Annotated[str, typer.Option("--think", help="How long an HTTP user waits between two requests.")] = "1s",
    url: Annotated[str | None, typer.Option("--url", help="Load this service instead of the guard's own.")] = None,
    path: Annotated[list[str] | None, typer.Option("--path", help="What HTTP users ask for; repeat.")] = None,
    pgbench_script: Annotated[
        list[Path] | None, typer.Option("--pgbench-script", help="A script for pgbench on staging; repeat.")
    ] = None,
    max_errors: Annotated[str, typer.Option("--max-errors", help="The share that may fail under load.")] = "1%",
    max_p95: Annotated[str | None, typer.Option("--max-p95", help="How slow p95 may be, such as 300ms.")] = None,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", help="From `watchdog playbook rehearse`.")
    ] = None,
    certificate_age: Annotated[str, typer.Option("--certificate-age", help="How old it may be.")] = "30d",
    timeout: Annotated[str, typer.Option("--timeout", help="For each statement of the data check.")] = "1m",
    strict: Annotated[bool, typer.Option("--strict", help="Exit status 1 also if a part was not run.")] = False,
    config: Config = DEFAULT_CONFIG,
    as_json: Json = False,
) -> None:
    """Test a guard's service before its migration: staging dry run, load, rollback, deep data check.

    The guard's own databases are only read. The load test asks the guard's own HTTP service unless --url names
    another one; pgbench and the dry run write, and need --staging. What is not asked for is not run, and says so.
    """
    if (users is None) != (duration is None):
        raise typer.BadParameter("a load test needs both --users and --for", param_hint="--users")
    load = None
    if users is not None and duration is not None:
        slowest = length(max_p95, "--max-p95") if max_p95 else None
        limits = ratio(max_errors, "--max-errors")
        load = Load(users, length(duration, "--for"), length(think, "--think"), limits, slowest)
    asked = Asked(
        staging=staging,
        scratch=scratch,
        scripts=tuple(Script(str(one), read_script(one)) for one in script or ()),
        load=load,
        http=url,
        paths=tuple(_path(one) for one in path or ["/"]),
        pgbench=tuple(_file(one) for one in pgbench_script or ()),
        certificate=read_certificate(certificate) if certificate else None,
        certificate_age=length(certificate_age, "--certificate-age"),
        patience=length(timeout, "--timeout"),
    )
    show_parts(guard, pretest(config, guard, asked, SystemClock()), strict=strict, as_json=as_json)


def _file(path: Path) -> Path:
    read_script(path)
    return path


def _path(path: str) -> str:
    if not path.startswith("/"):
        raise typer.BadParameter(f"{path!r} does not begin with /", param_hint="--path")
    return path
