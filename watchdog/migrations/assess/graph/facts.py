"""What a graph says about the labels, types and indexes that a script touches."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import neo4j
from neo4j import exceptions

from watchdog.migrations.graph.views import quote

# A question that would read more than this long is left unanswered.
_SECONDS: Final = 5.0
_INDEXES: Final = (
    "SHOW INDEXES YIELD name, type, entityType, labelsOrTypes, properties, owningConstraint, readCount, state"
    " WHERE type <> 'LOOKUP' RETURN name, type, entityType = 'RELATIONSHIP', coalesce(labelsOrTypes, []),"
    " coalesce(properties, []), owningConstraint, coalesce(readCount, 0)"
)
_LIMIT: Final = "SHOW SETTINGS 'dbms.memory.transaction.total.max' YIELD value RETURN value"
_EDITION: Final = "CALL dbms.components() YIELD edition RETURN edition"
_UNITS: Final = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


@dataclass(frozen=True)
class Index:
    """An index; of a constraint when `constraint` has its name.

    Attributes:
        relationship: Whether it is on relationships.
        names: Labels or types.
        reads: How often queries used it since the server counts.
    """

    name: str
    type: str
    relationship: bool
    names: tuple[str, ...]
    properties: tuple[str, ...]
    constraint: str | None = None
    reads: int = 0


@dataclass(frozen=True)
class GraphFacts:
    """A graph, as far as a script touches it.

    Attributes:
        nodes: How many there are.
        relationships: How many there are.
        labels: How many nodes carry each label.
        degrees: How many relationships the nodes of each label have, at most.
        types: How many relationships of each type there are.
        lost: Labels and types with a property that some of them have; also those that could not be looked at in time.
        transaction_bytes: What all transactions together may take of the server's memory; 0 when not known.
        community: Whether the server lacks what only Enterprise has.
    """

    nodes: int = 0
    relationships: int = 0
    labels: Mapping[str, int] = field(default_factory=dict)
    degrees: Mapping[str, int] = field(default_factory=dict)
    types: Mapping[str, int] = field(default_factory=dict)
    indexes: tuple[Index, ...] = ()
    lost: frozenset[tuple[str, str]] = frozenset()
    transaction_bytes: int = 0
    community: bool = False

    def count(self, names: Iterable[str], *, relationship: bool) -> int:
        """How many nodes carry one of these labels, or relationships are of these types; all where none is named."""
        known = self.types if relationship else self.labels
        listed = list(names)
        if not listed:
            return self.relationships if relationship else self.nodes
        return sum(known.get(name, 0) for name in listed)


@dataclass(frozen=True)
class Asked:
    """What of a graph a script touches.

    Attributes:
        pairs: Labels or types, each with a property that is overwritten; whether they are types.
    """

    labels: frozenset[str]
    types: frozenset[str]
    pairs: frozenset[tuple[str, str, bool]]


async def look(session: neo4j.AsyncSession, asked: Asked) -> GraphFacts:
    """Asks the graph; counts come from its own counters, so that nothing is read whole.

    Raises:
        neo4j.exceptions.Neo4jError, neo4j.exceptions.DriverError: The server does not answer.
    """
    labels = {name: await _number(session, f"MATCH (n:{quote(name)}) RETURN count(n)") for name in asked.labels}
    types = {name: await _number(session, f"MATCH ()-[r:{quote(name)}]->() RETURN count(r)") for name in asked.types}
    degrees = {
        name: await _number(session, f"MATCH (:{quote(name)})-[r]->() RETURN count(r)")
        + await _number(session, f"MATCH ()-[r]->(:{quote(name)}) RETURN count(r)")
        for name in asked.labels
    }
    there = {(name, key) for name, key, tied in asked.pairs if await _has(session, name, key, relationship=tied)}
    indexes = [_index(*record.values()) async for record in await session.run(_INDEXES)]
    return GraphFacts(
        nodes=await _number(session, "MATCH (n) RETURN count(n)"),
        relationships=await _number(session, "MATCH ()-[r]->() RETURN count(r)"),
        labels=labels,
        degrees=degrees,
        types=types,
        indexes=tuple(indexes),
        lost=frozenset(there),
        transaction_bytes=_bytes(await _text(session, _LIMIT)),
        community=await _text(session, _EDITION) == "community",
    )


def _index(name: str, kind: str, *rest: Any) -> Index:
    relationship, names, properties, constraint, reads = rest
    return Index(name, kind, relationship, tuple(names), tuple(properties), constraint, reads)


async def breaking(session: neo4j.AsyncSession, label: str, properties: tuple[str, ...], *, unique: bool) -> int | None:
    """How many values stand in the way of a constraint on a label; None when that takes too long to find out."""
    node = f"MATCH (n:{quote(label)})"
    values = ", ".join(f"n.{quote(name)}" for name in properties)
    present = " AND ".join(f"n.{quote(name)} IS NOT NULL" for name in properties)
    if unique:
        query = f"{node} WHERE {present} WITH [{values}] AS v, count(*) AS times WHERE times > 1 RETURN count(*)"
    else:
        query = f"{node} WHERE NOT ({present}) RETURN count(*)"
    return await _bounded(session, query)


async def _has(session: neo4j.AsyncSession, name: str, key: str, *, relationship: bool) -> bool:
    pattern = f"()-[n:{quote(name)}]->()" if relationship else f"(n:{quote(name)})"
    query = f"MATCH {pattern} WHERE n.{quote(key)} IS NOT NULL WITH n LIMIT 1 RETURN count(n)"
    found = await _bounded(session, query)
    return found is None or found > 0


async def _bounded(session: neo4j.AsyncSession, query: str) -> int | None:
    try:
        async with await session.begin_transaction(timeout=_SECONDS) as transaction:
            record = await (await transaction.run(query)).single(strict=True)
            return int(record[0])
    except (exceptions.ClientError, exceptions.TransientError):
        return None


async def _number(session: neo4j.AsyncSession, query: str) -> int:
    record = await (await session.run(query)).single(strict=True)
    return int(record[0])


async def _text(session: neo4j.AsyncSession, query: str) -> str:
    """One value; empty when this user may not see it."""
    try:
        record = await (await session.run(query)).single()
    except exceptions.ClientError:
        return ""
    return str(record[0]) if record else ""


def _bytes(text: str) -> int:
    """`346.46MiB` in bytes; 0 for what is no size."""
    number = text.rstrip("BKMGTi")
    unit = text[len(number) :]
    return int(float(number) * _UNITS[unit]) if number and unit in _UNITS else 0
