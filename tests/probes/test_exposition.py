import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.model.signals import Histogram
from watchdog.probes.exposition import (
    MAX_LINE,
    Exposition,
    ExpositionError,
    distribution,
    level,
    read_exposition,
    series_of,
    total,
)

PAGE = """\
# HELP http_requests_total Requests.
# TYPE http_requests_total counter
http_requests_total{status="200",endpoint="/a"} 10
http_requests_total{status="500",endpoint="/a"} 2 1395066363000
# TYPE seconds histogram
seconds_bucket{le="0.1"} 3
seconds_bucket{le="+Inf"} 5
seconds_sum 1.5
seconds_count 5
# TYPE other gauge
other 7
"""


def page(text: str, *metrics: str, openmetrics: bool = False) -> Exposition:
    return read_exposition(text, metrics, openmetrics=openmetrics, max_series=1000)


def histogram(text: str) -> Histogram:
    families = page(text, "seconds").families("seconds")
    return distribution("seconds", series_of(families, "seconds_bucket"), series_of(families, "seconds_sum"))


def test_only_the_lines_of_wanted_metrics_are_kept() -> None:
    assert list(page(PAGE, "other").lines["other"]) == ["# TYPE other gauge", "other 7"]


def test_samples_are_found_by_their_exact_name() -> None:
    families = page(PAGE, "http_requests_total").families("http_requests_total")
    assert total("http_requests_total", series_of(families, "http_requests_total")) == 12


def test_a_line_break_inside_a_label_value_splits_no_line() -> None:
    families = page('other{a="\x0b\u2028x"} 7\n', "other").families("other")
    assert level("other", series_of(families, "other")) == 7


def test_a_metric_that_cannot_be_parsed_does_not_hide_another_and_its_labels_are_not_quoted() -> None:
    exposition = page('good 1\nbad{email="anna@example.org} 1\n', "good", "bad")
    assert level("good", series_of(exposition.families("good"), "good")) == 1
    with pytest.raises(ExpositionError, match="lines of bad cannot be parsed") as caught:
        exposition.families("bad")
    assert "anna" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "openmetrics", "problem"),
    [
        ("a 1\nb 12", False, "cut off"),
        ("", True, "cut off"),
        ("a 1\n", True, "cut off"),
        ("a 1\n" * 1001, False, "1001 series, more than max_series"),
        ("a 1\nb{c=" + '"' * MAX_LINE + "\n", False, "line 2 has"),
    ],
)
def test_a_page_that_makes_no_sense_as_a_whole_is_refused(text: str, openmetrics: bool, problem: str) -> None:  # noqa: FBT001 - a parameter of pytest
    with pytest.raises(ExpositionError, match=problem):
        page(text, "a", openmetrics=openmetrics)


def test_openmetrics_are_read_with_exemplars() -> None:
    text = '# TYPE requests counter\nrequests_total{status="200"} 3 # {trace_id="x"} 1.0\nrequests_created 17\n# EOF\n'
    families = page(text, "requests_total", openmetrics=True).families("requests_total")
    assert total("requests_total", series_of(families, "requests_total")) == 3


def test_a_series_that_is_there_twice_is_refused() -> None:
    families = page('a{x="1"} 1\na{x="1"} 2\n', "a").families("a")
    with pytest.raises(ExpositionError, match="two series with the same labels"):
        series_of(families, "a")


@pytest.mark.parametrize("value", ["NaN", "-1", "+Inf"])
def test_a_counter_that_is_negative_or_no_number_is_refused(value: str) -> None:
    with pytest.raises(ExpositionError, match="counter a has a value that is negative or no number"):
        total("a", series_of(page(f"a {value}\n", "a").families("a"), "a"))


def test_a_gauge_may_be_negative_but_not_nan() -> None:
    assert level("a", series_of(page("a -3\n", "a").families("a"), "a")) == -3
    with pytest.raises(ExpositionError, match="no finite number"):
        level("a", series_of(page("a NaN\n", "a").families("a"), "a"))


def test_values_too_large_to_be_added_are_refused_by_name() -> None:
    large = 'a{x="1"} 1e308\na{x="2"} 1e308\n'
    with pytest.raises(ExpositionError, match="counter a has values whose sum is no finite number"):
        total("a", series_of(page(large, "a").families("a"), "a"))


def test_histograms_of_several_series_are_summed() -> None:
    text = "".join(
        f'seconds_bucket{{x="{x}",le="0.1"}} 1\nseconds_bucket{{x="{x}",le="+Inf"}} 4\nseconds_sum{{x="{x}"}} 2\n'
        for x in "ab"
    )
    assert histogram(text) == Histogram((0.1, math.inf), (2, 8), 4)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('seconds_bucket{le="0.1"} 1\n', r"no bucket le=\+Inf"),
        ('seconds_bucket{le="0.1"} 5\nseconds_bucket{le="+Inf"} 4\n', "falls with rising bounds"),
        ('seconds_bucket{le="0.1"} -1\nseconds_bucket{le="+Inf"} 4\n', "negative or no number"),
        ('seconds_bucket{le="0.1"} NaN\nseconds_bucket{le="+Inf"} 4\n', "negative or no number"),
        ('seconds_bucket{le="tiny"} 1\nseconds_bucket{le="+Inf"} 4\n', "without a numeric le"),
        ('seconds_bucket{le="NaN"} 1\nseconds_bucket{le="+Inf"} 4\n', "without a numeric le"),
        ("seconds_bucket 1\n", "without a numeric le"),
        ('seconds_bucket{le="+Inf"} 4\nseconds_sum NaN\n', "whose sum is no finite number"),
        (
            'seconds_bucket{x="a",le="1"} 1\nseconds_bucket{x="a",le="+Inf"} 4\nseconds_bucket{x="b",le="+Inf"} 4\n',
            "different buckets",
        ),
    ],
)
def test_a_histogram_that_makes_no_sense_is_refused_by_name(text: str, problem: str) -> None:
    with pytest.raises(ExpositionError, match=f"histogram seconds .*{problem}|histogram seconds have {problem}"):
        histogram(text)


@given(st.text(alphabet='a{}="\\, #1e.\n\tEOFTYPE', max_size=80), st.booleans())
def test_garbage_is_either_read_or_refused(text: str, openmetrics: bool) -> None:  # noqa: FBT001 - hypothesis fills it
    try:
        families = page(f"a{text}\n", "a", openmetrics=openmetrics).families("a")
        level("a", series_of(families, "a"))
    except ExpositionError:
        pass
