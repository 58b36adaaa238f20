import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.config.spans import parse_ratio, parse_span
from watchdog.model.time import HOUR, MILLISECOND, MINUTE, SECOND


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("250ms", 250 * MILLISECOND),
        ("30s", 30 * SECOND),
        ("5m", 5 * MINUTE),
        ("1h", HOUR),
        ("3d", 72 * HOUR),
        ("1h30m", 90 * MINUTE),
        ("0.1s", 100 * MILLISECOND),
        ("0s", 0),
    ],
)
def test_a_length_of_time_is_read_to_the_nanosecond(text: str, length: int) -> None:
    assert parse_span(text) == length


@pytest.mark.parametrize("text", ["", "5", "s", "-5s", "5 s", "5S", "5w", "1e3s", "٣s", "5s\n", "5s,", "99999999d"])
def test_anything_else_is_no_length_of_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a length|longer than"):
        parse_span(text)


@given(count=st.integers(0, 1_000_000), unit=st.sampled_from([("ms", MILLISECOND), ("s", SECOND), ("m", MINUTE)]))
def test_whole_numbers_are_exact(count: int, unit: tuple[str, int]) -> None:
    assert parse_span(f"{count}{unit[0]}") == count * unit[1]


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("0.05", 0.05), ("100%", 1.0), ("1", 1.0), ("0.5%", 0.005)])
def test_a_share_is_a_percentage_or_a_fraction(text: str, share: float) -> None:
    assert parse_ratio(text) == share


@pytest.mark.parametrize("text", ["", "%", "101%", "5", "-5%", "nan", "5 %", "1e-3"])
def test_anything_else_is_no_share(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a share|more than everything"):
        parse_ratio(text)
