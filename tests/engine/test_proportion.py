import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.series import histogram
from watchdog.engine.proportion import poisson, quantile, slower_than, wilson

events = st.integers(0, 10_000).map(float)


@pytest.mark.parametrize(
    ("bad", "total", "lower", "upper"),
    [
        # R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3, 95 % two-sided.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_agrees_with_published_intervals(bad: float, total: float, lower: float, upper: float) -> None:
    bounds = wilson(bad, total, z=1.959964)
    assert bounds.lower == pytest.approx(lower, abs=5e-5)
    assert bounds.upper == pytest.approx(upper, abs=5e-5)
    assert bounds.effective == total


def test_nothing_counted_says_nothing() -> None:
    bounds = wilson(0, 0, z=2.326)
    assert (bounds.lower, bounds.upper, bounds.effective) == (0.0, 1.0, 0.0)


def test_burstiness_divides_the_sample_size_by_kishs_design_effect() -> None:
    # 300 events in 10 ticks are 30 a tick: 1 + 29 * 0.02 = 1.58.
    assert wilson(30, 300, z=2.326, ticks=10, burstiness=0.02).effective == pytest.approx(300 / 1.58)
    assert wilson(30, 300, z=2.326, ticks=0, burstiness=0.02).effective == pytest.approx(300 / (1 + 299 * 0.02))
    assert wilson(3, 5, z=2.326, ticks=10, burstiness=0.5).effective == 5


@given(events, events, events, st.integers(0, 100), st.floats(0, 1))
def test_more_bad_events_never_lower_the_bounds(total: float, bad: float, more: float, ticks: int, rho: float) -> None:
    fewer = wilson(bad, total, z=2.326, ticks=ticks, burstiness=rho)
    worse = wilson(bad + more, total, z=2.326, ticks=ticks, burstiness=rho)
    assert 0 <= fewer.lower <= fewer.upper <= 1
    assert worse.lower >= fewer.lower - 1e-12
    assert worse.upper >= fewer.upper - 1e-12


@pytest.mark.parametrize(
    ("count", "lower", "upper"),
    [(0, 0.0, 3.689), (1, 0.0253, 5.572), (10, 4.795, 18.39), (100, 81.36, 121.63)],
)
def test_poisson_agrees_with_exact_limits(count: float, lower: float, upper: float) -> None:
    # Exact 95 % limits (Garwood 1936); Byar's approximation is within one in a hundred from a few events on.
    low, high = poisson(count, z=1.959964)
    assert low == pytest.approx(lower, rel=0.01, abs=0.02)
    assert high == pytest.approx(upper, rel=0.01)


@given(events)
def test_a_poisson_mean_lies_between_its_bounds(count: float) -> None:
    lower, upper = poisson(count, z=2.326)
    assert 0 <= lower <= count <= upper


def test_a_quantile_is_linear_within_its_bucket() -> None:
    found = histogram(50, 90, 100)
    assert quantile(found, 0.5) == pytest.approx(0.1)
    assert quantile(found, 0.25) == pytest.approx(0.05)
    assert quantile(found, 0.7) == pytest.approx(0.3)


def test_a_quantile_in_the_last_bucket_is_its_lower_edge() -> None:
    assert quantile(histogram(50, 90, 100), 0.95) == 0.5


def test_a_quantile_of_nothing_is_none() -> None:
    assert quantile(histogram(0, 0, 0), 0.5) is None
    assert quantile(histogram(bounds=()), 0.5) is None


def test_a_quantile_of_no_share_is_the_lowest_edge_that_holds_one() -> None:
    assert quantile(histogram(0, 5, 5), 0.0) == pytest.approx(0.1)


def test_a_histogram_whose_total_is_missing_from_its_buckets_still_answers() -> None:
    assert quantile(histogram(5, 3, bounds=(0.1, 0.5)), 1.0) == pytest.approx(0.06)
    assert quantile(histogram(1, 2, bounds=(0.1, 0.5)), 1.5) == 0.5


@pytest.mark.parametrize(("limit", "slower"), [(0.0, 100), (0.05, 75), (0.1, 50), (0.3, 30), (0.5, 10), (9.0, 10)])
def test_slower_than_is_linear_within_its_bucket(limit: float, slower: float) -> None:
    assert slower_than(histogram(50, 90, 100), limit) == pytest.approx(slower)


def test_slower_than_a_limit_beyond_every_bound_counts_what_is_above_the_last() -> None:
    assert slower_than(histogram(50, 90, bounds=(0.1, 0.5)), 2.0) == 0
    assert slower_than(histogram(50, 90, 90, bounds=(0.1, 0.1, math.inf)), 0.1) == 40


@given(st.lists(st.floats(0, 1e6), min_size=3, max_size=3), st.floats(0, 100))
def test_slower_than_is_never_negative(counts: list[float], limit: float) -> None:
    assert slower_than(histogram(*counts), limit) >= 0
