import math

from hypothesis import given
from hypothesis import strategies as st

from watchdog.cli.chart import BLOCKS, GAP, marks, sparkline


def test_a_rise_is_a_rise() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == BLOCKS
    assert sparkline([0, 7], top=14) == "▁▅"
    assert sparkline([-1, 0, 1]) == "▁▅█"


def test_gaps_are_shown_and_flat_lines_lie_at_the_bottom() -> None:
    assert sparkline([0, math.nan, 0]) == f"▁{GAP}▁"
    assert sparkline([]) == ""
    assert sparkline([math.nan]) == GAP


def test_where_values_share_a_column_the_highest_is_shown() -> None:
    assert sparkline([0, 9, 0, 0, 0, 0], width=2) == "█▁"


def test_marks_stand_below_their_column() -> None:
    values = [0.0] * 100
    values[50] = 1
    line = sparkline(values, 20)
    assert marks([(50, "^")], 100, 20).index("^") == line.index("█")
    assert marks([], 100, 20) == ""
    assert marks([(99, "^")], 100, 20) == " " * 19 + "^"


@given(st.lists(st.floats(allow_infinity=False, width=32), max_size=300), st.integers(1, 80))
def test_a_chart_is_never_wider_than_asked_for(values: list[float], width: int) -> None:
    line = sparkline(values, width)
    assert len(line) == min(len(values), width)
    assert set(line) <= {*BLOCKS, GAP}


@given(st.integers(1, 300), st.integers(1, 80), st.data())
def test_every_mark_is_below_its_value(count: int, width: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, count - 1))
    values = [0.0] * count
    values[index] = 1.0
    assert marks([(index, "^")], count, width).index("^") == sparkline(values, width).index("█")
