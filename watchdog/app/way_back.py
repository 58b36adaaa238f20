"""What one database says of the way back of a release: archives, time, logs, backups."""

from dataclasses import dataclass, field, replace
from typing import Final

from watchdog.migrations.outlook import outlook
from watchdog.targets.postgres import Connection, PostgresTarget

_THERE: Final = b"SELECT to_regclass('watchdog.migration_runs') IS NOT NULL"
# A table of the first version does not know of releases, and all of its runs can be taken back.
_NAMED: Final = b"""
SELECT count(*) = 4 FROM pg_attribute
WHERE attrelid = to_regclass('watchdog.migration_runs') AND NOT attisdropped
    AND attname IN ('release', 'reversible', 'expires_at', 'predicted_rollback_seconds')
"""
# A run that was applied without a release's name counts for the release that was standing then.
_BY_NAME: Final = b"""
SELECT id, reversible, predicted_rollback_seconds, extract(epoch FROM expires_at)::float8,
    EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = to_regnamespace('watchdog')
               AND c.relname ~ ('^run_' || r.id || '_[0-9]+_log$'))
FROM watchdog.migration_runs r
WHERE state = 'applied' AND (release = %(release)s OR (release = '' AND began_at >= to_timestamp(%(t0)s)))
"""
_BY_TIME: Final = b"""
SELECT count(*) FROM watchdog.migration_runs WHERE state = 'applied' AND began_at >= to_timestamp(%(t0)s)
"""
# Of a server that archives its write-ahead log: from there on a restore reaches.
_BACKUP: Final = b"""
SELECT extract(epoch FROM clock_timestamp() - last_archived_time)::float8 FROM pg_stat_archiver
WHERE current_setting('archive_mode') <> 'off'
"""


@dataclass(frozen=True)
class WayBack:
    """What the databases of a release say.

    Attributes:
        archived: Runs of the release that are applied and can be taken back.
        past: Runs of the release that are applied and cannot: no return beyond them.
        predicted: Seconds that taking back would need now, with all that users wrote since; None without prediction.
        until: When the first archive may be dropped, seconds since 1970; None for never.
        lowered: Why protection is less than it was, one sentence each.
        backup_age: Seconds since the server last archived write-ahead log; None where it does not.
    """

    archived: int = 0
    past: int = 0
    predicted: float | None = None
    until: float | None = None
    lowered: tuple[str, ...] = ()
    backup_age: float | None = None
    logged: tuple[int, ...] = field(default=(), compare=False)

    def __add__(self, other: "WayBack") -> "WayBack":
        """Both databases together."""
        both = [one for one in (self.until, other.until) if one is not None]
        ages = [one for one in (self.backup_age, other.backup_age) if one is not None]
        return WayBack(
            self.archived + other.archived,
            self.past + other.past,
            _sum(self.predicted, other.predicted),
            min(both, default=None),
            (*self.lowered, *other.lowered),
            max(ages, default=None),
        )


def _sum(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else one + other


async def way_back(database: PostgresTarget, release: str, t0: float) -> WayBack:
    """What a database says of a release; nothing when nothing was applied through us.

    A change log that has passed a limit of its run is ended by this look.

    Args:
        t0: When the release began, in seconds since 1970.

    Raises:
        TargetError: The server cannot be reached, or does not let us look.
    """
    async with database.observe() as connection:
        found = await _seen(connection, release, t0)
    if not found.logged:
        return found
    async with database.act() as connection:
        for run in found.logged:
            found = await _with_log(connection, run, found)
    return found


async def _seen(connection: Connection, release: str, t0: float) -> WayBack:
    there = await (await connection.execute(_THERE)).fetchone()
    if not (there and there[0]):
        return WayBack()
    backup = await (await connection.execute(_BACKUP)).fetchone()
    age = backup[0] if backup else None
    named = await (await connection.execute(_NAMED)).fetchone()
    values = {"release": release, "t0": t0}
    if not (named and named[0]):
        row = await (await connection.execute(_BY_TIME, values)).fetchone()
        return WayBack(archived=int(row[0]) if row else 0, backup_age=age)
    found = WayBack(backup_age=age)
    for run, reversible, predicted, until, logged in await (await connection.execute(_BY_NAME, values)).fetchall():
        one = WayBack(int(reversible), int(not reversible), predicted, until)
        found = replace(found + one, logged=(*found.logged, run) if logged else found.logged)
    return found


async def _with_log(connection: Connection, run: int, found: WayBack) -> WayBack:
    ahead = await outlook(connection, run, 0.0)
    if ahead.log is not None and ahead.log.ended:
        return replace(found, lowered=(*found.lowered, f"run {run} logs later writes no longer: {ahead.log.ended}"))
    return replace(found, predicted=_sum(found.predicted, ahead.rollback_seconds))
