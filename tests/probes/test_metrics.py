import asyncio
import gzip
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from watchdog.model.signals import Cause, Histogram, Missing, SignalKind
from watchdog.ports.errors import ProbeError
from watchdog.ports.probes import Probe
from watchdog.probes.metrics import KIND, MAX_SPLIT, MetricRead
from watchdog.targets.http import HttpTarget

Serve = Callable[[Callable[[web.Request], Any]], Awaitable[HttpTarget]]
Build = Callable[..., Probe]

PAGE = """\
# TYPE http_requests_total counter
http_requests_total{method="GET",endpoint="/a",status="200"} 90
http_requests_total{method="GET",endpoint="/b",status="500"} 7
http_requests_total{method="POST",endpoint="/b",status="503"} 3
# TYPE http_requests_in_flight gauge
http_requests_in_flight 4
# TYPE seconds histogram
seconds_bucket{endpoint="/a",le="0.1"} 80
seconds_bucket{endpoint="/a",le="+Inf"} 90
seconds_sum{endpoint="/a"} 12.5
seconds_count{endpoint="/a"} 90
"""


def text_page(text: str, content_type: str = "text/plain; version=0.0.4; charset=utf-8") -> Any:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(body=text.encode(), headers={"Content-Type": content_type})

    return handler


async def read_one(serve: Serve, build: Build, text: str, read: MetricRead) -> Any:
    probe = build(KIND, await serve(text_page(text)), {"signal": read})
    return (await probe.read())["signal"]


async def test_counters_gauges_and_distributions_come_from_one_scrape(serve: Serve, build: Build) -> None:
    requests = 0

    async def handler(_request: web.Request) -> web.Response:
        nonlocal requests
        requests += 1
        return web.Response(text=PAGE)

    reads = {
        "requests": MetricRead(metric="http_requests_total", kind="counter"),
        "errors": MetricRead(metric="http_requests_total", kind="counter", where={"status": "5.."}),
        "fine": MetricRead(metric="http_requests_total", kind="counter", not_={"status": "5.."}),
        "in_flight": MetricRead(metric="http_requests_in_flight"),
        "latency": MetricRead(metric="seconds", kind="distribution"),
        "count": MetricRead(metric="seconds_count", kind="counter"),
    }
    readings = await build(KIND, await serve(handler), reads).read()
    assert requests == 1
    assert readings == {
        "requests": {(): 100.0},
        "errors": {(): 10.0},
        "fine": {(): 90.0},
        "in_flight": {(): 4.0},
        "latency": {(): Histogram((0.1, float("inf")), (80.0, 90.0), 12.5)},
        "count": {(): 90.0},
    }


async def test_a_split_gives_one_series_for_each_combination_with_labels_in_order(serve: Serve, build: Build) -> None:
    read = MetricRead(metric="http_requests_total", kind="counter", split=("method", "endpoint"))
    assert await read_one(serve, build, PAGE, read) == {
        (("endpoint", "/a"), ("method", "GET")): 90.0,
        (("endpoint", "/b"), ("method", "GET")): 7.0,
        (("endpoint", "/b"), ("method", "POST")): 3.0,
    }


async def test_a_pattern_must_match_the_whole_value_and_an_absent_label_is_empty(serve: Serve, build: Build) -> None:
    part = MetricRead(metric="http_requests_total", kind="counter", where={"status": "5", "absent": ""}, absent="zero")
    assert await read_one(serve, build, PAGE, part) == {(): 0.0}
    whole = MetricRead(metric="http_requests_total", kind="counter", where={"status": "5..", "absent": ""})
    assert await read_one(serve, build, PAGE, whole) == {(): 10.0}


async def test_a_metric_that_is_absent_leaves_the_others_alone(serve: Serve, build: Build) -> None:
    reads = {
        "gone": MetricRead(metric="renamed_total", kind="counter"),
        "unmatched": MetricRead(metric="http_requests_total", kind="counter", where={"status": "418"}),
        "zero": MetricRead(metric="renamed_total", kind="counter", absent="zero"),
        "in_flight": MetricRead(metric="http_requests_in_flight"),
    }
    readings = await build(KIND, await serve(text_page(PAGE)), reads).read()
    gone, unmatched = readings["gone"][()], readings["unmatched"][()]
    assert isinstance(gone, Missing)
    assert gone.cause is Cause.PROBE_BROKEN
    assert "no series named renamed_total" in gone.detail
    assert isinstance(unmatched, Missing)
    assert "has the labels asked for" in unmatched.detail
    assert (readings["zero"], readings["in_flight"]) == ({(): 0.0}, {(): 4.0})


