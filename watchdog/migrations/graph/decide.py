"""What to do with each archived element, from what it was, what the script left and what is there now. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from watchdog.migrations.graph.archive import Entry
from watchdog.migrations.graph.values import Element

Keys = Callable[[tuple[str, ...]], frozenset[str]]
"""The properties that tell nodes of some labels apart."""


@dataclass
class GraphReport:
    """What a rollback did, in nodes and relationships.

    Attributes:
        restored: Put back: made again, or their earlier properties and labels given back.
        deleted: Made by the script, untouched since, and gone.
        kept: As users left them, wholly or in some property.
        archived: Only in the archive: there is no place for them any more.
        gone: Users deleted them since; they stay deleted.
        reasons: How many there are of each case that was not simply put back, in a few words.
    """

    run: int
    restored: int = 0
    deleted: int = 0
    kept: int = 0
    archived: int = 0
    gone: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def keep(self, reason: str, count: int = 1) -> None:
        """Counts what stays as users left it."""
        self.kept += count
        self.note(reason, count)

    def archive(self, reason: str) -> None:
        """Counts what stays in the archive."""
        self.archived += 1
        self.note(reason)

    def note(self, reason: str, count: int = 1) -> None:
        """Counts a case."""
        self.reasons[reason] = self.reasons.get(reason, 0) + count

    def add(self, other: "GraphReport") -> None:
        """Counts what another phase of the same run did."""
        for name in ("restored", "deleted", "kept", "archived", "gone"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for reason, count in other.reasons.items():
            self.note(reason, count)


@dataclass(frozen=True)
class Revert:
    """Properties and labels of one element to give back.

    Attributes:
        values: What the properties were; None where there was none.
    """

    now: Element
    values: Mapping[str, Any]
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()

    @property
    def wanted(self) -> Element:
        """The element afterwards."""
        values = {**self.now.values, **self.values}
        labels = (set(self.now.labels) - set(self.remove)) | set(self.add)
        there = {name: value for name, value in values.items() if value is not None}
        return Element(self.now.id, tuple(sorted(labels)), there, self.now.ends)


@dataclass
class Decisions:
    """What a rollback has to do, if nothing stands in its way."""

    deletes: list[Entry] = field(default_factory=list)
    reverts: list[Revert] = field(default_factory=list)
    revives: list[Entry] = field(default_factory=list)


def decide(entries: Iterable[Entry], live: Mapping[str, Element], keys: Keys, report: GraphReport) -> Decisions:
    """Decides for each element of a phase.

    Args:
        live: What is there now, by element id.
    """
    found = Decisions()
    for entry in entries:
        now = live.get(entry.id)
        if entry.kind == "deleted":
            found.revives.append(entry)
        elif now is None:
            report.gone += 1
            report.note("deleted by users since")
        elif entry.kind == "created":
            if now.mark == entry.mark and now.ends == entry.ends:
                found.deletes.append(entry)
            else:
                report.keep("made by the script and changed by users since")
        elif not _is_same(entry, now, keys):
            report.archive("its place was taken by something else since")
        elif revert := _revert(entry, now, report):
            found.reverts.append(revert)
    return found


def _is_same(entry: Entry, now: Element, keys: Keys) -> bool:
    if entry.ends is not None:
        return now.ends == entry.ends and now.labels == entry.mark.labels
    return entry.mark.is_same(now.mark, keys(entry.mark.labels), entry.written)


def _revert(entry: Entry, now: Element, report: GraphReport) -> Revert | None:
    """What of an element is still the script's."""
    script, live = entry.mark.values, now.mark.values
    mine = {name: entry.values.get(name) for name in entry.written if live.get(name) == script.get(name)}
    if len(mine) < len(entry.written):
        report.keep("a property that users changed since")
    if entry.ends is not None:
        return Revert(now, mine) if mine else None
    before, after, labels = set(entry.labels_before), set(entry.mark.labels), set(now.labels)
    add, remove = before - after - labels, (after - before) & labels
    if mine or add or remove:
        return Revert(now, mine, tuple(sorted(add)), tuple(sorted(remove)))
    return None
