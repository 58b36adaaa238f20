# ruff: noqa: S608 - the only names in SQL here are those of our own tables
"""What the change log of a run may cost, and its end before it hurts: the run is protected less from then on."""

from dataclasses import dataclass, replace
from typing import Any, Final

import psycopg
from psycopg.types.json import Jsonb

from watchdog.migrations.changelog import silence, stop
from watchdog.migrations.folded import forget
from watchdog.migrations.images import image, qualified
from watchdog.migrations.manifest import Manifest
from watchdog.migrations.policies import Policies, Policy
from watchdog.migrations.runs import named
from watchdog.migrations.session import RefusedError
from watchdog.migrations.shape import Connection, load_query
from watchdog.migrations.table_plans import TablePlan

# How many numbers a log has given out tells its length without reading it.
_LOGS: Final = """
    SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint,
           coalesce(sum((SELECT pg_sequence_last_value(d.objid) FROM pg_depend d
                          WHERE d.refobjid = c.oid AND d.deptype = 'i' AND d.classid = 'pg_class'::regclass
                            AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 LIMIT 1)), 0)::bigint,
           count(*)
      FROM pg_class c WHERE c.relnamespace = to_regnamespace('watchdog') AND c.relkind = 'r'
       AND c.relname ~ ('^run_' || %s || '_[0-9]+_log$')
"""
# What replicas have not replayed and slots hold back; an ordinary user sees of replicas nothing.
_BEHIND: Final = """
    SELECT greatest((SELECT max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)) FROM pg_stat_replication),
                    (SELECT max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)) FROM pg_replication_slots
                      WHERE restart_lsn IS NOT NULL))::bigint,
           (SELECT extract(epoch FROM max(replay_lag)) FROM pg_stat_replication)::float8
"""


@dataclass(frozen=True)
class Limits:
    """What a run's change log may cost; None for no limit.

    Attributes:
        bytes: That it may take on disk.
        wal_bytes: Of write-ahead log that a replica has not replayed, or a slot holds back.
        lag_seconds: That a replica may be behind.
    """

    bytes: int | None = None
    wal_bytes: int | None = None
    lag_seconds: float | None = None


NO_LIMITS: Final = Limits()


@dataclass(frozen=True)
class Log:
    """A run's change log as it stands.

    Attributes:
        bytes: On disk.
        entries: Writes in it, those that were rolled back too.
        wal_bytes: Write-ahead log that a replica or a slot has not got; None where that cannot be seen.
        lag_seconds: Of the slowest replica; None where there is none, or it cannot be seen.
        ended: Why it was ended before the run was, empty while it goes on.
    """

    run: int
    bytes: int
    entries: int
    wal_bytes: int | None = None
    lag_seconds: float | None = None
    ended: str = ""


@dataclass(frozen=True)
class Recorded:
    """What a run says of its log.

    Attributes:
        speed: Seconds, as the prediction of its rollback measured them.
        script_wrote: Tables whose rows the script itself wrote, by their name before it.
    """

    limits: Limits = NO_LIMITS
    policies: Policies | None = None
    speed: dict[str, float] | None = None
    script_wrote: tuple[str, ...] = ()
    ended: str = ""


async def prepare_later(connection: Connection) -> None:
    """Brings a database of an earlier version up to date; raises WatchdogError when it must not."""
    with named("Schema watchdog cannot be brought up to date"):
        await connection.execute(load_query("later.sql"))


async def record_log(connection: Connection, run: int, said: Recorded) -> None:
    """Keeps what a run says of its log."""
    await connection.execute(
        "INSERT INTO watchdog.migration_logs"
        " (run, max_bytes, max_wal_bytes, max_lag_seconds, policies, speed, script_wrote)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (
            run, said.limits.bytes, said.limits.wal_bytes, said.limits.lag_seconds,
            Jsonb(dict(said.policies or {})), Jsonb(said.speed or {}), list(said.script_wrote),
        ),
    )  # fmt: skip


async def recorded(connection: Connection, run: int) -> Recorded:
    """What a run says of its log; nothing, for a run of an earlier version."""
    there = await (await connection.execute("SELECT to_regclass('watchdog.migration_logs') IS NOT NULL")).fetchone()
    row: Any = None
    if there and there[0]:
        row = await (
            await connection.execute(
                "SELECT max_bytes, max_wal_bytes, max_lag_seconds, policies, speed, script_wrote,"
                " coalesce(ended_why, '') FROM watchdog.migration_logs WHERE run = %s",
                (run,),
            )
        ).fetchone()
    if row is None:
        return Recorded()
    policies = {table: Policy(word) for table, word in row[3].items()}
    return Recorded(Limits(*row[:3]), policies, row[4], tuple(row[5]), row[6])