@pytest.mark.parametrize(
    ("text", "read", "detail"),
    [
        (
            'seconds_bucket{le="1"} 1\nseconds_sum 1\n',
            MetricRead(metric="seconds", kind="distribution"),
            "histogram seconds has no bucket",
        ),
        ("a_total -1\n", MetricRead(metric="a_total", kind="counter"), "counter a_total has a value that is negative"),
        ("# TYPE a gauge\na 1\n", MetricRead(metric="a", kind="counter"), "a is a gauge"),
        ("# TYPE a_total counter\na_total 1\n", MetricRead(metric="a_total"), "a_total is a counter"),
        (
            "".join(f'a{{user="{n}"}} 1\n' for n in range(MAX_SPLIT + 1)),
            MetricRead(metric="a", split=("user",)),
            "split by fewer labels",
        ),
    ],
)
async def test_a_signal_that_makes_no_sense_has_no_value_and_says_why(
    serve: Serve, build: Build, text: str, read: MetricRead, detail: str
) -> None:
    answer = (await read_one(serve, build, text, read))[()]
    assert isinstance(answer, Missing)
    assert answer.cause is Cause.PROBE_BROKEN
    assert detail in answer.detail


async def test_a_counter_without_total_is_found_by_its_name(serve: Serve, build: Build) -> None:
    read = MetricRead(metric="requests", kind="counter")
    assert await read_one(serve, build, "# TYPE requests counter\nrequests 5\n", read) == {(): 5.0}


async def test_openmetrics_is_read(serve: Serve, build: Build) -> None:
    text = "# TYPE requests counter\nrequests_total 5.0\n# EOF\n"
    target = await serve(text_page(text, "application/openmetrics-text; version=1.0.0; charset=utf-8"))
    readings = await build(KIND, target, {"all": MetricRead(metric="requests_total", kind="counter")}).read()
    assert readings == {"all": {(): 5.0}}


def response(**fields: Any) -> Any:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(**fields)

    return handler


async def endless(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await answer.prepare(request)
    while True:
        await answer.write(b"a 1\n" * 10_000)


async def slow(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await answer.prepare(request)
    await asyncio.Event().wait()
    return answer


async def breaks_off(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "text/plain", "Content-Length": "100"})
    await answer.prepare(request)
    await answer.write(b"a 1\n")
    assert request.transport is not None
    request.transport.abort()
    return answer


GZIPPED = {"Content-Encoding": "gzip", "Content-Type": "text/plain"}


@pytest.mark.parametrize(
    ("handler", "cause", "said"),
    [
        (endless, Cause.PROBE_BROKEN, r"longer than max_bytes \(4194304\)"),
        (slow, Cause.UNREACHABLE, "ReadTimeout"),
        (breaks_off, Cause.UNREACHABLE, "broke off"),
        (response(status=302, headers={"Location": "/secret?token=x"}), Cause.PROBE_BROKEN, r"redirect \(status 302\)"),
        (response(text="<html>", content_type="text/html"), Cause.PROBE_BROKEN, "answered text/html, not text/plain"),
        (response(body=b"a 1\n\xff\n", content_type="text/plain"), Cause.PROBE_BROKEN, "byte 4 of the page is not"),
        (response(body=gzip.compress(b"a 1\n"), headers=GZIPPED), Cause.PROBE_BROKEN, "compressed"),
        (response(text="a 1\n" * 100_001), Cause.PROBE_BROKEN, r"100001 series, more than max_series"),
        (response(text="a 1"), Cause.PROBE_BROKEN, "cut off"),
        (response(status=403), Cause.PROBE_BROKEN, "answered status 403"),
        (response(status=503), Cause.UNREACHABLE, "answered status 503"),
        (response(body=b"a 1\n", content_type="application/json"), Cause.PROBE_BROKEN, "application/json"),
    ],
)
async def test_what_is_no_page_of_metrics_fails_the_whole_reading(
    serve: Serve, build: Build, handler: Any, cause: Cause, said: str
) -> None:
    probe = build(KIND, await serve(handler), {"a": MetricRead(metric="a")})
    with pytest.raises(ProbeError, match=said) as caught:
        await probe.read()
    assert caught.value.cause is cause
    assert "api (127.0.0.1" in str(caught.value)
    assert "hush-hush" not in str(caught.value)
    assert "token" not in str(caught.value)


async def test_configured_headers_are_sent(serve: Serve, build: Build) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text="a 1\n" if request.headers["Authorization"] == "Bearer hush-hush" else "a 0\n")

    readings = await build(KIND, await serve(handler), {"a": MetricRead(metric="a")}).read()
    assert readings == {"a": {(): 1.0}}


async def test_a_reading_can_be_cancelled(serve: Serve, build: Build) -> None:
    probe = build(KIND, await serve(slow), {"a": MetricRead(metric="a")})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await probe.read()


def test_a_pattern_that_is_none_and_a_zero_distribution_are_refused() -> None:
    with pytest.raises(ValueError, match=r"status: '5\(' is no regular expression"):
        MetricRead(metric="a", where={"status": "5("})
    with pytest.raises(ValueError, match="no meaning for a distribution"):
        MetricRead(metric="a", kind="distribution", absent="zero")


def test_the_kind_of_signal_is_the_one_that_was_asked_for() -> None:
    assert KIND.signal_kind(MetricRead(metric="a", kind="distribution")) is SignalKind.DISTRIBUTION
