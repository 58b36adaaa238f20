import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.app.backtest.series import MOST_VALUES, parse_series, parse_values
from watchdog.model.signals import Cause, Missing, SignalId


@pytest.mark.parametrize(
    ("text", "name", "labels"),
    [
        ("errors", "errors", ()),
        ("errors{}", "errors", ()),
        ('errors{status="500"}', "errors", (("status", "500"),)),
        (' errors { b = "2" , a="1", } ', "errors", (("a", "1"), ("b", "2"))),
        ('errors{path="/a,b}",quote="\\""}', "errors", (("path", "/a,b}"), ("quote", '"'))),
    ],
)
def test_a_series_is_named_as_prometheus_names_it(text: str, name: str, labels: tuple[tuple[str, str], ...]) -> None:
    assert parse_series(text) == SignalId(name, labels)


@pytest.mark.parametrize(
    "text", ["", "5xx", "a b", "a{", "a{b}", 'a{b="1" c="2"}', 'a{b="1",b="2"}', "a{b=1}", 'a{="1"}']
)
def test_what_names_no_series_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="write "):
        parse_series(text)


@given(st.dictionaries(st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True), st.text(max_size=12), max_size=4))
def test_whatever_a_label_holds_comes_back(labels: dict[str, str]) -> None:
    pairs = tuple(sorted(labels.items()))
    escaped = {key: value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") for key, value in pairs}
    written = "x{" + ",".join(f'{key}="{value}"' for key, value in escaped.items()) + "}"
    if "\r" not in written and all(value == value.strip("\x85") for value in labels.values()):
        assert parse_series(written) == SignalId("x", pairs)


def test_values_are_written_shortly() -> None:
    assert parse_values("1 2.5 -3 1e3") == [1.0, 2.5, -3.0, 1000.0]
    assert parse_values("0+10x3 5-2x2 7x2") == [0, 10, 20, 30, 5, 3, 1, 7, 7, 7]
    assert parse_values("") == []


def test_gaps_say_what_they_are() -> None:
    nothing, *two, stale, broken = parse_values("_ _x2 stale broken")
    assert (nothing, two) == (None, [None, None])
    assert isinstance(stale, Missing)
    assert stale.cause is Cause.UNREACHABLE
    assert isinstance(broken, Missing)
    assert broken.cause is Cause.PROBE_BROKEN
    assert len(parse_values("stalex5")) == 5


@pytest.mark.parametrize(
    "text", ["NaN", "1+", "1+2", "x3", "0+1xx3", "1..2", "0x9999999", "inf", "0+1e308x100", "gone"]
)
def test_what_is_no_value_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="has "):
        parse_values(f"5 {text}")


def test_endless_series_are_refused() -> None:
    with pytest.raises(ValueError, match=f"more than {MOST_VALUES} values"):
        parse_values(f"0x{MOST_VALUES - 1} 1")
