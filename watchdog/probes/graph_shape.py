"""Whether the relationships of a Neo4j graph are as they must be: none missing, none too many, as many as ever."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, cast

import neo4j
from neo4j import exceptions

from watchdog.migrations.graph.views import quote
from watchdog.model.signals import Cause, Labels, Missing, SignalKind
from watchdog.ports.kinds import Duration, ProbeKind, Resources, Script
from watchdog.ports.probes import Reading, Readings
from watchdog.probes.neo4j_queries import TIMEOUT, graph_error, query, reading
from watchdog.probes.readings import MAX_COUNT, single
from watchdog.targets.neo4j import Neo4jTarget

Of: TypeAlias = Literal["missing_relationships", "wrong_cardinality", "duplicate_relationships", "per_node"]
Direction: TypeAlias = Literal["out", "in", "both"]

MOST: Final = 1_000_000_000
_ARROWS: Final[Mapping[Direction, tuple[str, str]]] = {"out": ("-", "->"), "in": ("<-", "-"), "both": ("-", "-")}


@dataclass(frozen=True, kw_only=True)
class GraphShapeOptions:
    """How the questions are asked.

    Attributes:
        query_timeout: How long each may take. All but `per_node` look at every node of the label.
    """

    query_timeout: Duration = TIMEOUT


@dataclass(frozen=True, kw_only=True)
class GraphShapeRead:
    """Which number; checks count up to 10,000 violations.

    Attributes:
        of: Checks: `missing_relationships` (nodes without any), `wrong_cardinality` (nodes with fewer than `least` or
            more than `most`), `duplicate_relationships` (pairs of nodes that are joined more than once). A gauge:
            `per_node`, how many a node has in the mean, whose drift a rule of kind gauge sees.
        label: Of the nodes that are looked at.
        type: Of the relationships.
        direction: Seen from those nodes.
        to: Label of the nodes at the other end; any when empty.
    """

    of: Of
    label: str
    type: str
    direction: Direction = "out"
    to: str = ""
    least: int = 0
    most: int = MOST

    def __post_init__(self) -> None:
        if not self.label or not self.type:
            raise ValueError("label and type must name the nodes and their relationships")
        if self.of != "wrong_cardinality" and (self.least, self.most) != (0, MOST):
            raise ValueError(f"least and most have no meaning for {self.of}")
        if self.of == "wrong_cardinality" and (self.least, self.most) == (0, MOST):
            raise ValueError("wrong_cardinality needs least or most: how many relationships a node must have")
        if not 0 <= self.least <= self.most:
            raise ValueError("least must be from 0 to most")


def statement(read: GraphShapeRead) -> str:
    """The Cypher for one number."""
    before, after = _ARROWS[read.direction]
    node = f"(n:{quote(read.label)})"
    other = f"(:{quote(read.to)})" if read.to else "()"
    pattern = f"(n){before}[:{quote(read.type)}]{after}{other}"
    counted = f"WITH n LIMIT {MAX_COUNT} RETURN count(n)"
    match read.of:
        case "missing_relationships":
            return f"MATCH {node} WHERE NOT EXISTS {{ {pattern} }} {counted}"
        case "wrong_cardinality":
            held = f"WITH n, COUNT {{ {pattern} }} AS held WHERE held < {read.least} OR held > {read.most}"
            return f"MATCH {node} {held} {counted}"
        case "duplicate_relationships":
            end = f"(m:{quote(read.to)})" if read.to else "(m)"
            pairs = f"MATCH {node}{before}[r:{quote(read.type)}]{after}{end} WITH n, m, count(r) AS times"
            return f"{pairs} WHERE times > 1 {counted}"
        case "per_node":
            return f"MATCH {node} RETURN avg(toFloat(COUNT {{ {pattern} }}))"


class GraphShapeProbe:
    """Asks one question after the other in one reading session."""

    def __init__(self, target: Neo4jTarget, options: GraphShapeOptions, reads: Mapping[str, GraphShapeRead]) -> None:
        self._target = target
        self._options = options
        self._reads = reads

    async def read(self) -> Readings:
        """Every number; one that fails does not hide the others.

        Raises:
            ProbeError: The server does not answer.
        """
        readings: dict[str, Mapping[Labels, Reading]] = {}
        async with reading(self._target) as session:
            for name, read in self._reads.items():
                readings[name] = single(await self._number(session, read))
        return readings

    async def _number(self, session: neo4j.AsyncSession, read: GraphShapeRead) -> Reading:
        try:
            result = await session.run(query(Script(statement(read)), self._options.query_timeout))
            [value] = await result.single(strict=True)
        except exceptions.Neo4jError as error:
            problem = graph_error(self._target, error)
            return Missing(problem.cause, str(problem))
        if value is None:
            return Missing(Cause.NO_TRAFFIC, f"target {self._target.place}: there is no node :{read.label}")
        return float(value)


def _build(
    role: str, options: GraphShapeOptions, reads: Mapping[str, GraphShapeRead], resources: Resources
) -> GraphShapeProbe:
    return GraphShapeProbe(cast("Neo4jTarget", resources.target(role)), options, reads)


KIND: ProbeKind[GraphShapeOptions, GraphShapeRead] = ProbeKind(
    name="graph_shape",
    options=GraphShapeOptions,
    read=GraphShapeRead,
    targets=("neo4j",),
    signal_kind=lambda read: SignalKind.GAUGE if read.of == "per_node" else SignalKind.CHECK,
    build=_build,
)
