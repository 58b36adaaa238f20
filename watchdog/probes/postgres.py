"""What PostgreSQL's own statistics say, in one round trip."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, LiteralString, TypeAlias, cast

from psycopg import sql

from watchdog.model.signals import Cause, Missing, SignalKind
from watchdog.ports.errors import ProbeError
from watchdog.ports.kinds import ProbeKind, Resources
from watchdog.ports.probes import Reading, Readings
from watchdog.probes.postgres_queries import fetch, observing
from watchdog.probes.readings import down, single
from watchdog.targets.postgres import PostgresTarget

Of: TypeAlias = Literal[
    "reachable",
    "waiting_locks",
    "blocked_ddl",
    "oldest_transaction_seconds",
    "commits",
    "rollbacks",
    "deadlocks",
    "connections",
    "replication_lag_seconds",
    "longest_lock_wait_seconds",
    "started",
    "dead_share",
    "schema_fingerprint",
]

_COUNTERS: Final[frozenset[Of]] = frozenset({"commits", "rollbacks", "deadlocks"})

# A CTE that no expression uses is not run.
_SOURCES: Final = sql.SQL("""
WITH sessions AS MATERIALIZED (
    SELECT pid, xact_start, wait_event_type
    FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
), locks AS MATERIALIZED (
    SELECT pid, locktype, database, relation, mode, granted, waitstart FROM pg_locks
), counters AS MATERIALIZED (
    SELECT xact_commit, xact_rollback, deadlocks FROM pg_stat_database WHERE datname = current_database()
)
SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'),
""")

_FINGERPRINT: Final[LiteralString] = """(
    WITH ours AS (
        SELECT oid FROM pg_namespace
         WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'watchdog')
    ), tables AS (
        SELECT oid, relname, relnamespace, relkind FROM pg_class
         WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT relispartition AND relpersistence <> 't'
           AND relnamespace IN (SELECT oid FROM ours)
    )
    SELECT coalesce(sum(hashtextextended(line, 0) & 4294967295), 0)::float8 FROM (
        SELECT concat_ws(' ', 'table', oid, relname, relnamespace, relkind) AS line FROM tables
         UNION ALL
        SELECT concat_ws(' ', 'column', t.oid, a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.atthasdef)
          FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
         UNION ALL
        -- By name: a REINDEX makes another one of the same name.
        SELECT concat_ws(' ', 'index', t.oid, c.relname)
          FROM tables t JOIN pg_index i ON i.indrelid = t.oid AND i.indislive AND i.indisvalid
          JOIN pg_class c ON c.oid = i.indexrelid
         UNION ALL
        SELECT concat_ws(' ', 'constraint', k.conrelid, k.conname, k.convalidated)
          FROM pg_constraint k JOIN tables t ON t.oid = k.conrelid
    ) AS lines
)"""


_EXPRESSIONS: Final[Mapping[Of, LiteralString]] = {
    "reachable": "1",
    "waiting_locks": "(SELECT count(*) FROM sessions WHERE wait_event_type = 'Lock')",
    # pg_blocking_pids also names those that stand ahead in the queue, and is asked for waiting sessions only.
    "blocked_ddl": """(
        SELECT count(DISTINCT waiting.pid)
        FROM locks AS waiting
        JOIN locks AS ddl USING (locktype, database, relation)
        WHERE locktype = 'relation' AND NOT waiting.granted AND ddl.mode = 'AccessExclusiveLock'
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND ddl.pid = ANY (pg_blocking_pids(waiting.pid))
    )""",
    "oldest_transaction_seconds": """
        coalesce((SELECT extract(epoch FROM clock_timestamp() - min(xact_start)) FROM sessions), 0)""",
    "commits": "(SELECT xact_commit FROM counters)",
    "rollbacks": "(SELECT xact_rollback FROM counters)",
    "deadlocks": "(SELECT deadlocks FROM counters)",
    "connections": "(SELECT count(*) FROM sessions)",
    # On a primary, the slowest standby; no row and so no value without one. An idle standby has a null lag.
    "replication_lag_seconds": """CASE
        WHEN NOT pg_is_in_recovery() THEN
            (SELECT max(coalesce(extract(epoch FROM replay_lag), 0)) FROM pg_stat_replication)
        WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
        ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())
    END""",
    "longest_lock_wait_seconds": """coalesce((
        SELECT extract(epoch FROM clock_timestamp() - min(waitstart))
        FROM locks WHERE NOT granted AND pid IN (SELECT pid FROM sessions)
    ), 0)""",
    "started": "extract(epoch FROM pg_postmaster_start_time())",
    # Of a small table a large share is dead for a moment all the time.
    "schema_fingerprint": _FINGERPRINT,
    "dead_share": """coalesce((
        SELECT max(n_dead_tup::float8 / (n_live_tup + n_dead_tup))
        FROM pg_stat_user_tables WHERE n_dead_tup >= 50000
    ), 0)""",
}

# Without pg_read_all_stats these would silently see only our own sessions.
_PRIVILEGED: Final[frozenset[Of]] = frozenset(
    {
        "waiting_locks",
        "oldest_transaction_seconds",
        "connections",
        "replication_lag_seconds",
        "longest_lock_wait_seconds",
    }
)


@dataclass(frozen=True, kw_only=True)
class PostgresOptions:
    """Takes none: it reads the target's own database."""


