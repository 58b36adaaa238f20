import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.series import T0, at, histogram, read, signal, windows
from watchdog.engine.windows import (
    DEFAULT_AGE,
    SeriesWindow,
    Windows,
    absence,
    age,
    empty,
    is_swapping,
    levels,
    observe,
    observe_all,
    rise,
    select,
    spread,
)
from watchdog.model.signals import Cause, Histogram, Missing, Sample, Selector, SignalId, SignalKind
from watchdog.model.time import MINUTE, SECOND

COUNTER = signal("c")
GAUGE = signal("g", SignalKind.GAUGE)
LATENCY = signal("l", SignalKind.DISTRIBUTION)
SPECS = (COUNTER, GAUGE, LATENCY)
C, G, L = Selector("c"), Selector("g"), Selector("l")


def only(made: Windows, name: str) -> SeriesWindow:
    (series,) = made.series[name].values()
    return series


def amount(made: Windows, since: int, until: int) -> float | None:
    found = rise(made, C, since, until)
    return None if found is None else found.amount


def test_a_rise_is_what_was_added_between_two_samples() -> None:
    made = windows(SPECS, read("c", [10, 12, 17, 17]))
    found = rise(made, C, at(0), at(15))
    assert found is not None
    assert (found.amount, found.since, found.until, found.points) == (7, at(0), at(15), 3)


def test_a_rise_begins_at_the_sample_before_and_a_strict_one_after() -> None:
    made = windows(SPECS, read("c", [0, 5, 10]))
    assert amount(made, at(3), at(10)) == 10
    strict = rise(made, C, at(3), at(10), strict=True)
    assert strict is not None
    assert (strict.amount, strict.since) == (5, at(5))
    exactly = rise(made, C, at(5), at(10), strict=True)
    assert exactly is not None
    assert exactly.since == at(5)


def test_one_sample_or_none_has_no_rise() -> None:
    assert rise(windows(SPECS), C, at(0), at(10)) is None
    assert rise(windows(SPECS, read("c", [3])), C, at(0), at(10)) is None
    assert rise(windows(SPECS, read("c", [3, 4])), C, at(6), at(10), strict=True) is None


def test_what_happened_while_nobody_looked_is_not_recent() -> None:
    before, after = read("c", [0, 0]), read("c", [900, 901, 902], start=at(600))
    made = windows(SPECS, before, after)
    assert amount(made, at(590), at(610)) == 2
    assert amount(made, at(0), at(610)) == 902


def test_the_series_of_a_selector_are_added_up() -> None:
    made = windows(
        SPECS,
        read("c", [0, 3], labels=(("code", "500"), ("path", "/a"))),
        read("c", [0, 4], labels=(("code", "502"), ("path", "/a"))),
        read("c", [7], labels=(("code", "503"), ("path", "/a"))),
    )
    assert amount(made, at(0), at(5)) == 7
    one = rise(made, Selector("c", (("code", "502"),)), at(0), at(5))
    assert one is not None
    assert one.amount == 4
    assert [labels for labels, _ in select(made, Selector("c", (("path", "/b"),)))] == []


def test_a_reset_counts_what_is_shown_since() -> None:
    assert amount(windows(SPECS, read("c", [100, 110, 4, 6])), at(0), at(15)) == 16


def test_a_distribution_is_reset_as_soon_as_one_bucket_falls() -> None:
    made = windows(SPECS, read("l", [histogram(8, 9, 10), histogram(1, 5, 12), histogram(2, 6, 14)]))
    found = spread(made, L, at(0), at(10))
    assert found is not None
    assert list(found[0][0].counts) == [2, 6, 14]
    assert found[1].amount == 14


def test_a_gauge_is_not_taken_for_a_counter() -> None:
    made = windows(SPECS, read("g", [5, -3, 4]))
    assert levels(made, G, at(-1), at(10)) == ((at(0), 5), (at(5), -3), (at(10), 4))
    assert levels(made, G, at(0), at(5)) == ((at(5), -3),)


def test_gauges_are_summed_by_time_over_their_labels() -> None:
    made = windows(SPECS, read("g", [1, 2], labels=(("pod", "a"),)), read("g", [10, 20], labels=(("pod", "b"),)))
    assert levels(made, G, at(-1), at(5)) == ((at(0), 11), (at(5), 22))


def test_a_late_sample_is_sorted_in_and_a_second_of_one_instant_is_dropped() -> None:
    late = read("c", [5], start=at(5))
    made = windows(SPECS, read("c", [0]), read("c", [9], start=at(10)), late, read("c", [99], start=at(10)))
    assert only(made, "c").times == (at(0), at(5), at(10))
    assert amount(made, at(0), at(10)) == 9


