"""What a script did to a graph, element by element, and whether that is all of it."""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import neo4j

from watchdog.migrations.graph.values import Element

Kind = Literal["created", "changed", "deleted"]

_COUNTED = (
    "nodes_created",
    "nodes_deleted",
    "relationships_created",
    "relationships_deleted",
    "labels_added",
    "labels_removed",
    "properties_set",
)


@dataclass(frozen=True)
class Change:
    """One node or relationship that the script created, changed or deleted."""

    before: Element | None
    after: Element | None

    @property
    def element(self) -> Element:
        """As it is after the script, or as it was when it is gone."""
        found = self.after or self.before
        assert found is not None  # noqa: S101 - a change has one of both
        return found

    @property
    def kind(self) -> Kind:
        """What happened to it."""
        if self.before is None:
            return "created"
        return "deleted" if self.after is None else "changed"

    @property
    def written(self) -> tuple[str, ...]:
        """The properties that differ; all of them when there is only one side."""
        before = self.before.mark.values if self.before else {}
        after = self.after.mark.values if self.after else {}
        return tuple(sorted(name for name in {*before, *after} if before.get(name) != after.get(name)))


def counted(counters: neo4j.SummaryCounters) -> Counter[str]:
    """What the server says that a statement did."""
    return Counter({name: getattr(counters, name) for name in _COUNTED})


def seen(change: Change) -> Counter[str]:
    """What a change adds to the same counters."""
    kind = "nodes" if change.element.ends is None else "relationships"
    found: Counter[str] = Counter()
    if change.kind != "changed":
        found[f"{kind}_{change.kind}"] += 1
    if change.after:
        found["properties_set"] += len(change.written)
        if kind == "nodes":
            before = set(change.before.labels) if change.before else set()
            found["labels_added"] += len(set(change.after.labels) - before)
            found["labels_removed"] += len(before - set(change.after.labels))
    return found


def is_all(server: Counter[str], ours: Counter[str]) -> bool:
    """Whether we saw all that the server counted.

    We never see more than there is, and the server never counts less: so equal numbers are proof. They may differ
    though nothing is missing, when a script writes a value that was there or writes one twice.
    """
    return all(server[name] == ours[name] for name in _COUNTED)


def is_all_but_repeats(server: Counter[str], ours: Counter[str]) -> bool:
    """Whether we saw all elements and labels; values that were written though they were there may be more."""
    repeats = server["properties_set"] >= ours["properties_set"]
    return repeats and all(server[name] == ours[name] for name in _COUNTED if name != "properties_set")


def is_balanced(server: Counter[str], ours: Counter[str]) -> bool:
    """Whether as many elements came and went as the server says; what the script made and deleted itself cancels."""
    return all(
        server[f"{kind}_created"] - server[f"{kind}_deleted"] == ours[f"{kind}_created"] - ours[f"{kind}_deleted"]
        for kind in ("nodes", "relationships")
    )
