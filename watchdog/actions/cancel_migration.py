"""Cancels statements of a migration that hold, or wait for, locks in everybody's way."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from psycopg import sql

from watchdog.migrations.parser import postgast, tree
from watchdog.model.time import MILLISECOND, SECOND
from watchdog.ports.actions import Applied, StepContext, Verification
from watchdog.ports.errors import StepError, StepUncertainError, TargetError
from watchdog.ports.kinds import ActionKind, Duration, Resources
from watchdog.targets.fence import fenced
from watchdog.targets.postgres import PostgresTarget
from watchdog.targets.retries import retried

_GRACE = Duration(3 * SECOND)
_POLL = 100 * MILLISECOND
_TERMINATION = 5 * SECOND

# The lock modes that a schema change takes, and that keep writers out.
_FIND = """
    SELECT DISTINCT activity.pid, activity.usename, activity.query
    FROM pg_stat_activity AS activity JOIN pg_locks AS held USING (pid) JOIN pg_class ON pg_class.oid = held.relation
    WHERE activity.datname = current_database() AND activity.backend_type = 'client backend'
      AND activity.pid <> pg_backend_pid()
      AND held.locktype = 'relation'
      AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND held.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
      AND pg_class.relkind IN ('r', 'p', 'm')
      AND relnamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname ~ '^pg_' OR nspname = 'information_schema')
      AND (%(roles)s::text[] = '{}' OR activity.usename = ANY (%(roles)s))
      AND (%(applications)s::text[] = '{}' OR activity.application_name = ANY (%(applications)s))
      AND (%(query)s = '' OR activity.query ~* %(query)s)
    ORDER BY 1
"""


@dataclass(frozen=True, kw_only=True)
class CancelMigrationOptions:
    """Whose statements. All that is given must fit; at least one must be given.

    Attributes:
        roles: Login roles of the migration tool; never the service's.
        application_names: As the tool names itself.
        query: A regular expression that the statement holds, in any case.
        grace: How long a cancelled session may take before it is terminated.
    """

    roles: tuple[str, ...] = ()
    application_names: tuple[str, ...] = ()
    query: str = ""
    grace: Duration = _GRACE


@dataclass(frozen=True)
class _Session:
    pid: int
    role: str
    query: str


class CancelMigrationAction:
    """Idempotent. Never touches backups or replication: only client sessions that fit."""

    def __init__(self, target: PostgresTarget, options: CancelMigrationOptions) -> None:
        self._target = target
        self._options = options

    async def execute(self, context: StepContext) -> str:
        """Cancels, then terminates what is left; see `Action.execute`."""
        try:
            await self._take_fence(context)
            found = await self._sessions()
            if not found:
                return "no statement of a migration holds or waits for a lock"
            await self._signal("pg_cancel_backend", found)
            left = await self._left(context, found, self._options.grace)
            if left:
                await self._signal("pg_terminate_backend", left)
            stuck = await self._left(context, left, _TERMINATION)
        except TargetError as error:
            raise StepError(str(error)) from None
        if stuck:
            raise StepUncertainError(f"{_names(stuck)} on {self._target.place} do not end; look at pg_stat_activity.")
        terminated = f", {len(left)} of them by ending the session" if left else ""
        said = "; ".join(without_literals(each.query) for each in found)
        return f"cancelled {len(found)} statements of {_roles(found)}{terminated}: {said}"

    async def verify(self, context: StepContext) -> Verification:
        """Looks whether any is left; see `Action.verify`."""
        try:
            await self._take_fence(context)
            left = await self._sessions()
        except (TargetError, StepUncertainError) as error:
            return Verification(Applied.CANNOT_TELL, str(error))
        return Verification(Applied.NO if left else Applied.YES, f"{len(left)} such statements are there")

    async def preview(self, context: StepContext) -> str:
        """Says what would be cancelled."""
        del context
        found = await self._sessions()
        if not found:
            return "would cancel nothing: no statement of a migration holds or waits for a lock"
        return f"would cancel {len(found)} statements: {'; '.join(without_literals(each.query) for each in found)}"

    async def _take_fence(self, context: StepContext) -> None:
        async def once() -> None:
            async with fenced(self._target, context):
                pass

        await retried(context, once)

    @property
    def _filter(self) -> dict[str, Any]:
        return {
            "roles": list(self._options.roles),
            "applications": list(self._options.application_names),
            "query": self._options.query,
        }

    async def _sessions(self) -> list[_Session]:
        async with self._target.observe() as connection:
            rows = await (await connection.execute(_FIND.encode(), self._filter)).fetchall()
        return [_Session(*row) for row in rows]

    async def _signal(self, function: str, sessions: Sequence[_Session]) -> None:
        """Only those that still fit: a session may have gone on to something else."""
        query = sql.SQL("SELECT {}(pid) FROM ({}) AS found WHERE pid = ANY (%(pids)s)")
        async with self._target.act() as connection:
            await connection.execute(
                query.format(sql.Identifier(function), sql.SQL(_FIND)),
                {**self._filter, "pids": [each.pid for each in sessions]},
            )

    async def _left(self, context: StepContext, of: Sequence[_Session], within: int) -> list[_Session]:
        """Which of these are still there when the time is up, or at once when none is."""
        pids = {each.pid for each in of}
        until = context.clock.now() + within
        while left := [each for each in await self._sessions() if each.pid in pids]:
            if context.clock.now() >= until:
                return left
            await context.clock.sleep(_POLL)
        return []


def _names(sessions: Sequence[_Session]) -> str:
    return f"{len(sessions)} sessions of {_roles(sessions)}"


def _roles(sessions: Sequence[_Session]) -> str:
    return ", ".join(sorted({each.role for each in sessions}))


def _complaints(options: CancelMigrationOptions) -> Iterator[str]:
    if not (options.roles or options.application_names or options.query):
        yield "name the migration tool by roles, application_names or query, so that nobody else is cancelled."
    if options.query:
        try:
            re.compile(options.query)
        except re.error as error:
            yield f"query {options.query!r} is no regular expression: {error}."


def without_literals(query: str) -> str:
    """A statement with `?` for every value, for people to read; only its first words when it cannot be read."""
    values = {tree.SCONST, tree.ICONST, tree.FCONST, tree.BCONST, tree.XCONST, tree.USCONST}
    comments = {tree.SQL_COMMENT, tree.C_COMMENT}
    try:
        tokens = postgast.scan(query).tokens
    except postgast.PgQueryError:
        return " ".join(query.split()[:2]) + " …"
    raw = query.encode()
    words = [
        "?" if each.token in values else raw[each.start : each.end].decode()
        for each in tokens
        if each.token not in comments
    ]
    return " ".join(words)[:200]


def _build(role: str, options: CancelMigrationOptions, resources: Resources) -> CancelMigrationAction:
    return CancelMigrationAction(cast("PostgresTarget", resources.target(role)), options)


KIND: ActionKind[CancelMigrationOptions] = ActionKind(
    name="cancel_migration",
    options=CancelMigrationOptions,
    targets=("postgres",),
    transactional=lambda _: False,
    build=_build,
    complaints=_complaints,
)
