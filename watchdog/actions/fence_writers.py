"""Takes the right to write from a service's roles, proves that nobody writes any more, and gives it back."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, cast

from psycopg.rows import TupleRow

from watchdog.model.time import MILLISECOND, SECOND, say_span
from watchdog.ports.actions import Applied, StepContext, Verification
from watchdog.ports.errors import StepError, StepUncertainError, TargetError
from watchdog.ports.kinds import ActionKind, Duration, Fencing, Resources
from watchdog.targets import grants
from watchdog.targets.fence import run_fenced, verify_fenced
from watchdog.targets.postgres import Connection, PostgresTarget

_DRAIN = Duration(5 * SECOND)
_LOCK_TIMEOUT = Duration(2 * SECOND)
_POLL = 100 * MILLISECOND
_TERMINATION = 5 * SECOND

_MISSING = """
    SELECT name FROM unnest(%(roles)s::text[]) AS name WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
"""
_SUPERUSERS = "SELECT rolname FROM pg_roles WHERE rolname = ANY (%(roles)s) AND rolsuper"
_OURSELVES = """
    SELECT name FROM unnest(%(roles)s::text[]) AS name, pg_roles AS me
    WHERE me.rolname = session_user
      AND (name = session_user OR NOT me.rolsuper AND pg_has_role(session_user, name, 'MEMBER'))
"""
_OWNERS = """
    SELECT name, pg_get_userbyid(relowner), count(*)
    FROM unnest(%(roles)s::text[]) AS name, pg_class
    WHERE relnamespace = ANY (%(schemas)s::regnamespace[]) AND relkind IN ('r', 'p', 'v', 'f', 'S')
      AND pg_has_role(name, relowner, 'USAGE')
    GROUP BY 1, 2 ORDER BY 1, 2 LIMIT 1
