"""Copies a graph into a file."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import neo4j

from watchdog.migrations.graph.copying.files import Manifest, NewCopy, new_copy
from watchdog.migrations.graph.copying.lines import Place, node_line, relationship_line
from watchdog.migrations.graph.copying.tally import Tally, node_digest, relationship_digest
from watchdog.migrations.graph.schema import read_schema
from watchdog.migrations.graph.values import Element
from watchdog.migrations.graph.views import everything, fetch, is_ours
from watchdog.targets.neo4j import Neo4jTarget


@dataclass(frozen=True)
class Copied:
    """A copy that was written; `bytes` without its manifest."""

    manifest: Manifest
    bytes: int


@dataclass
class _Copying:
    """What of the graph is in the file.

    Attributes:
        places: Each node by its element id, with its hash.
        ours: Element ids of the watchdog's own nodes, which are left out.
    """

    out: NewCopy
    tally: Tally = field(default_factory=Tally)
    places: dict[str, tuple[Place, bytes]] = field(default_factory=dict)
    ours: set[str] = field(default_factory=set)

    def node(self, element: Element) -> None:
        """Writes a node."""
        if is_ours(element):
            self.ours.add(element.id)
            return
        place, digest = Place(str(len(self.places)), element.labels), node_digest(element)
        self.places[element.id] = place, digest
        self.tally.add(element, digest)
        self.out.write(node_line(place, element.values))

    def relationship(self, element: Element) -> bool:
        """Writes a relationship, if the nodes at its ends are there; whether it did."""
        start, end = (self.places.get(one) for one in element.ends or ("", ""))
        if start is None or end is None:
            return False
        self.tally.add(element, relationship_digest(element, start[1], end[1]))
        ends = start[0], end[0]
        self.out.write(relationship_line(str(self.out.lines), element.labels[0], ends, element.values))
        return True


async def save_graph(target: Neo4jTarget, path: Path) -> Copied:
    """Copies every node, relationship, index and constraint but the watchdog's own into a file of mode 0600.

    Writers go on: of what they do meanwhile some is in the copy and some is not, but no relationship without its ends.

    Raises:
        CopyFileError: The file cannot be written, or is there already.
        RefusedError: A value cannot be kept.
        TargetError: The graph does not answer or refuses the login.
    """
    with target.translated(), new_copy(path) as out:
        async with target.session(default_access_mode=neo4j.READ_ACCESS) as session:
            copying = _Copying(out)
            async for element in everything(session, "node"):
                copying.node(element)
            await _relationships(session, copying)
            manifest = out.finish(await read_schema(session), copying.tally)
    return Copied(manifest, out.bytes)


async def _relationships(session: neo4j.AsyncSession, copying: _Copying) -> None:
    late = [
        element
        async for element in everything(session, "relationship")
        if not copying.ours.intersection(element.ends or ()) and not copying.relationship(element)
    ]
    # Their ends were made while the nodes were read.
    missing = {one for element in late for one in element.ends or () if one not in copying.places}
    for element in (await fetch(session, "node", missing)).values():
        copying.node(element)
    for element in late:
        copying.relationship(element)


async def tally_graph(session: neo4j.AsyncSession) -> Tally:
    """Counts and hashes of a graph, without the watchdog's own."""
    tally, digests = Tally(), dict[str, bytes]()
    async for element in everything(session, "node"):
        if not is_ours(element):
            digests[element.id] = node_digest(element)
            tally.add(element, digests[element.id])
    async for element, start, end in _tied(session, digests):
        tally.add(element, relationship_digest(element, start, end))
    return tally


async def _tied(session: neo4j.AsyncSession, digests: dict[str, bytes]) -> AsyncIterator[tuple[Element, bytes, bytes]]:
    async for element in everything(session, "relationship"):
        start, end = (digests.get(one) for one in element.ends or ("", ""))
        if start is not None and end is not None:
            yield element, start, end
