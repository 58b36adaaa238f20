from typing import Any

import pytest
from neo4j.spatial import CartesianPoint, WGS84Point
from neo4j.time import Date, DateTime, Duration, Time

from watchdog.migrations.graph.values import Element, Mark, digest

VALUES: list[Any] = [
    *(1, 1.0, True, "1", "True", b"1", [], [1], [1.0], ["1"], [True], ["a", "b"], ["ab"], [["a"], "b"]),
    *(0.0, -0.0, float("nan"), float("inf"), "", 2**63 - 1),
    *(Date(2024, 1, 2), "2024-01-02", Time(1, 2, 3), DateTime(2024, 1, 2, 3), [Date(2024, 1, 2)]),
    *(Duration(months=1), Duration(days=30), Duration(seconds=1), Duration(nanoseconds=1)),
    *(CartesianPoint((1.0, 2.0)), CartesianPoint((1.0, 2.0, 3.0)), WGS84Point((1.0, 2.0))),
]


def test_values_that_differ_in_anything_have_other_hashes() -> None:
    assert len({digest(value) for value in VALUES}) == len(VALUES)


@pytest.mark.parametrize("value", [float("nan"), b"x", Duration(1, 2, 3, 4), ["a"], Date(2024, 1, 2)])
def test_the_same_value_has_the_same_hash(value: object) -> None:
    assert digest(value) == digest(value)


def test_a_mark_is_read_as_it_was_written() -> None:
    mark = Element("4:x:1", ("A", "B"), {"name": "ü", "n": 1}).mark
    assert Mark.read(mark.text) == mark


def same(then: Element, now: Element, keys: tuple[str, ...] = (), changed: tuple[str, ...] = ()) -> bool:
    return then.mark.is_same(now.mark, keys, changed)


def test_a_node_that_users_changed_is_known_by_its_key() -> None:
    then = Element("1", ("A",), {"id": 1, "x": 1, "y": 1, "z": 1})
    assert same(then, Element("1", ("A",), {"id": 1}), keys=("id",))
    assert not same(then, Element("1", ("A",), {"id": 2, "x": 1, "y": 1, "z": 1}), keys=("id",))


def test_without_a_key_it_is_known_by_a_label_and_most_of_what_the_script_did_not_write() -> None:
    then = Element("1", ("A",), {"id": 1, "x": 1, "flag": True})
    assert same(then, Element("1", ("A", "B"), {"id": 1, "x": 2, "flag": False}), changed=("flag",))
    assert not same(then, Element("1", ("A",), {"id": 9, "x": 9, "flag": True}), changed=("flag",))
    assert not same(then, Element("1", ("B",), {"id": 1, "x": 1, "flag": True}))
