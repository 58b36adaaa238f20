"""What a script overwrote, as nodes `(:WatchdogArchive)` whose properties are Cypher values, so nothing loses its type.

A property `before.x` holds what `x` was; the hashes of what the script left tell whether users wrote since.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import neo4j

from watchdog.migrations.graph.changes import Change, Kind
from watchdog.migrations.graph.values import Element, Mark
from watchdog.migrations.graph.views import Runner, Sort, batched, fetch, run

_BEFORE = "before."
_WRITE = "UNWIND $rows AS row CREATE (a:WatchdogArchive) SET a = row"
_READ = "MATCH (a:WatchdogArchive {run: $run, phase: $phase}) WHERE a.sort <> 'schema' RETURN properties(a)"


@dataclass(frozen=True)
class Entry:
    """One element in the archive.

    Attributes:
        id: Its element id just after the script; before it, of what was deleted.
        mark: What it was at that time.
        written: The properties that the script changed; of what was created or deleted, all.
        values: What those properties were before; those that were not there are left out.
        ends: Of a relationship, the element ids of its start and end.
        end_marks: Of a deleted relationship, what its ends were just after the script, where they were there.
    """

    sort: Sort
    kind: Kind
    id: str
    mark: Mark
    labels_before: tuple[str, ...]
    written: tuple[str, ...]
    values: Mapping[str, Any]
    ends: tuple[str, str] | None = None
    end_marks: tuple[Mark | None, Mark | None] = (None, None)


async def keep(inside: neo4j.AsyncTransaction, number: int, phase: int, found: list[Change]) -> None:
    """Writes changes into the archive."""
    lost_ends = {one for change in found if change.kind == "deleted" for one in change.element.ends or ()}
    ends = await fetch(inside, "node", lost_ends)
    rows = [{"run": number, "phase": phase, **_row(change, ends)} for change in found]
    for batch in batched(rows):
        await run(inside, _WRITE, rows=batch)


async def entries(runner: Runner, number: int, phase: int) -> AsyncIterator[Entry]:
    """What a phase of a run did."""
    async for (row,) in await runner.run(_READ, {"run": number, "phase": phase}):
        yield _entry(row)


def _row(change: Change, ends: Mapping[str, Element]) -> dict[str, Any]:
    element = change.element
    row: dict[str, Any] = {
        "sort": "node" if element.ends is None else "relationship",
        "kind": change.kind,
        "element": element.id,
    }
    if change.after:
        row["mark"] = element.mark.text
    if change.kind == "changed":
        row["written"] = list(change.written)
    if change.before:
        row["labels_before"] = list(change.before.labels)
        row |= {_BEFORE + name: change.before.values.get(name) for name in change.written}
    if element.ends:
        row["start"], row["end"] = element.ends
        for name in ("start", "end"):
            if change.kind == "deleted" and (node := ends.get(row[name])):
                row[f"{name}_mark"] = node.mark.text
    return row


def _entry(row: Mapping[str, Any]) -> Entry:
    labels = tuple(row.get("labels_before", ()))
    values = {name.removeprefix(_BEFORE): value for name, value in row.items() if name.startswith(_BEFORE)}
    mark = _mark(row.get("mark")) or Element("", labels, values).mark
    return Entry(
        row["sort"],
        row["kind"],
        row["element"],
        mark,
        labels,
        tuple(row.get("written", mark.values)),
        values,
        (row["start"], row["end"]) if "start" in row else None,
        (_mark(row.get("start_mark")), _mark(row.get("end_mark"))),
    )


def _mark(text: str | None) -> Mark | None:
    return Mark.read(text) if text else None
