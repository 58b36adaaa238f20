from hypothesis import given
from hypothesis import strategies as st

from watchdog.app.backtest.history import UNKNOWN_INTERVAL, Recorded, index_at, interval
from watchdog.model.signals import Sample, SignalId
from watchdog.model.time import SECOND


def samples(name: str, *seconds: int) -> list[Sample]:
    return [Sample(SignalId(name), second * SECOND, float(second)) for second in seconds]


def test_samples_in_any_order_become_moments() -> None:
    history = Recorded.of("made up", [*samples("a", 10, 5), *samples("b", 5)], [7 * SECOND])
    assert list(history.times) == [5 * SECOND, 7 * SECOND, 10 * SECOND]
    assert history.signals == {"a", "b"}
    assert [[one.signal.name for one in history.samples(index)] for index in range(3)] == [["a", "b"], [], ["a"]]


def test_the_usual_distance_is_not_misled_by_gaps() -> None:
    assert interval(Recorded.of("x", samples("a", 0, 5, 10, 15, 600, 605))) == 5 * SECOND
    assert interval(Recorded.of("x", samples("a", 5))) == UNKNOWN_INTERVAL


@given(st.lists(st.integers(0, 100), unique=True).map(sorted), st.integers(-5, 105))
def test_the_last_moment_at_or_before(times: list[int], at: int) -> None:
    before = [index for index, time in enumerate(times) if time <= at]
    assert index_at(times, at) == (before[-1] if before else -1)
