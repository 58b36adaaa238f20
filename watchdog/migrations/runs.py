"""What was applied to a database, as it says itself."""

from dataclasses import dataclass

from watchdog.migrations.session import connected


@dataclass(frozen=True)
class Run:
    """One applied migration; `began_at` as ISO 8601 text."""

    run: int
    state: str
    began_at: str
    script_hash: str


async def runs(url: str) -> tuple[Run, ...]:
    """Every run of the database, the first one first; raises WatchdogError when it cannot be reached."""
    async with connected(url) as connection:
        there = await (await connection.execute("SELECT to_regclass('watchdog.migration_runs') IS NOT NULL")).fetchone()
        if not (there and there[0]):
            return ()
        rows = await (
            await connection.execute(
                "SELECT id, state, to_char(began_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), script_hash"
                " FROM watchdog.migration_runs ORDER BY id"
            )
        ).fetchall()
    return tuple(Run(*row) for row in rows)
