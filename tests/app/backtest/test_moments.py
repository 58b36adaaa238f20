import pytest

from watchdog.app.backtest.moments import parse_moment, parse_moment_or_span
from watchdog.model.time import MILLISECOND, MINUTE, SECOND

AT = 1_736_328_600 * SECOND


@pytest.mark.parametrize(
    "text",
    [
        "2025-01-08T09:30:00Z",
        "2025-01-08T10:30:00+01:00",
        "2025-01-08 09:30:00",
        "1736328600",
        "1736328600.000",
        "1736328600000",
        "1736328600000000",
        "1736328600000000000",
    ],
)
def test_one_moment_is_written_in_many_ways(text: str) -> None:
    assert parse_moment(text) == AT


def test_parts_of_a_second_are_kept_exactly() -> None:
    assert parse_moment("1736328600.001") == AT + MILLISECOND
    assert parse_moment("2025-01-08T09:30:00.001Z") == AT + MILLISECOND


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "-5",
        "1e9",
        "NaN",
        "0x10",
        "9" * 20,
        "9999-01-01",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "25:00",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is "):
        parse_moment(text)


def test_a_length_is_counted_from_the_beginning() -> None:
    assert parse_moment_or_span("10m30s", AT) == AT + 10 * MINUTE + 30 * SECOND
    assert parse_moment_or_span("2025-01-08T09:30:00Z", 0) == AT
    with pytest.raises(ValueError, match="is not a length of time"):
        parse_moment_or_span("1.2.3m", AT)
