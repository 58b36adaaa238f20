"""Whether a table and a graph hold the same things, by their ids."""

from collections.abc import Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, cast

import psycopg

from watchdog.model.signals import Cause, Labels, Missing, SignalKind
from watchdog.model.time import SECOND
from watchdog.ports.clock import Clock
from watchdog.ports.errors import ProbeError
from watchdog.ports.kinds import Duration, ProbeKind, Resources, Role, Script
from watchdog.ports.probes import Reading, Readings
from watchdog.probes.neo4j_queries import TIMEOUT, column, reading
from watchdog.probes.postgres_queries import fetch_wrapped, observing, query_error
from watchdog.probes.queries import cypher_complaints, sql_complaints
from watchdog.probes.readings import check_script, single
from watchdog.targets.neo4j import Neo4jTarget
from watchdog.targets.postgres import PostgresTarget

Ids: TypeAlias = frozenset[str]
Direction: TypeAlias = Literal["both", "rows_without_node", "nodes_without_row"]

MAX_IDS: Final = 1_000_000


_SETTLE = Duration(1 * SECOND)


@dataclass(frozen=True, kw_only=True)
class CrossCheckOptions:
    """How the stores are compared.

    Attributes:
        graph: The role of the Neo4j target; the probe's own target is the PostgreSQL one.
        settle: How long writers get to finish what they have begun in one store only, before differing ids are read
            again.
        query_timeout: How long the Cypher query may take; for the SELECT it is the target's `statement_timeout`.
        max_ids: More ids than this in one store are refused, because they are compared in memory.
    """

    graph: Role
    settle: Duration = _SETTLE
    query_timeout: Duration = TIMEOUT
    max_ids: int = 200_000

    def __post_init__(self) -> None:
        if not 1 <= self.max_ids <= MAX_IDS:
            raise ValueError(f"max_ids must be from 1 to {MAX_IDS}")


@dataclass(frozen=True, kw_only=True)
class CrossCheckRead:
    """One comparison; its value is the number of ids without counterpart.

    Attributes:
        rows: A SELECT of one column of ids.
        nodes: A Cypher query that returns one column of ids. Ids are compared as text; nulls are left out.
        direction: Which ids count.
    """

    rows: Script
    nodes: Script
    direction: Direction = "both"

    def __post_init__(self) -> None:
        check_script(self.rows, "rows")
        check_script(self.nodes, "nodes")


@dataclass(frozen=True)
class Pair:
    """The ids of both stores."""

    rows: Ids
    nodes: Ids

    def unmatched(self, direction: Direction) -> Ids:
        """The ids without counterpart; an id is marked with the side that has it."""
        return {
            "rows_without_node": self._only_rows(),
            "nodes_without_row": self._only_nodes(),
            "both": self._only_rows() | self._only_nodes(),
        }[direction]

    def _only_rows(self) -> Ids:
        return frozenset(f"row {key}" for key in self.rows - self.nodes)

    def _only_nodes(self) -> Ids:
        return frozenset(f"node {key}" for key in self.nodes - self.rows)


class CrossCheckProbe:
    """Reads both stores, and what differs once more after `settle`. Ids leave this process in no form but a count."""

    def __init__(
        self,
        rows: PostgresTarget,
        nodes: Neo4jTarget,
        clock: Clock,
        options: CrossCheckOptions,
        reads: Mapping[str, CrossCheckRead],
    ) -> None:
        self._rows = rows
        self._nodes = nodes
        self._clock = clock
        self._options = options
        self._reads = reads

    async def read(self) -> Readings:
        """Every comparison; one that fails does not hide the others."""
        readings: dict[str, Mapping[Labels, Reading]] = {}
        differing: dict[str, Ids] = {}
        for name, answer in (await self._pass(self._reads)).items():
            if isinstance(answer, Missing):
                readings[name] = single(answer)
            elif not answer:
                readings[name] = single(0.0)
            else:
                differing[name] = answer
        if differing:
            await self._clock.sleep(self._options.settle)
            again = await self._pass({name: self._reads[name] for name in differing})
            for name, answer in again.items():
                still = answer if isinstance(answer, Missing) else float(len(differing[name] & answer))
                readings[name] = single(still)
        return readings

    async def _pass(self, reads: Mapping[str, CrossCheckRead]) -> dict[str, Ids | Missing]:
        """The unmatched ids of each signal now; scripts that several signals share are run once."""
        seen: dict[tuple[Script, Script], Pair | Missing] = {}
        answers: dict[str, Ids | Missing] = {}
        for name, read in reads.items():
            scripts = (read.rows, read.nodes)
            if scripts not in seen:
                seen[scripts] = await self._pair(*scripts)
            pair = seen[scripts]
            answers[name] = pair if isinstance(pair, Missing) else pair.unmatched(read.direction)
        return answers

    async def _pair(self, rows: Script, nodes: Script) -> Pair | Missing:
        try:
            return Pair(await self._row_ids(rows), await self._node_ids(nodes))
        except ProbeError as error:
            return Missing(error.cause, str(error))

    async def _row_ids(self, script: Script) -> Ids:
        limit = self._options.max_ids
        async with observing(self._rows) as connection:
            try:
                found = await fetch_wrapped(connection, "SELECT * FROM (", script, ") AS ids LIMIT $1", limit + 1)
            except psycopg.Error as error:
                if connection.broken:
                    raise
                raise query_error(self._rows.place, error) from error
        if found and len(found[0]) != 1:
            raise ProbeError(Cause.PROBE_BROKEN, f"{script.source or 'rows'} must return one column of ids")
        if len(found) > limit:
            raise _too_many(self._rows.place, limit)
        return frozenset(str(key) for (key,) in found if key is not None)

    async def _node_ids(self, script: Script) -> Ids:
        limit = self._options.max_ids
        found: set[str] = set()
        async with (
            reading(self._nodes) as session,
            aclosing(column(session, script, self._options.query_timeout)) as keys,
        ):
            async for key in keys:
                if key is not None:
                    found.add(str(key))
                if len(found) > limit:
                    raise _too_many(self._nodes.place, limit)
        return frozenset(found)


def _too_many(target: str, limit: int) -> ProbeError:
    return ProbeError(
        Cause.PROBE_BROKEN, f"target {target} has more than max_ids ({limit}) ids; raise it, or compare a part"
    )


def _complaints(read: CrossCheckRead) -> Iterator[str]:
    yield from sql_complaints(read.rows, "rows")
    yield from cypher_complaints(read.nodes, "nodes")


def _build(
    role: str, options: CrossCheckOptions, reads: Mapping[str, CrossCheckRead], resources: Resources
) -> CrossCheckProbe:
    rows = cast("PostgresTarget", resources.target(role))
    nodes = cast("Neo4jTarget", resources.target(options.graph))
    return CrossCheckProbe(rows, nodes, resources.clock, options, reads)


KIND: ProbeKind[CrossCheckOptions, CrossCheckRead] = ProbeKind(
    name="cross_check",
    options=CrossCheckOptions,
    read=CrossCheckRead,
    targets=("postgres",),
    signal_kind=lambda _read: SignalKind.CHECK,
    build=_build,
    complaints=_complaints,
)
