"""A graph as two see it: from inside the script's open transaction, and from outside, where it is still as before.

Neo4j lets a reader see what is committed, and whatever the script wrote is locked until its transaction ends. So what
is outside of a written element is exactly what the script overwrote, however busy the writers are.
"""

import re
from collections.abc import AsyncIterator, Collection, Iterable
from itertools import islice
from typing import Any, Literal, TypeAlias, TypeVar

import neo4j

from watchdog.migrations.graph.changes import Change
from watchdog.migrations.graph.values import Element, fingerprint, told_apart

Runner: TypeAlias = neo4j.AsyncSession | neo4j.AsyncTransaction
Sort: TypeAlias = Literal["node", "relationship"]
T = TypeVar("T")

OURS = "Watchdog"
BATCH = 1_000


def zoned(name: str) -> str:
    """Which properties hold a time in the time zone UTC, which the driver takes for one at Z; as Cypher."""
    return f"[k IN keys({name}) WHERE toStringOrNull({name}[k]) ENDS WITH 'Z[UTC]' | k]"


_NODE = "RETURN elementId(n), labels(n), properties(n)"
_RELATIONSHIP = "RETURN elementId(r), [type(r)], properties(r), elementId(startNode(r)), elementId(endNode(r))"
_SORTS = {
    "node": ("(n)", "n", _NODE.removeprefix("RETURN ")),
    "relationship": ("()-[r]->()", "r", _RELATIONSHIP.removeprefix("RETURN ")),
}
# Only where elements are is kept of each in the server, a few dozen bytes.
_MOST_IN_MEMORY = 1_000_000
# Removing what is not there takes the write lock and leaves no trace.
_LOCK = {
    "node": "MATCH (n) WHERE elementId(n) IN $ids REMOVE n.watchdog_lock",
    "relationship": "MATCH ()-[r]->() WHERE elementId(r) IN $ids REMOVE r.watchdog_lock",
}
_FETCH = {
    "node": f"MATCH (n) WHERE elementId(n) IN $ids {_NODE}, {zoned('n')}",
    "relationship": f"MATCH ()-[r]->() WHERE elementId(r) IN $ids {_RELATIONSHIP}, {zoned('r')}",
}
_SIZES = ("MATCH (n) RETURN count(n)", "MATCH ()-[r]->() RETURN count(r)")
_AT_ONCE = 200_000
_BY_THOUSANDS = f"UNWIND range(0, size(rows) - 1, {BATCH}) AS i RETURN rows[i..i + {BATCH}]"
_NAMES = {"node": "CALL db.labels()", "relationship": "CALL db.relationshipTypes()"}
_MENTIONED = re.compile(r"[:|&!]\s*(?:`((?:[^`]|``)+)`|(\w+))")


def quote(name: str) -> str:
    """A label, type or property as Cypher."""
    return "`" + name.replace("`", "``") + "`"


def mentioned(script: str) -> frozenset[str]:
    """Every name in a script that may be a label or a type, and some that are none."""
    return frozenset(quoted.replace("``", "`") or plain for quoted, plain in _MENTIONED.findall(script))


def batched(items: Iterable[T], size: int = BATCH) -> Iterable[list[T]]:
    """The items in lists of a size."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def is_ours(element: Element) -> bool:
    """Whether a node is the watchdog's own."""
    return element.ends is None and any(label.startswith(OURS) for label in element.labels)


async def run(runner: Runner, query: str, **parameters: Any) -> neo4j.ResultSummary:
    """Runs a statement to its end."""
    return await (await runner.run(query, parameters)).consume()


async def fetch(runner: Runner, sort: Sort, ids: Collection[str]) -> dict[str, Element]:
    """Nodes or relationships by their ids, those that are there."""
    found: dict[str, Element] = {}
    for batch in batched(ids):
        async for element in _elements(runner, _FETCH[sort], ids=batch):
            found[element.id] = element
    return found


