from watchdog.model.signals import Histogram, Selector, SignalId


def test_a_series_is_written_like_in_prometheus() -> None:
    assert str(SignalId("errors")) == "errors"
    assert str(SignalId("errors", (("code", "500"), ("path", "/")))) == 'errors{code="500",path="/"}'
    assert str(Selector("errors", (("code", "500"),))) == 'errors{code="500"}'


def test_a_selector_means_every_series_that_has_its_labels() -> None:
    labels = (("code", "500"), ("path", "/"))
    assert Selector("errors").matches(labels)
    assert Selector("errors", (("path", "/"),)).matches(labels)
    assert not Selector("errors", (("path", "/x"),)).matches(labels)


def test_the_last_bucket_of_a_histogram_holds_all() -> None:
    assert Histogram((0.1, float("inf")), (3, 5), 1.0).count == 5
    assert Histogram((), (), 0.0).count == 0