"""
_PREPARED = "SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database() AND owner = ANY (%(roles)s)"
_STILL_WRITABLE = """
    SELECT name, nspname, relname
    FROM unnest(%(roles)s::text[]) AS name, pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = ANY (%(schemas)s) AND relkind IN ('r', 'p', 'v', 'f') AND (
        has_table_privilege(name, pg_class.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
        OR has_any_column_privilege(name, pg_class.oid, 'INSERT, UPDATE')
    )
    ORDER BY 1, 2, 3 LIMIT 1
"""
_WRITERS = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND usename = ANY (%(roles)s) AND backend_type = 'client backend'
      AND pid <> pg_backend_pid() AND xact_start <= %(since)s
      AND NOT (backend_xid IS NULL AND application_name IN ('pg_dump', 'pg_dumpall', 'pg_basebackup'))
"""


@dataclass(frozen=True, kw_only=True)
class FenceWritersOptions:
    """Whom to keep from writing.

    Attributes:
        roles: The service's login roles. They must own nothing there and be no superusers.
        do: `fence` or `lift`.
        method: `revoke`: their INSERT, UPDATE, DELETE and TRUNCATE grants are saved and taken away.
        schemas: Where.
        drain: How long transactions that were open may go on before their sessions are terminated.
    """

    roles: tuple[str, ...]
    do: Literal["fence", "lift"]
    method: Literal["revoke"] = "revoke"
    schemas: tuple[str, ...] = ("public",)
    drain: Duration = _DRAIN
    lock_timeout: Duration = _LOCK_TIMEOUT


class FenceWritersAction:
    """Fences or lifts. A fence has two receipts: the grants are taken, and the last writer is gone."""

    def __init__(self, target: PostgresTarget, options: FenceWritersOptions) -> None:
        self._target = target
        self._options = options

    async def execute(self, context: StepContext) -> str:
        """Revokes and drains, or restores; see `Action.execute`."""
        work = self._revoke if self._options.do == "fence" else self._restore

        async def effect(connection: Connection) -> str:
            return await work(connection, context)

        said = await run_fenced(self._target, context, effect, lock_timeout=self._options.lock_timeout)
        if self._options.do == "lift":
            return said
        try:
            drained = await self._drain(context)
        except TargetError as error:
            raise StepUncertainError(f"The grants are revoked, but: {error}") from None

        async def proven(_: Connection) -> str:
            return drained

        return f"{said}; {await run_fenced(self._target, _second(context), proven)}"

    async def verify(self, context: StepContext) -> Verification:
        """For a fence, the grants must be gone and the last writer too; see `Action.verify`."""
        first = await verify_fenced(self._target, context)
        if self._options.do == "lift" or first.applied is not Applied.YES:
            return first
        second = await verify_fenced(self._target, _second(context))
        if second.applied is Applied.NO:
            return Verification(Applied.NO, "the grants are revoked, but open transactions were not seen to end")
        return replace(second, detail=f"{first.detail}; {second.detail}")

    async def preview(self, context: StepContext) -> str:
        """Says whether the roles can be fenced, and how many of their sessions are open."""
        del context
        roles = ", ".join(self._options.roles)
        if self._options.do == "lift":
            return f"would give {roles} back the grants that were taken on {self._target.name}"
        async with self._target.observe() as connection:
            await self._refuse(connection)
            query = "SELECT count(*) FROM pg_stat_activity WHERE usename = ANY (%(roles)s)"
            [(sessions,)] = await _rows(connection, query, self._parameters)
        return f"would keep {roles} ({sessions} sessions) from writing to {', '.join(self._options.schemas)}"

    @property
    def _parameters(self) -> dict[str, Any]:
        return {"roles": list(self._options.roles), "schemas": list(self._options.schemas)}

    async def _revoke(self, connection: Connection, context: StepContext) -> str:
        await self._refuse(connection)
        taken = await grants.take(connection, context, self._options.roles, self._options.schemas)
        for role, schema, relation in await _rows(connection, _STILL_WRITABLE, self._parameters):
            raise StepError(
                f"Role {role} could still write {schema}.{relation}, through PUBLIC, a role it belongs to, or another "
                "grantor; take that grant away. Nothing was changed."
            )
        return f"took {taken.grants} write grants on {taken.relations} tables and sequences from {self._names}"

    async def _refuse(self, connection: Connection) -> None:
        """Refuses roles on which a revoke would not hold."""
        for (role,) in await _rows(connection, _MISSING, self._parameters):
            raise StepError(f"There is no role {role} on {self._target.place}; correct roles.")
        for (role,) in await _rows(connection, _SUPERUSERS, self._parameters):
            raise StepError(f"Role {role} is a superuser, whom no grant binds; let the service use an ordinary role.")
        for (role,) in await _rows(connection, _OURSELVES, self._parameters):
            raise StepError(f"The watchdog itself is {role} or a member of it; give it a role of its own.")
        for role, owner, count in await _rows(connection, _OWNERS, self._parameters):
            raise StepError(
                f"Role {role} has the rights of {owner}, which owns {count} tables or sequences there, and an owner "
                "cannot be kept out by grants; let another role own them, or take the membership away."
            )
        [(prepared,)] = await _rows(connection, _PREPARED, self._parameters)
        if prepared:
            raise StepError(
                f"{prepared} prepared transactions of {self._names} could still be committed; "
                "commit or roll them back (pg_prepared_xacts)."
            )

    async def _drain(self, context: StepContext) -> str:
        """Waits for transactions that began before the revoke was committed, then terminates their sessions."""
        async with self._target.act() as connection:
            [(since,)] = await _rows(connection, "SELECT clock_timestamp()", {})
            if await self._gone(connection, context, since, self._options.drain):
                return "no transaction of theirs is open from before"
            victims = [pid for (pid,) in await self._writers(connection, since)]
            await connection.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", (victims,))
            if await self._gone(connection, context, since, _TERMINATION):
                return f"{len(victims)} sessions were terminated after {say_span(self._options.drain)}"
            left = len(await self._writers(connection, since))
        raise TargetError(f"{left} sessions of {self._names} on {self._target.place} do not end; look at them.")

    async def _gone(self, connection: Connection, context: StepContext, since: datetime, within: int) -> bool:
        until = context.clock.now() + within
        while await self._writers(connection, since):
            if context.clock.now() >= until:
                return False
            await context.clock.sleep(_POLL)
        return True

    async def _writers(self, connection: Connection, since: datetime) -> Sequence[TupleRow]:
        return await _rows(connection, _WRITERS, {**self._parameters, "since": since})

    async def _restore(self, connection: Connection, context: StepContext) -> str:
        given = await grants.give_back(connection, context.guard, self._options.roles)
        return f"gave {given} write grants back to {self._names}"

    @property
    def _names(self) -> str:
        return ", ".join(self._options.roles)


def _second(context: StepContext) -> StepContext:
    return replace(context, step_id=f"{context.step_id}:drained")


async def _rows(connection: Connection, query: str, parameters: dict[str, Any]) -> list[TupleRow]:
    return await (await connection.execute(query.encode(), parameters)).fetchall()


def _complaints(options: FenceWritersOptions) -> Iterator[str]:
    if not options.roles:
        yield "roles is empty: name the login roles of the service."
    if not options.schemas:
        yield "schemas is empty: name the schemas that the service writes."


def _build(role: str, options: FenceWritersOptions, resources: Resources) -> FenceWritersAction:
    return FenceWritersAction(cast("PostgresTarget", resources.target(role)), options)


KIND: ActionKind[FenceWritersOptions] = ActionKind(
    name="fence_writers",
    options=FenceWritersOptions,
    targets=("postgres",),
    transactional=lambda _: True,
    build=_build,
    complaints=_complaints,
    fencing=lambda options: Fencing(frozenset(options.roles), lifts=options.do == "lift"),
)