async def everything(runner: Runner, sort: Sort) -> AsyncIterator[Element]:
    """Every node or every relationship."""
    pattern, name, columns = _SORTS[sort]
    sizes = [count for size in _SIZES async for (count,) in await runner.run(size)]
    if sum(sizes) > _MOST_IN_MEMORY:
        async for element in _elements(runner, f"MATCH {pattern} RETURN {columns}, {zoned(name)}"):
            yield element
        return
    # A record costs the driver more than what is in it.
    lists = f"[{name} IN found[i..i + {BATCH}] | [{columns}, {zoned(name)}]]"
    query = (
        f"MATCH {pattern} WITH collect({name}) AS found UNWIND range(0, size(found) - 1, {BATCH}) AS i RETURN {lists}"
    )
    async for (rows,) in await runner.run(query):
        for row in rows:
            yield _element(row)


async def lock(transaction: neo4j.AsyncTransaction, sort: Sort, ids: Collection[str]) -> None:
    """Keeps others from changing or deleting elements until the transaction ends."""
    for batch in batched(ids):
        await run(transaction, _LOCK[sort], ids=batch)


async def changes(
    outside: neo4j.AsyncSession, inside: neo4j.AsyncTransaction, sort: Sort, names: frozenset[str] | None
) -> AsyncIterator[list[Change]]:
    """What a transaction changed so far, in batches.

    Args:
        names: Labels and types to look at; None for the whole graph.
    """
    known = names if names is None else names & (await _known(inside, sort) | await _known(outside, sort))
    if known is not None and not known:
        return
    query = _scan(sort, known)
    then = {one: what async for one, what in _prints(outside, query)}
    suspects = [one async for one, what in _prints(inside, query) if then.pop(one, None) != what]
    suspects.extend(then)
    async for batch in differences(outside, inside, sort, suspects):
        yield batch


async def differences(
    outside: neo4j.AsyncSession, inside: neo4j.AsyncTransaction, sort: Sort, suspects: Iterable[str]
) -> AsyncIterator[list[Change]]:
    """What a transaction changed of some elements, in batches."""
    for ids in batched(suspects):
        # Others write too: once we hold the lock on what is there, a difference can only be the script's.
        await lock(inside, sort, ids)
        before, after = await fetch(outside, sort, ids), await fetch(inside, sort, ids)
        both = ((before.get(one), after.get(one)) for one in ids)
        yield [Change(*pair) for pair in both if any(pair) and not _equal(*pair)]


async def _known(runner: Runner, sort: Sort) -> set[str]:
    return {name async for (name,) in await runner.run(_NAMES[sort])}


def _equal(before: Element | None, after: Element | None) -> bool:
    return before is not None and after is not None and before.hash == after.hash


def _scan(sort: Sort, names: frozenset[str] | None) -> str:
    if names is None:
        return f"MATCH (n) {_NODE}" if sort == "node" else f"MATCH ()-[r]->() {_RELATIONSHIP}"
    listed = "|".join(map(quote, sorted(names)))
    if sort == "node":
        return f"MATCH (n:{listed}) {_NODE}"
    return f"MATCH ()-[r:{listed}]->() {_RELATIONSHIP}"


async def _prints(runner: Runner, query: str) -> AsyncIterator[tuple[str, bytes]]:
    """Each element's id, and a hash of all that it is."""
    # A record costs the driver more than what is in it: small graphs come a thousand elements at a time.
    sizes = [count for size in _SIZES async for (count,) in await runner.run(size)]
    if sum(sizes) > _AT_ONCE:
        async for record in await runner.run(query):
            one, *rest = record.values()
            yield one, fingerprint(rest)
        return
    head, _, columns = query.partition(" RETURN ")
    async for (rows,) in await runner.run(f"{head} WITH collect([{columns}]) AS rows {_BY_THOUSANDS}"):
        for one, *rest in rows:
            yield one, fingerprint(rest)


async def _elements(runner: Runner, query: str, **parameters: Any) -> AsyncIterator[Element]:
    async for record in await runner.run(query, parameters):
        yield _element(record.values())


def _element(row: list[Any]) -> Element:
    one, labels, values, *ends, in_zone = row
    plain = told_apart(values, in_zone)
    return Element(one, tuple(sorted(labels)), plain, (ends[0], ends[1]) if ends else None)
