"""How long the way back of each run would take now, with all that users wrote since."""

from dataclasses import dataclass

import psycopg

from watchdog.migrations.budget import with_later
from watchdog.migrations.limits import Log, recorded, watch_log
from watchdog.migrations.plain import plain
from watchdog.migrations.runs import Run
from watchdog.migrations.session import connected
from watchdog.migrations.shape import Connection


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
            try:
                found[one.run] = await outlook(connection, one.run, one.predicted_rollback_seconds)
            except psycopg.Error as error:
                found[one.run] = Outlook(one.predicted_rollback_seconds, None, plain(error))
    return found


async def outlook(connection: Connection, run: int, predicted: float | None) -> Outlook:
    """What there is to say of one applied run; a log that has passed a limit is ended by this look.

    Args:
        predicted: Seconds, as predicted when it was applied.

    Raises:
        psycopg.Error: Its log cannot be read, or not be ended.
    """
    log = await watch_log(connection, run)
    if log is None or predicted is None:
        return Outlook(predicted, log)
    speed = (await recorded(connection, run)).speed or {}
    return Outlook(with_later(predicted, log.entries, speed), log)
