"""What a graph holds, as counts of hashes, so that a rehearsal can compare it before and after."""

import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import neo4j

from watchdog.targets.neo4j import Neo4jTarget

_OURS = "Watchdog"
"""Labels of our own nodes begin with it: fences, receipts, runs, archives."""

_NODES = "MATCH (n) RETURN elementId(n), labels(n), properties(n)"
_RELATIONSHIPS = "MATCH (a)-[r]->(b) RETURN elementId(a), type(r), properties(r), elementId(b)"
_KEPT = (
    "MATCH (b) WHERE $label IN labels(b) AND b.id = $id OPTIONAL MATCH (b)-->(kept)"
    " UNWIND [elementId(b), elementId(kept)] AS one WITH DISTINCT one WHERE one IS NOT NULL RETURN one"
)


@dataclass(frozen=True)
class BackupPoint:
    """A node that keeps what a step overwrites, with everything that it points to."""

    label: str
    id: str


@dataclass(frozen=True)
class GraphCopy:
    """The scratch copy of a graph.

    Attributes:
        backups: What may stay behind after the rollback.
    """

    target: Neo4jTarget
    backups: tuple[BackupPoint, ...] = ()


@dataclass
class GraphState:
    """Every node by its labels and every relationship by its type; our own bookkeeping is left out.

    Attributes:
        elements: How often each hash is there.
        kept: The part of it that belongs to backup points.
    """

    elements: dict[str, Counter[str]] = field(default_factory=dict)
    kept: dict[str, Counter[str]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many nodes and relationships there are."""
        return sum(counts.total() for counts in self.elements.values())

    def add(self, kind: str, digest: str, *, kept: bool) -> None:
        """Counts one node or relationship."""
        self.elements.setdefault(kind, Counter())[digest] += 1
        if kept:
            self.kept.setdefault(kind, Counter())[digest] += 1


async def graph_state(graph: GraphCopy) -> GraphState:
    """Reads the whole graph, one record at a time.

    Raises:
        TargetError: It cannot be read.
    """
    state = GraphState()
    digests: dict[str, str] = {}
    with graph.target.translated():
        async with graph.target.session(default_access_mode=neo4j.READ_ACCESS) as session:
            kept = {
                element
                for backup in graph.backups
                async for (element,) in _records(session, _KEPT, label=backup.label, id=backup.id)
            }
            async for element, labels, properties in _records(session, _NODES):
                if not any(label.startswith(_OURS) for label in labels):
                    kind = f"nodes :{':'.join(sorted(labels))}" if labels else "nodes without label"
                    digests[element] = _digest(sorted(labels), properties)
                    state.add(kind, digests[element], kept=element in kept)
            async for start, name, properties, end in _records(session, _RELATIONSHIPS):
                if start in digests and end in digests:
                    digest = _digest(digests[start], name, properties, digests[end])
                    state.add(f"relationships :{name}", digest, kept=start in kept or end in kept)
    return state


def graph_findings(name: str, before: GraphState, after: GraphState) -> list[str]:
    """What is not as before; of what is new, only backup points and what they keep are excused."""
    found: list[str] = []
    for kind in sorted({*before.elements, *after.elements}):
        then, now = before.elements.get(kind, Counter()), after.elements.get(kind, Counter())
        lost = (then - now).total()
        new = ((now - then) - after.kept.get(kind, Counter())).total()
        if lost:
            found.append(f"{name}: {lost} earlier {kind} are gone or changed")
        if new:
            found.append(f"{name}: {new} {kind} are new or changed, left behind by the rollback")
    return found


async def _records(session: neo4j.AsyncSession, query: str, **parameters: Any) -> AsyncIterator[Sequence[Any]]:
    async for record in await session.run(query, **parameters):
        yield record.values()


def _digest(*parts: str | Sequence[str] | Mapping[str, Any]) -> str:
    text = json.dumps(parts, sort_keys=True, default=lambda value: [type(value).__name__, str(value)])
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]
