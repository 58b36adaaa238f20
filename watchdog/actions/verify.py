"""Asks a target until it answers as expected; changes nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import neo4j

from watchdog.actions import facts
from watchdog.model.time import MILLISECOND, SECOND, in_seconds, say_span
from watchdog.ports.actions import Applied, StepContext, Verification
from watchdog.ports.errors import StepError, TargetError
from watchdog.ports.kinds import ActionKind, Duration, Resources, Script
from watchdog.targets.http import HttpTarget
from watchdog.targets.neo4j import Neo4jTarget
from watchdog.targets.postgres import PostgresTarget

Target: TypeAlias = PostgresTarget | Neo4jTarget | HttpTarget

NO_ROWS = "no_rows"

_WITHIN = Duration(10 * SECOND)
_INTERVAL = Duration(500 * MILLISECOND)
_QUERY_TIMEOUT = 5 * SECOND


@dataclass(frozen=True, kw_only=True)
class VerifyOptions:
    """What to ask and what must come back.

    Attributes:
        query: For a database: one reading statement.
        path: For a service: what to GET.
        expect: For a database: `no_rows`, or the one value that must be returned, as text (`true`, `42`).
        status: For a service: statuses that are right.
        contains: For a service: text that the answer must hold.
        within: How long to ask again.
        interval: How often.
    """

    query: Script | None = None
    path: str = ""
    expect: str = NO_ROWS
    status: tuple[int, ...] = (200,)
    contains: str = ""
    within: Duration = _WITHIN
    interval: Duration = _INTERVAL


class VerifyAction:
    """A question that has to be answered rightly in time."""

    def __init__(self, target: Target, options: VerifyOptions) -> None:
        self._target = target
        self._options = options

    async def execute(self, context: StepContext) -> str:
        """Asks until the answer is right; see `Action.execute`."""
        began = context.clock.now()
        while problem := await self._problem(context):
            if context.clock.now() + self._options.interval > began + self._options.within:
                raise StepError(f"{self._target.place}: {problem}, still after {say_span(self._options.within)}.")
            await context.clock.sleep(self._options.interval)
        return f"{self._target.name} answers as expected"

    async def verify(self, context: StepContext) -> Verification:
        """Asks once; see `Action.verify`."""
        problem = await self._problem(context)
        return Verification(Applied.NO if problem else Applied.YES, problem)

    async def preview(self, context: StepContext) -> str:
        """Asks once and says what came back."""
        problem = await self._problem(context)
        return f"would pass now: {self._target.name}" if not problem else f"would not pass now: {problem}"

    async def _problem(self, context: StepContext) -> str:
        """What is wrong with the answer, without values of rows; empty when it is right."""
        try:
            if isinstance(self._target, HttpTarget):
                return await self._http_problem(self._target, facts.fill(self._options.path, context))
            statement = self._options.query.text.strip().removesuffix(";") if self._options.query else ""
            ask = _ask_postgres if isinstance(self._target, PostgresTarget) else _ask_neo4j
            rows = await ask(cast("Any", self._target), statement)
        except TargetError as error:
            return str(error)
        if self._options.expect == NO_ROWS:
            return "the query returns rows" if rows else ""
        values = [_as_text(value) for row in rows for value in row]
        return "" if values == [self._options.expect] else f"the query does not return {self._options.expect}"

    async def _http_problem(self, target: HttpTarget, path: str) -> str:
        answer = await target.request("GET", path)
        if answer.status not in self._options.status:
            return f"GET {path} answers {answer.status}"
        if self._options.contains.encode() not in answer.body:
            return f"GET {path} does not answer with {self._options.contains!r}"
        return ""


async def _ask_postgres(target: PostgresTarget, statement: str) -> list[tuple[Any, ...]]:
    """Two rows at most: more make no difference."""
    async with target.observe() as connection:
        return await (await connection.execute(statement.encode())).fetchmany(2)


async def _ask_neo4j(target: Neo4jTarget, statement: str) -> list[tuple[Any, ...]]:
    query = neo4j.Query(statement, timeout=in_seconds(_QUERY_TIMEOUT))
    with target.translated():
        async with target.session(default_access_mode=neo4j.READ_ACCESS) as session:
            return [tuple(record) for record in await (await session.run(query)).fetch(2)]


def _as_text(value: Any) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _complaints(options: VerifyOptions) -> Iterator[str]:
    if (options.query is None) == (not options.path):
        yield "give query for a database, or path for a service: one of the two."
    if options.path:
        yield from facts.complaints(options.path)
        if not options.path.startswith("/"):
            yield f"path {options.path!r} must begin with a slash; the address is the target's."
    if options.query is not None and not options.query.text.strip(" \n\t;"):
        yield "query is empty."
    if options.interval <= 0:
        yield "interval must be more than nothing."


def _build(role: str, options: VerifyOptions, resources: Resources) -> VerifyAction:
    return VerifyAction(cast("Target", resources.target(role)), options)


KIND: ActionKind[VerifyOptions] = ActionKind(
    name="verify",
    options=VerifyOptions,
    targets=("postgres", "neo4j", "http"),
    transactional=lambda _: False,
    build=_build,
    complaints=_complaints,
)
