"""How long the way back of each run would take now, with all that users wrote since."""

from dataclasses import dataclass

import psycopg

from watchdog.migrations.budget import with_later
from watchdog.migrations.limits import Log, recorded, watch_log
from watchdog.migrations.runs import Run, named
from watchdog.migrations.session import connected


@dataclass(frozen=True)
class Outlook:
    """What there is to say of a run that can be taken back.

    Attributes:
        rollback_seconds: Predicted for now; None where nothing was predicted.
        log: Its change log; None for a run without large tables.
        unwatched: Why the log's limits could not be enforced, empty where they were.
    """

    rollback_seconds: float | None = None
    log: Log | None = None
    unwatched: str = ""


async def outlooks(url: str, runs: tuple[Run, ...]) -> dict[int, Outlook]:
    """By run, those that are applied; a log that has passed a limit is ended by this look.

    Raises:
        WatchdogError: They cannot be read.
    """
    applied = [one for one in runs if one.state == "applied" and one.reversible]
    found: dict[int, Outlook] = {}
    async with connected(url) as connection:
        for one in applied:
            unwatched = ""
            try:
                log = await watch_log(connection, one.run)
            except psycopg.Error as error:
                log, unwatched = None, error.diag.message_primary or "the database failed"
            with named("The change logs cannot be read"):
                speed = (await recorded(connection, one.run)).speed or {}
            now = one.predicted_rollback_seconds
            if now is not None and log is not None:
                now = with_later(now, log.entries, speed)
            found[one.run] = Outlook(now, log, unwatched)
    return found