@dataclass(frozen=True, kw_only=True)
class PostgresRead:
    """Which number.

    Attributes:
        of: `reachable` (1 or 0); sessions of clients of this database other than our own: `connections`,
            `waiting_locks` (sessions that wait for any lock), `blocked_ddl` (sessions that wait behind somebody who
            holds or wants ACCESS EXCLUSIVE on a table), `oldest_transaction_seconds`, `longest_lock_wait_seconds`;
            counters of this database: `commits` (our own readings among them), `rollbacks`, `deadlocks`;
            `replication_lag_seconds` (of the slowest standby, or of this server if it is one); `started` (when the
            server was started, seconds since 1970: after a restart or a failover it is another number);
            `dead_share` (0 to 1, of the rows of the table where it is highest, from 50,000 dead rows on);
            `schema_fingerprint` (a number that is another whenever tables, columns, indexes or constraints are; not
            for partitions, temporary tables and our own schema).
    """

    of: Of


class PostgresProbe:
    """Reads every signal with one query."""

    def __init__(self, target: PostgresTarget, reads: Mapping[str, PostgresRead]) -> None:
        self._target = target
        self._reads = reads

    async def read(self) -> Readings:
        """One query.

        Raises:
            ProbeError: The server does not answer (unless `reachable` was asked for) or refuses us.
        """
        wanted = tuple(dict.fromkeys(read.of for read in self._reads.values()))
        query = _SOURCES + sql.SQL(", ").join(sql.SQL(_EXPRESSIONS[of]) for of in wanted)
        try:
            async with observing(self._target) as connection:
                [(privileged, *values)] = await fetch(connection, query)
        except ProbeError as error:
            reachable = [name for name, read in self._reads.items() if read.of == "reachable"]
            return down(reachable, self._reads.keys() - set(reachable), error)
        found = dict(zip(wanted, values, strict=True))
        return {
            name: single(self._reading(read.of, found[read.of], privileged=privileged))
            for name, read in self._reads.items()
        }

    def _reading(self, of: Of, value: float | None, *, privileged: bool) -> Reading:
        if of in _PRIVILEGED and not privileged:
            return Missing(
                Cause.PROBE_BROKEN,
                f"target {self._target.place}: its user may not see other sessions; GRANT pg_monitor to it",
            )
        if value is None:
            return Missing(Cause.UNREACHABLE, f"target {self._target.place}: no value of {of}; is a standby connected?")
        return float(value)


def _build(
    role: str, _options: PostgresOptions, reads: Mapping[str, PostgresRead], resources: Resources
) -> PostgresProbe:
    return PostgresProbe(cast("PostgresTarget", resources.target(role)), reads)


KIND: ProbeKind[PostgresOptions, PostgresRead] = ProbeKind(
    name="postgres",
    options=PostgresOptions,
    read=PostgresRead,
    targets=("postgres",),
    signal_kind=lambda read: SignalKind.COUNTER if read.of in _COUNTERS else SignalKind.GAUGE,
    build=_build,
)
