"""The dry run on a staging database: every script applied and taken back, and the schema compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from watchdog.app.procedures.parts import Outcome, Part
from watchdog.app.procedures.place import Place
from watchdog.migrations.apply import apply
from watchdog.migrations.catalog import catalog
from watchdog.migrations.rollback import rollback
from watchdog.migrations.session import connected
from watchdog.model.time import in_seconds
from watchdog.ports.clock import Clock
from watchdog.ports.errors import TargetError, WatchdogError
from watchdog.targets.postgres import PostgresTarget

NAME = "staging dry run"

# A server that was started at this moment and a database of this number: there is one of these.
_WHICH = "SELECT pg_postmaster_start_time()::text, oid::text FROM pg_database WHERE datname = current_database()"


class StagingError(WatchdogError):
    """What is named as staging is none."""

    exit_status = 2


@dataclass(frozen=True)
class Script:
    """A migration.

    Attributes:
        name: For people: its file.
    """

    name: str
    text: str


async def refuse_guarded(url: str, where: Place) -> None:
    """Makes sure that the staging database is none that the guard watches.

    Raises:
        StagingError: It is, or it is no address.
        WatchdogError: It cannot be reached.
    """
    try:
        conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        # Its text may quote the address, which may hold a password.
        raise StagingError("--staging is no PostgreSQL address; write postgresql://user@host/database") from None
    async with connected(url) as staging:
        here = await (await staging.execute(_WHICH)).fetchone()
    for target in where.used(PostgresTarget).values():
        try:
            async with target.observe() as connection:
                there: Any = await (await connection.execute(_WHICH)).fetchone()
        except TargetError:
            continue  # Nobody can tell; other parts say that it does not answer.
        if there == here:
            raise StagingError(f"--staging names {target.place}, which the guard watches: name a copy")


async def dry_run(url: str, scripts: Sequence[Script], clock: Clock, scratch_url: str | None = None) -> Part:
    """Applies every script in order, takes them back in reverse order, and compares the schema.

    What was applied is taken back also when a later script fails, so that staging is left as it was found.

    Args:
        scratch_url: A scratch server, as superuser, to learn on; without it one of our own is started.
    """
    lines: list[str] = []
    wrong: list[str] = []
    applied: list[tuple[str, int]] = []
    began = clock.now()
    try:
        before = await _schema(url)
        for script in scripts:
            try:
                done = await apply(url, script.text, scratch_url=scratch_url)
            except (WatchdogError, psycopg.Error) as error:
                wrong.append(f"{script.name} was not applied: {_words(error)}")
                break
            applied.append((script.name, done.run))
            lines.append(f"{script.name}: applied, {sum(done.archives.values()):,} rows archived")
        while applied:
            name, run = applied[-1]
            report = await rollback(url, run)
            applied.pop()
            back = f"{report.earlier:,} earlier rows put back, {report.quarantined:,} in quarantine"
            lines.append(f"{name}: taken back, {back}")
        differing = sorted(set(before) ^ set(await _schema(url)))
        wrong += [f"the schema differs after the rollback: {line}" for line in differing[:5]]
    except (WatchdogError, psycopg.Error) as error:
        stays = f"; run {', '.join(str(run) for _, run in applied)} stays applied" if applied else ""
        wrong.append(f"{_words(error)}{stays}")
    numbers = {"scripts": float(len(scripts)), "seconds": round(in_seconds(clock.now() - began), 3)}
    if wrong:
        return Part(NAME, Outcome.FAILED, wrong[0], (*wrong[1:], *lines), numbers)
    return Part(
        NAME, Outcome.OK, f"{len(scripts)} scripts applied and taken back, schema as before", tuple(lines), numbers
    )


async def _schema(url: str) -> tuple[str, ...]:
    async with connected(url) as connection:
        await connection.execute("SELECT set_config('search_path', '', false)")
        return await catalog(connection)


def _words(error: Exception) -> str:
    if isinstance(error, psycopg.Error):
        return f"the database says {error.sqlstate or type(error).__name__}"
    return str(error)
