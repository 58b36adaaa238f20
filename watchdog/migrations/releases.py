"""A release that is taken back takes no more migrations: who still applies one is told so."""

from psycopg import sql

from watchdog.migrations.session import RefusedError
from watchdog.migrations.shape import Connection

_THERE = "SELECT to_regclass('watchdog.migration_releases') IS NOT NULL"
# Everybody who applies may see it; only who takes back writes it.
_MAKE = """
    CREATE TABLE IF NOT EXISTS watchdog.migration_releases (
        release text PRIMARY KEY,
        closed_at timestamptz NOT NULL DEFAULT clock_timestamp()
    );
    GRANT SELECT ON watchdog.migration_releases TO PUBLIC
"""
_KEY = "hashtext('watchdog.release'), hashtext(%s)"


async def close(connection: Connection, release: str) -> None:
    """From now on nothing more is applied for this release. Outside a transaction; waits for who is at it.

    Raises:
        psycopg.errors.LockNotAvailable: A migration of it is still being applied.
    """
    async with connection.transaction():
        there = await (await connection.execute(_THERE)).fetchone()
        if not (there and there[0]):
            await connection.execute(_MAKE)
        await connection.execute(f"SELECT pg_advisory_xact_lock({_KEY})".encode(), (release,))
        await connection.execute(
            "INSERT INTO watchdog.migration_releases (release) VALUES (%s) ON CONFLICT DO NOTHING", (release,)
        )


async def refuse_closed(connection: Connection, release: str) -> None:
    """Keeps a release open to the end of the transaction, or says that it was closed.

    Raises:
        RefusedError: It is being taken back, or was.
    """
    if not release:
        return
    await connection.execute(sql.SQL("SELECT pg_advisory_xact_lock_shared({})").format(sql.SQL(_KEY)), (release,))
    there = await (await connection.execute(_THERE)).fetchone()
    if not (there and there[0]):
        return
    query = "SELECT to_char(closed_at, 'YYYY-MM-DD HH24:MI:SS TZ') FROM watchdog.migration_releases WHERE release = %s"
    if closed := await (await connection.execute(query, (release,))).fetchone():
        raise RefusedError(
            (f"release {release} is taken back since {closed[0]}; apply the next try under another --release",)
        )