def test_a_late_sample_from_before_the_first_one_is_sorted_in_too() -> None:
    made = windows(SPECS, read("c", [9], start=at(10)), read("c", [2], start=at(5)))
    assert amount(made, at(5), at(10)) == 7


def test_a_late_sample_that_is_too_old_is_let_go() -> None:
    made = windows(SPECS, read("c", [0]), read("c", [9], start=at(100)), read("c", [5], start=at(40)), keep=50 * SECOND)
    assert only(made, "c").times == (at(40), at(100))
    again = observe(made, Sample(SignalId("c"), at(10), 1.0))
    assert only(again, "c").times == (at(40), at(100))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0, histogram(1, 2, 3)])
def test_what_is_no_reading_of_a_counter_changes_nothing(value: float | Histogram) -> None:
    before = windows(SPECS, read("c", [1, 2]))
    assert amount(observe(before, Sample(SignalId("c"), at(10), value)), at(0), at(20)) == 1


@pytest.mark.parametrize("value", [3.0, histogram(), histogram(1, 2), histogram(1, math.nan, 3), histogram(-1, 2, 3)])
def test_what_is_no_reading_of_a_distribution_changes_nothing(value: float | Histogram) -> None:
    before = windows(SPECS, read("l", [histogram(0, 0, 0), histogram(1, 2, 3)]))
    found = spread(observe(before, Sample(SignalId("l"), at(10), value)), L, at(0), at(20))
    assert found is not None
    assert list(found[0][0].counts) == [1, 2, 3]


def test_a_signal_that_nobody_declared_changes_nothing() -> None:
    before = windows(SPECS)
    assert observe(before, Sample(SignalId("other"), T0, 1.0)) is before


def test_new_buckets_begin_a_new_series() -> None:
    other = (0.2, math.inf)
    made = windows(
        SPECS,
        read("l", [histogram(1, 1, 1), histogram(5, 5, 5)]),
        read("l", [histogram(100, 100, bounds=other), histogram(101, 103, bounds=other)], start=at(10)),
        read("l", [histogram(6, 6, 6)], start=at(7)),
    )
    found = spread(made, L, at(0), at(20))
    assert found is not None
    assert [one.bounds for one in found[0]] == [other]
    assert list(found[0][0].counts) == [1, 3]


def test_series_of_one_shape_are_one_distribution_and_those_of_another_are_counted_too() -> None:
    other = (0.2, math.inf)
    made = windows(
        SPECS,
        read("l", [histogram(0, 0, 0), histogram(1, 2, 3)], labels=(("route", "a"),)),
        read("l", [histogram(0, 0, 0), histogram(4, 4, 4)], labels=(("route", "b"),)),
        read("l", [histogram(0, 0, bounds=other), histogram(7, 7, bounds=other)], labels=(("route", "c"),)),
        read("l", [histogram(0, 0, 0)], labels=(("route", "d"),)),
    )
    found = spread(made, L, at(0), at(5))
    assert found is not None
    assert [list(one.counts) for one in found[0]] == [[5, 6, 7], [7, 7]]
    assert found[1].amount == 14
    assert spread(made, L, at(1), at(4), strict=True) is None


def test_a_fresh_value_is_not_absent_and_an_old_one_says_its_age() -> None:
    made = windows(SPECS, read("c", [1]))
    assert absence(made, C, at(20), 21 * SECOND) is None
    assert absence(made, C, at(40), 21 * SECOND) == 40 * SECOND
    assert absence(made, G, at(40), 21 * SECOND) == at(40)


def test_a_reading_that_failed_speaks_for_every_series_until_the_next_value() -> None:
    down = Missing(Cause.UNREACHABLE, "refused")
    labels = (("pod", "a"),)
    made = windows(SPECS, read("c", [1], labels=labels), read("c", [down], start=at(5)))
    assert absence(made, C, at(6), MINUTE) == down
    assert list(made.series["c"]) == [labels]
    back = windows(SPECS, read("c", [1], labels=labels), read("c", [down], start=at(5)), read("c", [2], start=at(10)))
    assert absence(back, C, at(11), MINUTE) is None


def test_a_reading_that_failed_before_any_value_is_known() -> None:
    down = Missing(Cause.UNREACHABLE)
    made = windows(SPECS, read("c", [down]), read("c", [Missing(Cause.PROBE_BROKEN)], start=at(-5)))
    assert absence(made, C, at(1), MINUTE) == down


def test_a_value_that_comes_late_does_not_hide_a_later_failure() -> None:
    down = Missing(Cause.UNREACHABLE)
    made = windows(SPECS, read("c", [1]), read("c", [down], start=at(10)), read("c", [2], start=at(5)))
    assert absence(made, C, at(11), MINUTE) == down


def test_labels_that_nothing_names_any_more_are_forgotten() -> None:
    made = windows(SPECS, read("c", [1, 2], labels=(("pod", "old"),)), keep=MINUTE)
    made = observe_all(made, read("c", [5, 6], start=at(120), labels=(("pod", "new"),)))
    assert list(made.series["c"]) == [(("pod", "new"),)]


