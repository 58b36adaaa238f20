"""Carries out what was decided for one data phase, inside one transaction, and looks whether it came true."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import neo4j

from watchdog.migrations.graph.archive import Entry, entries, is_gone, rename
from watchdog.migrations.graph.decide import Decisions, GraphReport, Keys, Revert, decide
from watchdog.migrations.graph.runs import Stand
from watchdog.migrations.graph.schema import read_keys
from watchdog.migrations.graph.values import Element, Mark
from watchdog.migrations.graph.views import Sort, batched, fetch, lock, quote, run
from watchdog.migrations.session import RefusedError

_SET: dict[Sort, str] = {
    "node": "UNWIND $rows AS row MATCH (n) WHERE elementId(n) = row.id SET n += row.values",
    "relationship": "UNWIND $rows AS row MATCH ()-[r]->() WHERE elementId(r) = row.id SET r += row.values",
}
_DELETE: dict[Sort, str] = {
    "node": "MATCH (n) WHERE elementId(n) IN $ids DELETE n",
    "relationship": "MATCH ()-[r]->() WHERE elementId(r) IN $ids DELETE r",
}
_TIED = "MATCH (n) WHERE elementId(n) IN $ids AND EXISTS { (n)--() } RETURN elementId(n), COUNT { (n)--() }"


@dataclass
class _Restoring:
    """One data phase on its way back.

    Attributes:
        expected: What each element must be before the commit, by its id now; None where it must be gone.
        new: The new id of each element that was made again.
    """

    inside: neo4j.AsyncTransaction
    number: int
    phase: int
    report: GraphReport
    keys: tuple[tuple[str, tuple[str, ...]], ...] = ()
    live: dict[str, Element] = field(default_factory=dict)
    expected: dict[Sort, dict[str, Mark | None]] = field(default_factory=lambda: {"node": {}, "relationship": {}})
    new: dict[str, str] = field(default_factory=dict)


async def restore(
    outside: neo4j.AsyncSession, inside: neo4j.AsyncTransaction, stand: Stand, phase: int, report: GraphReport
) -> None:
    """Takes one data phase of a run back; the caller commits.

    Raises:
        RefusedError: The graph would not be as before, or the archive is not whole.
    """
    work = _Restoring(inside, stand.run, phase, report, await read_keys(inside))
    archived = [entry async for entry in entries(inside, stand.run, phase)]
    if len(archived) != stand.archived[phase]:
        raise RefusedError((f"the archive has {len(archived)} of {stand.archived[phase]} elements of run {stand.run}",))
    await _look(work, archived)
    todo = decide(archived, work.live, _keys(work), report)
    await _make_way(work, todo)
    await _revert(work, todo.reverts)
    await _revive_nodes(work, [entry for entry in todo.revives if entry.sort == "node"])
    await _revive_relationships(work, [entry for entry in todo.revives if entry.sort == "relationship"])
    await _verify(work)
    await rename(outside, inside, stand.run, phase, work.new)


def _keys(work: _Restoring) -> Keys:
    def keys(labels: tuple[str, ...]) -> frozenset[str]:
        return frozenset(name for label, names in work.keys if label in labels for name in names)

    return keys


async def _look(work: _Restoring, archived: list[Entry]) -> None:
    """Reads what is there now, after it was locked, so that it stays so."""
    ends = {end for entry in archived if entry.kind == "deleted" for end in entry.ends or ()}
    for sort in ("node", "relationship"):
        mine = {entry.id for entry in archived if entry.sort == sort} | (ends if sort == "node" else set())
        ids = {one for one in mine if not is_gone(one)}
        await lock(work.inside, sort, ids)
        work.live |= await fetch(work.inside, sort, ids)


async def _make_way(work: _Restoring, todo: Decisions) -> None:
    """Deletes what the script made, unless users tied something to it, and empties what will be given back."""
    made = {sort: [entry.id for entry in todo.deletes if entry.sort == sort] for sort in work.expected}
    await _delete(work, "relationship", made["relationship"])
    tied: dict[str, int] = {}
    for ids in batched(made["node"]):
        tied |= {one: count async for one, count in await work.inside.run(_TIED, {"ids": ids})}
    if tied:
        work.report.keep("a node that the script made and users tied relationships to", len(tied))
        work.report.note("relationships of users on nodes that the script made", sum(tied.values()))
    await _delete(work, "node", [one for one in made["node"] if one not in tied])
    # Values that two nodes exchanged would else meet under a unique constraint.
    await _set(work, [(each.now, dict.fromkeys(each.values)) for each in todo.reverts])
    for each in todo.reverts:
        await _label(work, [each.now.id], remove=each.remove)


async def _delete(work: _Restoring, sort: Sort, ids: list[str]) -> None:
    for batch in batched(ids):
        await run(work.inside, _DELETE[sort], ids=batch)
    work.expected[sort] |= dict.fromkeys(ids)
    work.report.deleted += len(ids)


async def _revert(work: _Restoring, reverts: list[Revert]) -> None:
    nodes = [each for each in reverts if each.now.ends is None]
    taken = await _taken(work, [each.wanted for each in nodes])
    done: list[Revert] = []
    labelled: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for each in reverts:
        if each.now.id in taken:
            work.report.keep("its earlier value is taken by what users wrote since")
            work.expected["node"][each.now.id] = each.now.mark
            await _label(work, [each.now.id], add=each.remove)
            await _set(work, [(each.now, {name: each.now.values.get(name) for name in each.values})])
        else:
            done.append(each)
            labelled[each.add].append(each.now.id)
            work.expected["node" if each.now.ends is None else "relationship"][each.now.id] = each.wanted.mark
    await _set(work, [(each.now, each.values) for each in done])
    for labels, ids in labelled.items():
        await _label(work, ids, add=labels)
    work.report.restored += len(done)


async def _revive_nodes(work: _Restoring, lost: list[Entry]) -> None:
    taken = await _taken(work, [Element(entry.id, entry.labels_before, entry.values) for entry in lost])
    groups: dict[tuple[str, ...], list[Entry]] = defaultdict(list)
    for entry in lost:
        if entry.id in taken:
            work.report.archive("deleted by the script and made anew by users since")
        else:
            groups[entry.labels_before].append(entry)
    for labels, group in groups.items():
        await _made(work, f"CREATE (n{_labels(labels)}) SET n = row.values RETURN row.id, elementId(n)", group, {})


async def _revive_relationships(work: _Restoring, lost: list[Entry]) -> None:
    groups: dict[str, list[Entry]] = defaultdict(list)
    places: dict[str, tuple[str, str]] = {}
    for entry in lost:
        assert entry.ends is not None  # noqa: S101 - a relationship has ends
        start, end = (_end(work, *each) for each in zip(entry.ends, entry.end_marks, strict=True))
        if start is None or end is None:
            work.report.archive("a relationship whose start or end is gone")
        else:
            places[entry.id] = (start, end)
            groups[entry.labels_before[0]].append(entry)
    for name, group in groups.items():
        query = (
            "MATCH (a) WHERE elementId(a) = row.start MATCH (b) WHERE elementId(b) = row.end"
            f" CREATE (a)-[r:{quote(name)}]->(b) SET r = row.values RETURN row.id, elementId(r)"
        )
        await _made(work, query, group, places)


def _end(work: _Restoring, old: str, then: Mark | None) -> str | None:
    """Where a relationship ends now; None when that node is gone, or its id belongs to another one."""
    if old in work.new:
        return work.new[old]
    now = work.live.get(old)
    keys = _keys(work)(then.labels) if then else ()
    return old if now and then and then.is_same(now.mark, keys) else None


async def _made(work: _Restoring, query: str, group: list[Entry], places: Mapping[str, tuple[str, str]]) -> None:
    by_id = {entry.id: entry for entry in group}
    for batch in batched(group):
        rows = []
        for entry in batch:
            start, end = places.get(entry.id, ("", ""))
            rows.append({"id": entry.id, "values": dict(entry.values), "start": start, "end": end})
        result = await work.inside.run(f"UNWIND $rows AS row {query}", {"rows": rows})
        async for old, new in result:
            work.new[old] = new
            work.expected[by_id[old].sort][new] = by_id[old].mark
    if missing := by_id.keys() - work.new.keys():
        raise RefusedError((f"{len(missing)} elements could not be made again",))
    work.report.restored += len(group)


async def _taken(work: _Restoring, wanted: Iterable[Element]) -> set[str]:
    """Which nodes cannot be as wanted, because users gave what tells nodes apart to others."""
    nodes, taken = list(wanted), set[str]()
    for label, names in work.keys:
        rows = [
            {"id": node.id, "values": [node.values[name] for name in names]}
            for node in nodes
            if label in node.labels and all(name in node.values for name in names)
        ]
        equal = " AND ".join(f"n.{quote(name)} = row.values[{place}]" for place, name in enumerate(names))
        query = f"UNWIND $rows AS row MATCH (n:{quote(label)}) WHERE {equal} AND elementId(n) <> row.id RETURN row.id"
        for batch in batched(rows):
            taken |= {one async for (one,) in await work.inside.run(query, {"rows": batch})}
    return taken


async def _set(work: _Restoring, rows: list[tuple[Element, Mapping[str, Any]]]) -> None:
    for sort, query in _SET.items():
        chosen = [
            {"id": element.id, "values": dict(values)}
            for element, values in rows
            if values and (element.ends is None) == (sort == "node")
        ]
        for batch in batched(chosen):
            await run(work.inside, query, rows=batch)


async def _label(work: _Restoring, ids: list[str], *, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> None:
    for word, labels in (("SET", add), ("REMOVE", remove)):
        if labels:
            query = f"MATCH (n) WHERE elementId(n) IN $ids {word} n{_labels(labels)}"
            for batch in batched(ids):
                await run(work.inside, query, ids=batch)


def _labels(labels: tuple[str, ...]) -> str:
    return "".join(f":{quote(label)}" for label in labels)


async def _verify(work: _Restoring) -> None:
    """Whether everything is as decided; else nothing may be committed."""
    wrong = 0
    for sort, expected in work.expected.items():
        there = await fetch(work.inside, sort, expected.keys())
        wrong += sum((there[one].mark if one in there else None) != mark for one, mark in expected.items())
    if wrong:
        raise RefusedError((f"{wrong} nodes and relationships would not be as before",))
