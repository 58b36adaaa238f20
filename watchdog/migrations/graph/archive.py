"""What a script overwrote, as nodes `(:WatchdogArchive)` whose properties are Cypher values, so nothing loses its type.

A property `before.x` holds what `x` was; the hashes of what the script left tell whether users wrote since.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import neo4j

from watchdog.migrations.graph.changes import Change, Kind
from watchdog.migrations.graph.values import Element, Mark, told_apart
from watchdog.migrations.graph.views import Runner, Sort, batched, fetch, run, zoned

_BEFORE = "before."
_WRITE = "UNWIND $rows AS row CREATE (a:WatchdogArchive) SET a = row"
# The planner is told which index, since it plans while the archive is empty: any other reads all of it for each row.
# All is found before anything is set: a new id may be another's old one.
_RENAME = (
    "UNWIND $rows AS row MATCH (a:WatchdogArchive {{{name}: row.old}}) USING INDEX a:WatchdogArchive({name})"
    " WHERE (a.run < $run OR a.run = $run AND a.phase < $phase) AND a.sort <> 'schema'"
    " WITH collect([a, row.new]) AS found UNWIND found AS one WITH one[0] AS a, one[1] AS new SET a.{name} = new"
)
_KNOWN = (
    "UNWIND $old AS old MATCH (a:WatchdogArchive {{{name}: old}}) USING INDEX a:WatchdogArchive({name})"
    " WHERE a.run < $run OR a.run = $run AND a.phase < $phase RETURN DISTINCT old"
)
_GONE = "gone"
_READ = (
    "MATCH (a:WatchdogArchive {run: $run, phase: $phase}) USING INDEX a:WatchdogArchive(run, phase)"
    f" WHERE a.sort <> 'schema' RETURN properties(a), {zoned('a')}"
)


@dataclass(frozen=True)
class Entry:
    """One element in the archive.

    Attributes:
        id: Its element id just after the script; of what was deleted, a name that nothing else ever has.
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


async def keep(
    outside: neo4j.AsyncSession, inside: neo4j.AsyncTransaction, number: int, phase: int, found: list[Change]
) -> None:
    """Writes changes into the archive."""
    lost_ends = {one for change in found if change.kind == "deleted" for one in change.element.ends or ()}
    ends = await fetch(inside, "node", lost_ends)
    # The server gives the ids of what is deleted to others.
    gone = {one: _gone(number, phase, one) for one in lost_ends - ends.keys()}
    gone |= {change.element.id: _gone(number, phase, change.element.id) for change in found if not change.after}
    rows = [{"run": number, "phase": phase, **_row(change, ends, gone)} for change in found]
    for batch in batched(rows):
        await run(inside, _WRITE, rows=batch)
    await rename(outside, inside, number, phase, gone)


def is_gone(one: str) -> bool:
    """Whether this is what a deleted element is called, and no element id."""
    return one.startswith(_GONE)


def _gone(number: int, phase: int, one: str) -> str:
    return f"{_GONE} {number}.{phase} {one}"


async def rename(
    outside: neo4j.AsyncSession, inside: neo4j.AsyncTransaction, number: int, phase: int, new: Mapping[str, str]
) -> None:
    """Has everything that was archived before a phase follow elements that are called otherwise now.

    Args:
        outside: Tells which are known: looking for each inside goes through all that the transaction wrote.
    """
    for name in ("element", "start", "end"):
        rows = list[dict[str, str]]()
        for old in batched(new):
            known = await outside.run(_KNOWN.format(name=name), {"run": number, "phase": phase, "old": old})
            rows += [{"old": one, "new": new[one]} async for (one,) in known]
        if rows:
            await run(inside, _RENAME.format(name=name), run=number, phase=phase, rows=rows)


async def entries(runner: Runner, number: int, phase: int) -> AsyncIterator[Entry]:
    """What a phase of a run did."""
    async for row, in_zone in await runner.run(_READ, {"run": number, "phase": phase}):
        yield _entry(told_apart(row, in_zone))


def _row(change: Change, ends: Mapping[str, Element], gone: Mapping[str, str]) -> dict[str, Any]:
    element = change.element
    row: dict[str, Any] = {
        "sort": "node" if element.ends is None else "relationship",
        "kind": change.kind,
        "element": gone.get(element.id, element.id),
    }
    if change.after:
        row["mark"] = element.mark.text
    if change.kind == "changed":
        row["written"] = list(change.written)
    if change.before:
        row["labels_before"] = list(change.before.labels)
        row |= {_BEFORE + name: change.before.values.get(name) for name in change.written}
    if element.ends:
        for name, end in zip(("start", "end"), element.ends, strict=True):
            row[name] = gone.get(end, end)
            if change.kind == "deleted" and (node := ends.get(end)):
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
