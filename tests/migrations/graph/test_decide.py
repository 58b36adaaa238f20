from collections.abc import Mapping
from typing import Any

from watchdog.migrations.graph.archive import Entry
from watchdog.migrations.graph.changes import Kind
from watchdog.migrations.graph.decide import Decisions, GraphReport, decide
from watchdog.migrations.graph.values import Element


def entry(kind: Kind, then: Mapping[str, Any], now: Mapping[str, Any]) -> Entry:
    written = tuple(name for name in {**then, **now} if then.get(name) != now.get(name))
    mark = Element("1", ("A",), now).mark
    return Entry("node", kind, "1", mark, ("A",), written, {n: then[n] for n in written if n in then})


def decided(archived: Entry, live: Element | None) -> tuple[Decisions, GraphReport]:
    report = GraphReport(1)
    return decide([archived], {live.id: live} if live else {}, lambda _: frozenset(), report), report


def test_a_node_made_by_the_script_is_deleted_only_as_the_script_left_it() -> None:
    made = entry("created", {}, {"x": 1})
    assert decided(made, Element("1", ("A",), {"x": 1}))[0].deletes == [made]
    todo, report = decided(made, Element("1", ("A",), {"x": 1.0}))
    assert not todo.deletes
    assert (report.kept, report.deleted) == (1, 0)


def test_an_id_that_was_given_to_another_node_is_left_alone() -> None:
    changed = entry("changed", {"id": 1, "name": "a", "flag": False}, {"id": 1, "name": "a", "flag": True})
    todo, report = decided(changed, Element("1", ("A",), {"id": 8, "name": "b", "flag": True}))
    assert not todo.reverts
    assert report.archived == 1


def test_each_property_is_given_back_unless_users_wrote_it() -> None:
    changed = entry("changed", {"id": 1, "a": 1, "b": 1}, {"id": 1, "a": 2, "b": 2, "c": 2})
    todo, report = decided(changed, Element("1", ("A",), {"id": 1, "a": 2, "b": 9, "c": 2}))
    assert todo.reverts[0].values == {"a": 1, "c": None}
    assert todo.reverts[0].wanted.values == {"id": 1, "a": 1, "b": 9}
    assert report.kept == 1


def test_what_users_deleted_stays_deleted() -> None:
    todo, report = decided(entry("changed", {"a": 1}, {"a": 2}), None)
    assert todo == Decisions()
    assert report.gone == 1
