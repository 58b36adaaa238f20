"""`watchdog test`: what should be known of a service before its migration goes out."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from watchdog.app.procedures import certificate as proof
from watchdog.app.procedures import database_load as pgbench
from watchdog.app.procedures import http_load as http
from watchdog.app.procedures import staging
from watchdog.app.procedures.checks import check_part, check_values
from watchdog.app.procedures.data import deep_check
from watchdog.app.procedures.load import Load
from watchdog.app.procedures.parts import Outcome, Part
from watchdog.app.procedures.place import Place, place
from watchdog.app.procedures.staging import Script
from watchdog.model.releases import Certificate
from watchdog.model.time import HOUR, MINUTE, Span
from watchdog.ports.clock import Clock
from watchdog.targets.http import HttpOptions, HttpTarget
from watchdog.targets.postgres import PostgresTarget

CERTIFICATE_AGE: Span = 30 * 24 * HOUR
"""A certificate that is older has expired, unless the caller says otherwise."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked for; what is not asked for is not run, and says so.

    Attributes:
        staging: The URL of a copy of the database, which may be written to.
        scratch: A scratch server, as superuser, for the dry run to learn on.
        scripts: Migrations, in order.
        http: The address of the service to load, instead of the guard's own.
        paths: What users of the service ask for.
        pgbench: Scripts for pgbench, instead of its own transaction.
        patience: For each statement of the data check.
    """

    staging: str | None = None
    scratch: str | None = None
    scripts: tuple[Script, ...] = ()
    load: Load | None = None
    http: str | None = None
    paths: tuple[str, ...] = ("/",)
    pgbench: tuple[Path, ...] = ()
    certificate: Certificate | None = None
    certificate_age: Span = CERTIFICATE_AGE
    patience: Span = MINUTE


async def pretest(path: Path, guard: str, asked: Asked, clock: Clock) -> AsyncIterator[Part]:
    """One part after the other, as each is done.

    Raises:
        ConfigError: The configuration has mistakes.
        NoGuardError: There is no such guard.
        StagingError: The staging database is one that the guard watches.
    """
    async with place(path, guard, clock) as where:
        if asked.staging is not None:
            await staging.refuse_guarded(asked.staging, where)
        yield await _dry_run(asked, clock)
        yield await _http(where, asked)
        yield await _database(asked)
        yield await proof.prove_rollback(where, asked.certificate, asked.certificate_age, asked.scripts)
        databases = where.used(PostgresTarget)
        for role, target in databases.items():
            async for part in deep_check(role, target, asked.patience):
                yield part
        if not databases:
            yield Part("data", Outcome.NOT_RUN, "the guard has no PostgreSQL target")
        yield check_part("checks", where.guard.settings, await check_values(where))


async def _dry_run(asked: Asked, clock: Clock) -> Part:
    if asked.staging is None:
        return Part(staging.NAME, Outcome.NOT_RUN, "name a staging database by --staging")
    if not asked.scripts:
        return Part(staging.NAME, Outcome.NOT_RUN, "name the migrations by --script, in order")
    return await staging.dry_run(asked.staging, asked.scripts, clock, asked.scratch)


async def _http(where: Place, asked: Asked) -> Part:
    if asked.load is None:
        return Part(http.NAME, Outcome.NOT_RUN, _SAY_LOAD)
    service = _service(where)
    url = asked.http or (service[0] if service else None)
    if url is None:
        return Part(http.NAME, Outcome.NOT_RUN, "the guard has no HTTP target; name an address by --url")
    # Another address than the configured one gets none of its secrets.
    headers = service[1] if service and asked.http is None else {}
    return await http.http_load(url, headers, asked.paths, asked.load)


async def _database(asked: Asked) -> Part:
    if asked.load is None:
        return Part(pgbench.NAME, Outcome.NOT_RUN, _SAY_LOAD)
    if asked.staging is None:
        return Part(pgbench.NAME, Outcome.NOT_RUN, "pgbench writes: name a staging database by --staging")
    return await pgbench.database_load(asked.staging, asked.pgbench, asked.load)


def _service(where: Place) -> tuple[str, Mapping[str, str]] | None:
    """The address and the headers of the guard's first HTTP target."""
    for target in where.used(HttpTarget).values():
        options = where.configuration.targets[target.name].options
        if isinstance(options, HttpOptions):
            return options.url, {name: value.reveal() for name, value in options.headers.items()}
    return None


_SAY_LOAD = "say how much by --users and --for"
