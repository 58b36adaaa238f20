# ruff: noqa: S608 - the only names in SQL here are those of our own tables
"""The runs of a database, as it says itself, and the registry of their archives."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

import psycopg

from watchdog.migrations.options import Options
from watchdog.migrations.plain import plain
from watchdog.migrations.session import connected
from watchdog.migrations.shape import Connection, load_query
from watchdog.ports.errors import WatchdogError

EXPIRED: Final = (
    "(r.settled_at IS NULL AND r.state <> 'applying' AND coalesce(r.expires_at <= clock_timestamp(), false))"
)
"""Whether archives are past their time; SQL about a run `r`."""
_STAMP: Final = 'YYYY-MM-DD"T"HH24:MI:SS"Z"'
# A run of the first version, which had no more to say.
_FIRST_VERSION: Final = """(SELECT *, '' AS name, '' AS release, NULL::timestamptz AS expires_at, true AS reversible,
    '' AS reason, NULL::timestamptz AS settled_at, NULL::float8 AS predicted_rollback_seconds
    FROM watchdog.migration_runs)"""
_IMAGES: Final = """(SELECT c.oid, c.relname FROM pg_class c WHERE c.relnamespace = to_regnamespace('watchdog')
    AND c.relkind = 'r' AND starts_with(c.relname, 'run_' || {run} || '_'))"""


@dataclass(frozen=True)
class Run:
    """One applied migration; times are ISO 8601 text in UTC.

    Attributes:
        state: `applying`, `applied`, `rolled back`, `settled`.
        expires_at: From when its archives may be dropped; None for never.
        expired: Whether that time has come and they are still there.
        settled_at: When its archives were dropped.
        reversible: False when it was applied without archives; `reason` says why.
        rows_kept: Rows as they were before, in its archives; None where no registry says so.
        bytes_kept: What its archives take on disk.
        quarantined: Rows in quarantine.
        predicted_rollback_seconds: As predicted when it was applied.
    """

    run: int
    state: str
    began_at: str
    script_hash: str
    name: str = ""
    release: str = ""
    expires_at: str | None = None
    expired: bool = False
    settled_at: str | None = None
    reversible: bool = True
    reason: str = ""
    rows_kept: int | None = None
    bytes_kept: int = 0
    quarantined: int = 0
    predicted_rollback_seconds: float | None = None


@dataclass(frozen=True)
class Archive:
    """An image in the registry.

    Attributes:
        name: The table that holds it, with its schema, as SQL.
        table: What it is an image of, as SQL.
        checksum: Over all rows, whatever their order; None until `seal`.
        bytes: What it takes on disk.
        erased: Rows that were taken out of it for a person.
    """

    name: str
    table: str
    rows: int
    checksum: str | None
    bytes: int
    erased: int


@contextmanager
def named(what: str) -> Iterator[None]:
    """Turns an error of the database into a WatchdogError that begins with what was tried."""
    try:
        yield
    except psycopg.Error as error:
        raise WatchdogError(f"{what}: {plain(error)}") from error


async def prepare(connection: Connection) -> None:
    """Makes our tables, or brings those of the last version up to date; raises WatchdogError when it must not."""
    try:
        await connection.execute(load_query("runs.sql"))
    except psycopg.errors.InsufficientPrivilege as error:
        raise WatchdogError(
            f"Schema watchdog cannot be prepared: {plain(error)};"
            " the role needs CREATE on the database, and to own what is there of that schema."
        ) from error
    except psycopg.Error as error:
        raise WatchdogError(f"Schema watchdog cannot be prepared: {plain(error)}; try again later.") from error


async def describe(connection: Connection, run: int, options: Options, rollback_seconds: float | None = None) -> None:
    """Records what was said about a run, and the predicted length of its rollback, in seconds."""
    await connection.execute(
        "UPDATE watchdog.migration_runs SET name = %s, release = %s, reversible = %s, reason = %s,"
        " expires_at = clock_timestamp() + make_interval(secs => %s), predicted_rollback_seconds = %s WHERE id = %s",
        (options.name, options.release, options.archive, options.reason, options.expires, rollback_seconds, run),
    )


async def register(connection: Connection, run: int, name: str, table: str, rows: int) -> None:
    """Enters an image that was just made, in the transaction that made it, and closes it to everybody but its owner.

    Args:
        name: As `images.image` says it.
        table: As `images.qualified` says it.
    """
    await close(connection, name)
    await connection.execute(
        'INSERT INTO watchdog.migration_archives (run, name, "table", rows, bytes)'
        " VALUES (%(run)s, %(name)s, %(table)s, %(rows)s, pg_total_relation_size(%(name)s::text::regclass))"
        " ON CONFLICT (run, name) DO UPDATE SET rows = excluded.rows, bytes = excluded.bytes, checksum = NULL",
        {"run": run, "name": name, "table": table, "rows": rows},
    )
    await connection.execute(
        "UPDATE watchdog.migration_runs SET archive_bytes ="
        " (SELECT sum(bytes) FROM watchdog.migration_archives WHERE run = id) WHERE id = %s",
        (run,),
    )


async def close(connection: Connection, name: str) -> None:
    """Takes back every grant on one of our tables, whatever default privileges gave, and lets us delete from it."""
    grantees = await (
        await connection.execute(
            "SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END"
            " FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = %s::regclass AND a.grantee <> c.relowner",
            (name,),
        )
    ).fetchall()
    for (grantee,) in grantees:
        await connection.execute(f"REVOKE ALL ON {name} FROM {grantee}".encode())
    # A publication of all tables lets nobody delete from one whose rows nothing identifies.
    if await published(connection):
        await connection.execute(f"ALTER TABLE {name} REPLICA IDENTITY FULL".encode())


async def published(connection: Connection) -> tuple[str, ...]:
    """Publications of all tables, by name: what we write into schema `watchdog` is published by them as well."""
    rows = await (
        await connection.execute("SELECT pubname::text FROM pg_publication WHERE puballtables ORDER BY 1")
    ).fetchall()
    return tuple(name for (name,) in rows)


async def seal(connection: Connection, run: int) -> None:
    """Computes the checksums that are missing; after the commit, as nobody needs to wait for it.

    One that cannot be computed stays missing: the run is applied all the same.
    """
    with suppress(psycopg.Error):
        for archive in await archives(connection, run):
            if archive.checksum is not None:
                continue
            _, checksum = await content(connection, archive.name)
            # Rows may have been erased meanwhile; who did that knows better.
            await connection.execute(
                "UPDATE watchdog.migration_archives SET checksum = %s"
                " WHERE run = %s AND name = %s AND checksum IS NULL",
                (checksum, run, archive.name),
            )


async def archives(connection: Connection, run: int) -> tuple[Archive, ...]:
    """What the registry says of a run."""
    rows = await (
        await connection.execute(
            'SELECT name, "table", rows, checksum, bytes, erased FROM watchdog.migration_archives'
            " WHERE run = %s ORDER BY name",
            (run,),
        )
    ).fetchall()
    return tuple(Archive(*row) for row in rows)


async def damaged(connection: Connection, run: int) -> tuple[str, ...]:
    """What is wrong with a run's archives, each as a sentence; empty when each is there with what was written."""
    found: list[str] = []
    for archive in await archives(connection, run):
        there = await (await connection.execute("SELECT to_regclass(%s) IS NOT NULL", (archive.name,))).fetchone()
        if not (there and there[0]):
            found.append(f"{archive.name}, the archive of {archive.table}, is not there any more")
            continue
        rows, checksum = await content(connection, archive.name)
        if rows != archive.rows:
            found.append(f"{archive.name}, the archive of {archive.table}, has {rows} rows instead of {archive.rows}")
        elif archive.checksum not in {None, checksum}:
            found.append(f"{archive.name}, the archive of {archive.table}, was changed since it was written")
    return tuple(found)


