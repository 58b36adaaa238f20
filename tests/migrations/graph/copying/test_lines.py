import math

import pytest
from neo4j.spatial import CartesianPoint, WGS84Point
from neo4j.time import Date, DateTime, Duration, Time

from watchdog.migrations.graph.copying.lines import Place, node_line, read_line, relationship_line
from watchdog.migrations.graph.values import digest
from watchdog.migrations.session import RefusedError

VALUES = {
    "bool": True,
    "int": 2**63 - 1,
    "float": 1.0,
    "nan": math.inf,
    "text": 'ä"\n\u2028\\',
    "bytes": b"\x00\xff",
    "date": Date(2025, 1, 8),
    "time": Time.from_iso_format("10:00:00.000000001+01:00"),
    "datetime": DateTime.from_iso_format("2025-01-08T10:00:00.000000001+05:45"),
    "local": DateTime.from_iso_format("2025-01-08T10:00:00"),
    "duration": Duration(months=14, days=-3, seconds=4, nanoseconds=5),
    "place": WGS84Point((1.5, -2.5, 3.0)),
    "spot": CartesianPoint((1.0, 2.0)),
    "dates": [Date(2025, 1, 8), Date(1, 1, 1)],
    "numbers": [1.5, math.nan],
    "places": [WGS84Point((1.0, 2.0))],
    "none": [],
}


def test_a_node_is_read_as_it_was_written() -> None:
    line = read_line(node_line(Place("7", ("A", "B c")), VALUES))
    assert (line.id, line.labels, line.ends) == ("7", ("A", "B c"), None)
    assert {name: digest(value) for name, value in line.values.items()} == {
        name: digest(value) for name, value in VALUES.items()
    }


def test_a_relationship_names_its_ends() -> None:
    text = relationship_line("9", "KNOWS", (Place("1", ("A",)), Place("2", ())), {"since": 3})
    assert text.count("\n") == 1
    line = read_line(text)
    assert (line.labels, line.ends, line.values) == (("KNOWS",), ("1", "2"), {"since": 3})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"type": "node"}',
        '{"type":"node","id":"1","labels":[],"properties":{"x":"secret"},"types":{"x":"date"}}',
        '{"type":"node","id":"1","labels":[],"properties":{"x":"secret"},"types":{"x":"colour"}}',
        '{"type":"node","id":"1","labels":[],"properties":{"x":"1 2 3"},"types":{"x":"point"}}',
    ],
)
def test_what_is_no_element_is_said_without_its_values(text: str) -> None:
    with pytest.raises(ValueError, match="it is no node and no relationship") as wrong:
        read_line(text)
    assert "secret" not in str(wrong.value)


def test_a_value_without_a_form_is_refused() -> None:
    with pytest.raises(RefusedError, match="cannot be kept"):
        node_line(Place("1", ()), {"x": object()})