async def look_at_log(connection: Connection, run: int) -> Log | None:
    """A run's change log as it stands; None when it has none."""
    row = await (await connection.execute(_LOGS.encode(), (run,))).fetchone()
    ended = (await recorded(connection, run)).ended
    if not row or (not row[2] and not ended):
        return None
    behind = await (await connection.execute(_BEHIND.encode())).fetchone()
    wal_bytes, lag_seconds = behind or (None, None)
    return Log(run, row[0], row[1], wal_bytes, lag_seconds, ended)


async def watch_log(connection: Connection, run: int, limits: Limits | None = None) -> Log | None:
    """Looks at a run's log, and ends it when it passes a limit: users wait no longer for it, whatever they do.

    What was logged stays until the run is settled or taken back. Call it as often as you like.

    Args:
        connection: Outside a transaction, as who applied the run or a member of that role.
        limits: Instead of those that were said when it was applied.

    Raises:
        psycopg.Error: It cannot be read, or not be ended.
    """
    log = await look_at_log(connection, run)
    if log is None or log.ended:
        return log
    why = passed(log, limits or (await recorded(connection, run)).limits)
    return await end(connection, log, why) if why else log


async def end(connection: Connection, log: Log, why: str) -> Log:
    """Ends a run's log for a reason; the triggers do nothing at once, and go as soon as nobody holds their table."""
    async with connection.transaction():
        await prepare_later(connection)
        await silence(connection, log.run)
        await connection.execute(
            "INSERT INTO watchdog.migration_logs (run, ended_at, ended_why)"
            " VALUES (%(run)s, clock_timestamp(), %(why)s)"
            " ON CONFLICT (run) DO UPDATE SET ended_at = excluded.ended_at, ended_why = excluded.ended_why",
            {"run": log.run, "why": why},
        )
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL lock_timeout = '300ms'")
            await stop(connection, log.run)
    except psycopg.errors.LockNotAvailable:
        # They do nothing any more; settle and rollback take them away.
        pass
    return replace(log, ended=why)


def passed(log: Log, limits: Limits) -> str:
    """Which limit a log has passed, as a sentence; empty for none, and for what cannot be seen."""
    if limits.bytes is not None and log.bytes > limits.bytes:
        return f"the change log took {log.bytes:,} bytes, and may take {limits.bytes:,}"
    if limits.wal_bytes is not None and (log.wal_bytes or 0) > limits.wal_bytes:
        return f"a replica or slot had {log.wal_bytes:,} bytes of WAL to come, and may have {limits.wal_bytes:,}"
    if limits.lag_seconds is not None and (log.lag_seconds or 0.0) > limits.lag_seconds:
        return f"a replica was {log.lag_seconds:.0f} s behind, and may be {limits.lag_seconds:.0f} s"
    return ""


async def without_log(connection: Connection, run: int, manifest: Manifest) -> Manifest:
    """How a run whose log was ended is taken back: by its archive only, for as long as that is certain.

    Where the script itself wrote no row, the table just after it held what the archive holds; so what is different
    now was written since. The tables are locked while all their rows are compared.

    Raises:
        RefusedError: The script wrote rows of a logged table, or made its values others.
    """
    said = await recorded(connection, run)
    if not said.ended:
        return manifest
    tables = list(manifest.plan.tables)
    for index, table in enumerate(tables):
        if table.online and table.kind == "rebuilt":
            _insist(run, table, said)
            tables[index] = replace(table, online=False)
    return replace(manifest, plan=replace(manifest.plan, tables=tuple(tables)))


async def stand_in(connection: Connection, run: int, before: Manifest, now: Manifest) -> list[str]:
    """Makes the images `after` that the log would have told, from the archives; says of which tables."""
    done: list[str] = []
    for index, (was, table) in enumerate(zip(before.plan.tables, now.plan.tables, strict=True)):
        if was.online and not table.online:
            await forget(connection, run, index)
            kept = [f"{'NULL' if c.forward is None else f'c{n}'} AS c{n}" for n, c in enumerate(table.columns)]
            added = [f"{one.default or 'NULL'}::text AS x{n}" for n, one in enumerate(table.added)]
            listed = ", ".join(["n", *kept, *added])
            await connection.execute(f"DROP TABLE IF EXISTS {image(run, index, 'log')}".encode())
            await connection.execute(
                f"CREATE TABLE {image(run, index, 'after')} AS"
                f" SELECT {listed} FROM {image(run, index, 'before')}".encode()
            )
            done.append(qualified(table.name))
    return done


def _insist(run: int, table: TablePlan, said: Recorded) -> None:
    name = ".".join(table.name)
    others = [c.name for c in table.columns if c.forward is not None and not c.same_type]
    why = f"the script made {', '.join(others)} another type" if others else ""
    why = why or ("the script wrote its rows" if name in said.script_wrote else "")
    if why:
        ended = f"run {run} logs {qualified(table.name)} no longer ({said.ended})"
        raise RefusedError(
            (f"{ended}, and as {why}, nobody can tell what users wrote since; its archives are in schema watchdog",)
        )
