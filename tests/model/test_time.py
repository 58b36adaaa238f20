import pytest

from watchdog.model.time import HOUR, MINUTE, SECOND, in_seconds, say_span, span


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (0, "0.0 s"),
        (SECOND // 10, "0.1 s"),
        (42 * SECOND, "42 s"),
        (119 * SECOND, "119 s"),
        (2 * MINUTE, "2 min"),
        (200 * SECOND, "3 min 20 s"),
        (2 * HOUR, "2 h"),
        (2 * HOUR + 5 * MINUTE, "2 h 5 min"),
    ],
)
def test_a_span_is_said_as_people_say_it(length: int, said: str) -> None:
    assert say_span(length) == said


def test_spans_are_whole_nanoseconds() -> None:
    assert span(0.1) == 100_000_000
    assert in_seconds(1_500_000_000) == pytest.approx(1.5)
