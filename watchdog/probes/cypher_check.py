"""Checks in Cypher: a query that must return no rows, or one number."""

import math
from collections.abc import Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal, cast

import neo4j
from neo4j import exceptions

from watchdog.model.signals import Cause, Labels, Missing, SignalKind
from watchdog.ports.errors import ProbeError
from watchdog.ports.kinds import Duration, ProbeKind, Resources, Script
from watchdog.ports.probes import Reading, Readings
from watchdog.probes.neo4j_queries import TIMEOUT, column, graph_error, query, reading
from watchdog.probes.queries import cypher_complaints
from watchdog.probes.readings import MAX_COUNT, check_script, single
from watchdog.targets.neo4j import Neo4jTarget


@dataclass(frozen=True, kw_only=True)
class CypherCheckOptions:
    """How the checks run.

    Attributes:
        query_timeout: How long each query may take.
    """

    query_timeout: Duration = TIMEOUT


@dataclass(frozen=True, kw_only=True)
class CypherCheckRead:
    """One check.

    Attributes:
        query: One Cypher query with a RETURN.
        expect: `no_rows`: the value is how many rows it returns, counted up to 10,000; `value`: the value is the one
            number that it returns.
    """

    query: Script
    expect: Literal["no_rows", "value"] = "no_rows"

    def __post_init__(self) -> None:
        check_script(self.query, "query")


class CypherCheckProbe:
    """Runs the checks one after the other in one reading session."""

    def __init__(self, target: Neo4jTarget, options: CypherCheckOptions, reads: Mapping[str, CypherCheckRead]) -> None:
        self._target = target
        self._options = options
        self._reads = reads

    async def read(self) -> Readings:
        """Every check; one that fails does not hide the others.

        Raises:
            ProbeError: The server does not answer.
        """
        readings: dict[str, Mapping[Labels, Reading]] = {}
        async with reading(self._target) as session:
            for name, read in self._reads.items():
                readings[name] = single(await self._check(session, read))
        return readings

    async def _check(self, session: neo4j.AsyncSession, read: CypherCheckRead) -> Reading:
        source = read.query.source or "query"
        try:
            if read.expect == "no_rows":
                return float(await self._count(session, read.query))
            async with aclosing(column(session, read.query, self._options.query_timeout)) as values:
                return number([value async for value in values], source)
        except ProbeError as error:
            return Missing(error.cause, f"target {self._target.place}: {error}")
        except exceptions.Neo4jError as error:
            problem = graph_error(self._target, error)
            return Missing(problem.cause, f"{problem} in {source}")

    async def _count(self, session: neo4j.AsyncSession, script: Script) -> int:
        result = await session.run(query(script, self._options.query_timeout))
        if not result.keys():
            raise ProbeError(Cause.PROBE_BROKEN, f"{script.source or 'query'} must RETURN the violations")
        count = 0
        async for _row in result:
            count += 1
            if count >= MAX_COUNT:
                break
        await result.consume()
        return count


def number(values: list[object], source: str) -> float:
    """The single number in an answer.

    Raises:
        ProbeError: It is not one finite number.
    """
    match values:
        case [bool() | int() | float() as value] if math.isfinite(value):
            return float(value)
        case [None]:
            what = "returned null; say what that means with coalesce"
        case [_]:
            what = "returned something other than a finite number"
        case _:
            what = "must return exactly one row"
    raise ProbeError(Cause.PROBE_BROKEN, f"{source} {what}")


def _complaints(read: CypherCheckRead) -> Iterator[str]:
    return cypher_complaints(read.query, "query")


def _build(
    role: str, options: CypherCheckOptions, reads: Mapping[str, CypherCheckRead], resources: Resources
) -> CypherCheckProbe:
    return CypherCheckProbe(cast("Neo4jTarget", resources.target(role)), options, reads)


KIND: ProbeKind[CypherCheckOptions, CypherCheckRead] = ProbeKind(
    name="cypher_check",
    options=CypherCheckOptions,
    read=CypherCheckRead,
    targets=("neo4j",),
    signal_kind=lambda _read: SignalKind.CHECK,
    build=_build,
    complaints=_complaints,
)