def test_the_age_of_a_signal_is_some_of_its_intervals() -> None:
    made = empty([signal("slow", every=30 * SECOND)], MINUTE)
    assert age(made, "slow") == 121 * SECOND
    assert age(made, "unknown") == DEFAULT_AGE


values = st.one_of(st.integers(0, 1000).map(float), st.sampled_from([math.nan, math.inf, -math.inf, -4.0]))
missing = st.sampled_from(Cause).map(Missing)
shapes = st.sampled_from([(0.1, 0.5, math.inf), (0.2, math.inf), ()])
histograms = st.builds(
    lambda bounds, counts: Histogram(bounds, tuple(counts), 0.0), shapes, st.lists(values, min_size=0, max_size=4)
)
labels = st.sampled_from([(), (("pod", "a"),), (("pod", "a"), ("route", "/"))])
any_sample = st.builds(
    Sample,
    st.builds(SignalId, st.sampled_from(["c", "g", "l", "other"]), labels),
    st.integers(0, 400).map(at),
    st.one_of(values, missing, histograms),
)


@settings(max_examples=200, deadline=None)
@given(
    samples=st.lists(any_sample, max_size=60),
    start=st.integers(-10, 450),
    length=st.integers(0, 450),
    strict=st.booleans(),
)
def test_no_reading_breaks_a_window_and_no_rise_is_negative(
    samples: list[Sample], start: int, length: int, *, strict: bool
) -> None:
    made = windows(SPECS, samples, keep=2 * MINUTE)
    since, until = at(start), at(start + length)
    found = rise(made, C, since, until, strict=strict)
    assert found is None or (found.amount >= 0 and found.until <= until and found.since < found.until)
    whole = spread(made, L, since, until, strict=strict)
    assert whole is None or min(count for one in whole[0] for count in one.counts) >= 0
    assert whole is None or whole[1].amount == sum(one.count for one in whole[0])
    assert all(since < time <= until for time, _ in levels(made, G, since, until))
    for selector in (C, G, L):
        absence(made, selector, until, MINUTE)


@settings(max_examples=200, deadline=None)
@given(st.lists(any_sample, max_size=60))
def test_samples_one_by_one_and_all_at_once_make_the_same_windows(samples: list[Sample]) -> None:
    one_by_one = windows(SPECS, keep=10 * MINUTE)
    for sample in samples:
        one_by_one = observe(one_by_one, sample)
    assert one_by_one == windows(SPECS, samples, keep=10 * MINUTE)


def seen(made: Windows) -> list[object]:
    """What can be asked of windows, whatever the order in which they were filled."""
    series = [(key, one.times, one.raws) for group in made.series.values() for key, one in group.items()]
    rises = [rise(made, C, at(since), at(until)) for since in range(0, 400, 40) for until in range(since, 400, 40)]
    return [sorted(series), rises, [absence(made, selector, at(400), MINUTE) for selector in (C, G, L)]]


unique_times = st.lists(st.integers(0, 400), unique=True, min_size=1, max_size=30)


@settings(max_examples=150, deadline=None)
@given(unique_times, st.data())
def test_the_order_in_which_samples_arrive_does_not_matter(times: Sequence[int], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["c", "g"]))
    reading = st.one_of(values, missing)
    samples = [Sample(SignalId(name), at(time), data.draw(reading)) for time in times]
    shuffled = data.draw(st.permutations(samples))
    in_order = sorted(samples, key=lambda one: one.at)
    assert seen(windows(SPECS, shuffled, keep=2 * MINUTE)) == seen(windows(SPECS, in_order, keep=2 * MINUTE))


@settings(max_examples=50, deadline=None)
@given(st.lists(any_sample, max_size=200), st.integers(10, 120))
def test_memory_is_bounded_by_what_is_kept(samples: list[Sample], seconds: int) -> None:
    made = windows(SPECS, samples, keep=seconds * SECOND)
    for group in made.series.values():
        for one in group.values():
            assert len(one.times) == len(one.raws) == len(one.totals)
            older = [time for time in one.times if time <= one.times[-1] - seconds * SECOND]
            assert len(older) <= 1


def test_two_processes_under_one_name_are_found_and_one_that_restarts_is_not() -> None:
    turns = windows(SPECS, read("c", [1000, 1010, 5, 1020, 7, 1030, 9, 1040]))
    assert is_swapping(turns, Selector("c"), at(35))
    assert not is_swapping(turns, Selector("c"), at(300))
    restarting = windows(SPECS, read("c", [1000, 1010, 2, 8, 1, 7, 3, 9, 2, 6]))
    assert not is_swapping(restarting, Selector("c"), at(45))