async def content(connection: Connection, name: str) -> tuple[int, str]:
    """An image's row count and checksum; the sum of hashes does not depend on the order of the rows."""
    total = """coalesce(sum(hashtextextended(s::text COLLATE "C", 0)::numeric), 0)::text"""
    row = await (await connection.execute(f"SELECT count(*), {total} FROM {name} s".encode())).fetchone()
    assert row is not None  # noqa: S101 - an aggregate answers
    return row[0], row[1]


async def images_of(connection: Connection, run: int) -> dict[str, int]:
    """Every table that holds rows for a run, as SQL, with what it takes in bytes."""
    images = _IMAGES.format(run="%s::bigint")
    query = f"SELECT quote_ident(relname), pg_total_relation_size(oid) FROM {images} i ORDER BY 1"
    rows = await (await connection.execute(query.encode(), (run,))).fetchall()
    return {f"watchdog.{name}": size for name, size in rows}


async def has_runs(connection: Connection) -> bool:
    """Whether anything was ever applied here."""
    row = await (await connection.execute("SELECT to_regclass('watchdog.migration_runs') IS NOT NULL")).fetchone()
    return bool(row and row[0])


def not_reversible(run: int, state: str, *, reversible: bool = True) -> str | None:
    """Why a run cannot be taken back, as a sentence; None when it can."""
    if state == "settled":
        return f"Run {run} is settled: its archives were dropped, so it cannot be taken back."
    if state == "rolled back":
        return f"Run {run} is rolled back, so there is nothing to take back."
    if not reversible:
        return f"Run {run} was applied without archives, so it cannot be taken back; see `watchdog migration status`."
    return None


async def runs(url: str) -> tuple[Run, ...]:
    """Every run of the database, the first one first; raises WatchdogError when they cannot be read."""
    async with connected(url) as connection:
        with named("The runs cannot be read"):
            return await _runs(connection)


async def _runs(connection: Connection) -> tuple[Run, ...]:
    if not await has_runs(connection):
        return ()
    there = await (await connection.execute("SELECT to_regclass('watchdog.migration_archives')")).fetchone()
    current = bool(there and there[0])
    source = "watchdog.migration_runs" if current else _FIRST_VERSION
    nothing = f"CASE WHEN NOT EXISTS (SELECT FROM {_IMAGES.format(run='r.id')} i) THEN 0 END"
    kept = f"""(SELECT coalesce(sum(a.rows), {nothing})::bigint
        FROM watchdog.migration_archives a WHERE a.run = r.id AND a.name ~ '_before$')"""
    stamps = [f"to_char(r.{c} AT TIME ZONE 'UTC', '{_STAMP}')" for c in ("began_at", "expires_at", "settled_at")]
    query = (
        f"SELECT r.id, r.state, {stamps[0]}, r.script_hash, r.name, r.release, {stamps[1]}, {EXPIRED},"
        f" {stamps[2]}, r.reversible, r.reason, {kept if current else nothing},"
        " (SELECT coalesce(sum(pg_total_relation_size(i.oid)), 0)::bigint"
        f" FROM {_IMAGES.format(run='r.id')} i),"
        " (SELECT count(*) FROM watchdog.migration_quarantine q WHERE q.run = r.id),"
        f" r.predicted_rollback_seconds FROM {source} r ORDER BY r.id"
    )
    rows = await (await connection.execute(query.encode())).fetchall()
    return tuple(Run(*row) for row in rows)
