"""Switches feature flags off in the service's table, and sees that the service has noticed."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from psycopg import sql

from watchdog.model.time import MILLISECOND, SECOND, say_span
from watchdog.ports.actions import Applied, StepContext, Verification
from watchdog.ports.errors import StepError, TargetError
from watchdog.ports.kinds import ActionKind, Duration, Resources, Role
from watchdog.targets.archive import Archive, keep
from watchdog.targets.fence import run_fenced, verify_fenced
from watchdog.targets.http import HttpTarget
from watchdog.targets.postgres import Connection, PostgresTarget

_PROPAGATION = Duration(10 * SECOND)
_POLL = 250 * MILLISECOND
_NOTHING = "the release has no feature flags"


@dataclass(frozen=True, kw_only=True)
class FeatureFlagOptions:
    """Which flags to switch off.

    Attributes:
        flags: Their names; empty takes the release's.
        table: Has columns name, enabled, rollout_percentage, updated_at and updated_by.
        confirm: A service of kind http that shows the flags it works with.
        path: Where it shows them: JSON, `{name: true | false}` or `{name: {"enabled": …}}`.
        propagation: How long the service may take to notice.
    """

    flags: tuple[str, ...] = ()
    table: str = "feature_flags"
    confirm: Role | None = None
    path: str = "/flags"
    propagation: Duration = _PROPAGATION


class FeatureFlagAction:
    """Off in the database exactly once, then seen to be off."""

    def __init__(self, target: PostgresTarget, service: HttpTarget | None, options: FeatureFlagOptions) -> None:
        self._target = target
        self._service = service
        self._options = options

    async def execute(self, context: StepContext) -> str:
        """Switches off and waits for the service; see `Action.execute`."""
        flags = self._flags(context)
        if not flags:
            return _NOTHING

        async def switch(connection: Connection) -> str:
            return await self._switch(connection, context, flags)

        said = await run_fenced(self._target, context, switch)
        if self._service is None:
            return said
        until = context.clock.now() + self._options.propagation
        while problem := await self._still_on(flags):
            if context.clock.now() >= until:
                raise StepError(f"{said}, but after {say_span(self._options.propagation)} {problem}")
            await context.clock.sleep(_POLL)
        return f"{said}; {self._service.name} shows it"

    async def verify(self, context: StepContext) -> Verification:
        """The receipt must be there, and the service must show the flags off; see `Action.verify`."""
        flags = self._flags(context)
        if not flags:
            return Verification(Applied.YES, _NOTHING)
        found = await verify_fenced(self._target, context)
        if found.applied is Applied.YES and (problem := await self._still_on(flags)):
            return Verification(Applied.NO, f"{found.detail}, but {problem}")
        return found

    async def preview(self, context: StepContext) -> str:
        """Says which of the flags are on."""
        flags = self._flags(context)
        if not flags:
            return f"would do nothing: {_NOTHING}"
        async with self._target.observe() as connection:
            query = sql.SQL("SELECT name FROM {} WHERE name = ANY (%s) AND enabled").format(self._table)
            on = [str(row[0]) for row in await (await connection.execute(query, (list(flags),))).fetchall()]
        return f"would switch off {', '.join(flags)} (on now: {', '.join(sorted(on)) or 'none'})"

    @property
    def _table(self) -> sql.Identifier:
        return sql.Identifier(*self._options.table.split("."))

    def _flags(self, context: StepContext) -> tuple[str, ...]:
        return self._options.flags or tuple(filter(None, context.facts.get("flags", "").replace(" ", "").split(",")))

    async def _switch(self, connection: Connection, context: StepContext, flags: tuple[str, ...]) -> str:
        names = sql.SQL(", ").join(map(sql.Literal, flags)).as_string(connection)
        # Keeps what the flags were, because off says nothing about before.
        digest = hashlib.sha256(context.step_id.encode()).hexdigest()[:8]
        before = Archive(name=f"flags_{digest}", table=self._options.table, where=f"name IN ({names})")
        kept = await keep(connection, context, before)
        if kept.rows < len(flags):
            known = sql.SQL("SELECT name FROM {} WHERE name = ANY (%s)").format(self._table)
            rows = await (await connection.execute(known, (list(flags),))).fetchall()
            missing = sorted(set(flags) - {str(row[0]) for row in rows})
            raise StepError(f"{self._options.table} has no flag {', '.join(missing)}; correct flags.")
        await connection.execute(
            sql.SQL(
                "UPDATE {} SET enabled = false, rollout_percentage = 0, updated_at = now(), updated_by = 'watchdog'"
                " WHERE name = ANY (%s)"
            ).format(self._table),
            (list(flags),),
        )
        return f"switched off {', '.join(flags)} (kept as watchdog.{before.relation})"

    async def _still_on(self, flags: tuple[str, ...]) -> str:
        """Why the service cannot be said to have noticed; empty when it has."""
        if self._service is None:
            return ""
        try:
            answer = await self._service.request("GET", self._options.path)
            shown: Any = json.loads(answer.body)
            on = [name for name in flags if _is_on(shown[name])] if answer.status == 200 else list(flags)
        except TargetError as error:
            return str(error)
        except (ValueError, KeyError, TypeError):
            return f"{self._service.place}{self._options.path} does not show the flags as JSON."
        return f"{self._service.name} still works with {', '.join(on)}." if on else ""


def _is_on(shown: Any) -> bool:
    return bool(shown["enabled"] if isinstance(shown, dict) else shown)


def _complaints(options: FeatureFlagOptions) -> Iterator[str]:
    yield from Archive(name="flags", table=options.table).complaints()
    if not options.path.startswith("/"):
        yield f"path {options.path!r} must begin with a slash."


def _build(role: str, options: FeatureFlagOptions, resources: Resources) -> FeatureFlagAction:
    service = cast("HttpTarget", resources.target(options.confirm)) if options.confirm else None
    return FeatureFlagAction(cast("PostgresTarget", resources.target(role)), service, options)


KIND: ActionKind[FeatureFlagOptions] = ActionKind(
    name="feature_flag",
    options=FeatureFlagOptions,
    targets=("postgres",),
    transactional=lambda _: True,
    build=_build,
    complaints=_complaints,
)
