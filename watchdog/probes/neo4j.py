"""What a Neo4j graph holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from watchdog.model.signals import SignalKind
from watchdog.ports.errors import ProbeError
from watchdog.ports.kinds import Duration, ProbeKind, Resources, Script
from watchdog.ports.probes import Readings
from watchdog.probes.neo4j_queries import TIMEOUT, query, reading
from watchdog.probes.readings import down, single
from watchdog.targets.neo4j import Neo4jTarget

Of: TypeAlias = Literal["reachable", "nodes", "relationships", "orphan_nodes"]


@dataclass(frozen=True, kw_only=True)
class Neo4jOptions:
    """How the questions are asked.

    Attributes:
        query_timeout: How long each may take.
    """

    query_timeout: Duration = TIMEOUT


@dataclass(frozen=True, kw_only=True)
class Neo4jRead:
    """Which number.

    Attributes:
        of: `reachable` (1 or 0); `nodes` (with `label`, or all); `relationships` (of `type`, or all); `orphan_nodes`:
            nodes with `label` that have no relationship, a check.
        label: A node's label.
        type: A relationship's type.
    """

    of: Of
    label: str = ""
    type: str = ""

    def __post_init__(self) -> None:
        if self.of == "orphan_nodes" and not self.label:
            raise ValueError("orphan_nodes needs label: the label of nodes that must have a relationship")
        if self.label and self.of not in {"nodes", "orphan_nodes"}:
            raise ValueError(f"label has no meaning for {self.of}")
        if self.type and self.of != "relationships":
            raise ValueError(f"type has no meaning for {self.of}")


def statement(read: Neo4jRead) -> str:
    """The Cypher for one number. Counts without a condition come from Neo4j's own counters and cost nothing."""
    label = f":{_quoted(read.label)}" if read.label else ""
    kind = f":{_quoted(read.type)}" if read.type else ""
    match read.of:
        case "reachable":
            return "RETURN 1"
        case "nodes":
            return f"MATCH (n{label}) RETURN count(n)"
        case "relationships":
            return f"MATCH ()-[r{kind}]->() RETURN count(r)"
        case "orphan_nodes":
            return f"MATCH (n{label}) WHERE NOT (n)--() RETURN count(n)"


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


class Neo4jProbe:
    """Reads every number in one session."""

    def __init__(self, target: Neo4jTarget, options: Neo4jOptions, reads: Mapping[str, Neo4jRead]) -> None:
        self._target = target
        self._options = options
        self._reads = reads

    async def read(self) -> Readings:
        """One query a number.

        Raises:
            ProbeError: The server does not answer (unless `reachable` was asked for) or refuses us.
        """
        values: dict[str, float] = {}
        try:
            async with reading(self._target) as session:
                for name, read in self._reads.items():
                    result = await session.run(query(Script(statement(read)), self._options.query_timeout))
                    [value] = await result.single(strict=True)
                    values[name] = float(value)
        except ProbeError as error:
            reachable = [name for name, read in self._reads.items() if read.of == "reachable"]
            return down(reachable, self._reads.keys() - set(reachable), error)
        return {name: single(value) for name, value in values.items()}


def _build(role: str, options: Neo4jOptions, reads: Mapping[str, Neo4jRead], resources: Resources) -> Neo4jProbe:
    return Neo4jProbe(cast("Neo4jTarget", resources.target(role)), options, reads)


KIND: ProbeKind[Neo4jOptions, Neo4jRead] = ProbeKind(
    name="neo4j",
    options=Neo4jOptions,
    read=Neo4jRead,
    targets=("neo4j",),
    signal_kind=lambda read: SignalKind.CHECK if read.of == "orphan_nodes" else SignalKind.GAUGE,
    build=_build,
)
