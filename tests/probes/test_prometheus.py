"""What is no answer of Prometheus; a real server is in `test_prometheus_server.py`."""

import gzip
import json
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from watchdog.model.signals import Cause, Histogram, Missing, SignalKind
from watchdog.model.time import SECOND
from watchdog.ports.errors import ProbeError
from watchdog.ports.probes import Probe
from watchdog.probes.exposition import ExpositionError
from watchdog.probes.prometheus import (
    KIND,
    MAX_POINTS,
    MAX_QUERY,
    MAX_SPLIT,
    PrometheusOptions,
    PrometheusProbe,
    PromQuery,
    readings_of,
)
from watchdog.probes.prometheus_answers import AnswerError, Series, read_answer
from watchdog.targets.http import HttpTarget

Serve = Callable[[Callable[[web.Request], Any]], Awaitable[HttpTarget]]
Build = Callable[..., Probe]
NOW = 1_800_000_000


def vector(*series: tuple[Mapping[str, str], str]) -> Any:
    result = [{"metric": dict(labels), "value": [NOW, value]} for labels, value in series]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


def answering(body: object, *, status: int = 200, content_type: str = "application/json") -> Any:
    async def handler(_request: web.Request) -> web.Response:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return web.Response(body=raw, status=status, headers={"Content-Type": content_type})

    return handler


async def read_one(serve: Serve, build: Build, answer: Any, read: PromQuery) -> Any:
    """With a second signal that has a value, so that the first alone has none."""

    async def handler(request: web.Request) -> web.Response:
        good = request.query["query"] == "good"
        return web.json_response(vector(({}, "1")) if good else answer)

    probe = build(KIND, await serve(handler), {"signal": read, "good": PromQuery(query="good")})
    readings = await probe.read()
    assert readings["good"] == {(): 1.0}
    return readings["signal"]


COUNTER = PromQuery(query="a_total", kind="counter")
HISTOGRAM = PromQuery(query="a_bucket", kind="distribution")
AT = {"instance": "one"}


async def test_a_login_goes_along_and_signals_with_the_same_query_ask_once(serve: Serve, build: Build) -> None:
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer hush-hush"
        asked.append(request.path_qs)
        return web.json_response(vector(({}, "3")))

    reads = {"a": PromQuery(query="up == 1"), "b": PromQuery(query="up == 1", kind="check")}
    assert await build(KIND, await serve(handler), reads).read() == {"a": {(): 3.0}, "b": {(): 3.0}}
    assert asked == ["/api/v1/query?query=up+%3D%3D+1&timeout=3.000"]


async def test_counters_of_one_process_are_summed_and_those_of_several_kept_apart(serve: Serve, build: Build) -> None:
    answer = vector(
        ({"instance": "one", "version": "2", "path": "/a"}, "5"),
        ({"instance": "one", "version": "2", "path": "/b"}, "6"),
        ({"instance": "two", "version": "1", "path": "/a"}, "7"),
    )
    read = PromQuery(query="a_total", kind="counter", split=("version",))
    assert KIND.labels(read) == ("instance", "version")
    assert await read_one(serve, build, answer, read) == {
        (("instance", "one"), ("version", "2")): 11.0,
        (("instance", "two"), ("version", "1")): 7.0,
    }


async def test_a_sum_over_processes_is_refused_because_it_falls_when_one_starts_anew(
    serve: Serve, build: Build
) -> None:
    refused = (await read_one(serve, build, vector(({}, "5")), COUNTER))[()]
    assert isinstance(refused, Missing)
    assert "write sum by (instance) (…), or instances: []" in refused.detail
    alone = PromQuery(query="a_total", kind="counter", instances=())
    assert await read_one(serve, build, vector(({}, "5")), alone) == {(): 5.0}


async def test_an_empty_answer_means_what_the_signal_says(serve: Serve, build: Build) -> None:
    async def absent(**how: Any) -> Any:
        return (await read_one(serve, build, vector(), PromQuery(query="a", **how)))[()]

    broken, idle = await absent(), await absent(absent="no_traffic")
    assert isinstance(broken, Missing)
    assert "answers with no series" in broken.detail
    assert isinstance(idle, Missing)
    assert idle.cause is Cause.NO_TRAFFIC
    assert await absent(absent="zero", kind="counter") == 0.0


@pytest.mark.parametrize(
    ("answer", "read", "detail"),
    [
        (vector(({"pod": "a"}, "1"), ({"pod": "b"}, "2")), PromQuery(query="a"), "answers with 2 series; write sum"),
        (vector(({}, "NaN")), PromQuery(query="a"), "it is NaN, as a division by zero"),
        (vector(({}, "NaN")), PromQuery(query="a", absent="zero"), "it is NaN"),
        (vector(({}, "+Inf")), PromQuery(query="a"), "it is infinite"),
        (vector(({}, "-1")), PromQuery(query="a", kind="check"), "is negative"),
        (vector((AT, "-1")), COUNTER, "counter signal has a value that is negative or no number"),
        (vector((AT, "NaN")), COUNTER, "negative or no number"),
        (vector((AT, "Inf")), COUNTER, "negative or no number"),
        (vector((AT | {"le": "1"}, "1")), HISTOGRAM, "has no bucket le=+Inf"),
        (vector((AT, "1")), HISTOGRAM, "without a numeric le"),
        (
            vector((AT | {"le": "1"}, "2"), (AT | {"le": "+Inf"}, "1")),
            HISTOGRAM,
            "falls with rising bounds",
        ),
        (
            vector(*(({"user": str(number)}, "1") for number in range(MAX_SPLIT + 1))),
            PromQuery(query="a", split=("user",)),
            "into 1001 series, more than 1000; split by fewer",
        ),
        (vector(({"pod": "\ud800"}, "1")), PromQuery(query="a", split=("pod",)), "lone surrogate"),
        (
            {"status": "success", "data": {"resultType": "matrix", "result": []}},
            PromQuery(query="a[5m]"),
            "`a[5m]`: the query answers with a matrix, a stretch of time",
        ),
        ({"status": "success", "data": {"resultType": "string", "result": [NOW, "x"]}}, PromQuery(query="a"), "string"),
        (vector() | {"warnings": ["store b is down"]}, PromQuery(query="a"), "not whole"),
        (
            {
                "status": "success",
                "data": {"resultType": "vector", "result": [{"metric": {}, "histogram": [NOW, {"count": "1"}]}]},
            },
            HISTOGRAM,
            "native histogram",
        ),
        ({"status": "success", "data": None}, PromQuery(query="a"), "not that of Prometheus's API"),
        ([], PromQuery(query="a"), "not that of Prometheus's API"),
    ],
)
async def test_a_signal_that_makes_no_sense_has_no_value_and_says_why(
    serve: Serve, build: Build, answer: Any, read: PromQuery, detail: str
) -> None:
    missing = (await read_one(serve, build, answer, read))[()]
    assert isinstance(missing, Missing)
    assert missing.cause is Cause.PROBE_BROKEN
    assert detail in missing.detail
    assert "api (127.0.0.1" in missing.detail


async def endless(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "application/json"})
    await answer.prepare(request)
    while True:
        await answer.write(b'{"metric": {}, "value": [1, "1"]},' * 1_000)


async def moved(_request: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": "/secret?token=x", "Content-Type": "application/json"})


async def zipped(_request: web.Request) -> web.Response:
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    return web.Response(body=gzip.compress(b"{}"), headers=headers)


MILLION = (
    b'{"status":"success","data":{"resultType":"vector","result":[' + b'{"metric":{},"value":[1,"1"]},' * 1_000_000
)
MANY = vector(*(({"n": str(number)}, "1") for number in range(10_001)))


@pytest.mark.parametrize(
    ("handler", "cause", "said"),
    [
        (endless, Cause.PROBE_BROKEN, r"longer than max_bytes \(8388608\); write sum by"),
        (answering(MILLION), Cause.PROBE_BROKEN, "longer than max_bytes"),
        (answering(MANY), Cause.PROBE_BROKEN, r"10001 series, more than max_series \(10000\)"),
        (moved, Cause.PROBE_BROKEN, r"redirect \(status 302\)"),
        (zipped, Cause.PROBE_BROKEN, "compressed"),
        (answering(b"<html>", content_type="text/html"), Cause.PROBE_BROKEN, "answered text/html, not application/"),
        (answering(b'{"status": "\xff"}'), Cause.PROBE_BROKEN, "byte 12 of the answer is not UTF-8"),
        (answering(b'{"status": "succ'), Cause.PROBE_BROKEN, "no JSON, or was cut off"),
        (answering(b"[" * 1_000_000), Cause.PROBE_BROKEN, "no JSON, or was cut off"),
        (answering(b"9" * 100_000), Cause.PROBE_BROKEN, "no JSON, or was cut off"),
        (answering(b"", status=401), Cause.PROBE_BROKEN, r"refuses us \(status 401\)"),
        (answering(b"", status=404), Cause.PROBE_BROKEN, r"answered status 404; check url and path \(/api/v1\)"),
        (answering(b"", status=502, content_type="text/html"), Cause.UNREACHABLE, "answered status 502"),
        (
            answering({"status": "error", "errorType": "timeout", "error": "x"}, status=503),
            Cause.UNREACHABLE,
            r"could not answer \(timeout\)",
        ),
        (
            answering({"status": "error", "errorType": "bad_data", "error": "parse\x1b[31m error" * 90}, status=400),
            Cause.PROBE_BROKEN,
            r"refuses the query: parse\[31m error",
        ),
    ],
)
async def test_what_is_no_answer_fails_the_reading(
    serve: Serve, build: Build, handler: Any, cause: Cause, said: str
) -> None:
    target = await serve(handler)
    with pytest.raises(ProbeError, match=said) as caught:
        await build(KIND, target, {"a": PromQuery(query="a")}).read()
    assert caught.value.cause is cause
    assert "api (127.0.0.1" in str(caught.value)
    assert len(str(caught.value)) < 500
    assert "hush-hush" not in str(caught.value)
    assert "token" not in str(caught.value)
    history = PrometheusProbe(target, PrometheusOptions(), {"a": PromQuery(query="a")}).history
    with pytest.raises(ProbeError):
        await history("a", NOW * SECOND, (NOW + 60) * SECOND, SECOND)


async def test_in_a_history_an_instant_that_makes_no_sense_says_so_and_the_others_stay(serve: Serve) -> None:
    values = [[NOW, "1"], [NOW + 1.5, "NaN"], [NOW + 3, "2"]]
    answer = {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}, "values": values}]}}
    probe = PrometheusProbe(await serve(answering(answer)), PrometheusOptions(), {"a": PromQuery(query="a")})
    first, second, third = await probe.history("a", NOW * SECOND, (NOW + 3) * SECOND, 1500_000_000)
    assert (first.at, first.value, third.value) == (NOW * SECOND, 1.0, 2.0)
    assert second.at == NOW * SECOND + 1_500_000_000
    assert isinstance(second.value, Missing)


async def test_a_history_without_end_is_refused_before_anybody_is_asked(serve: Serve) -> None:
    probe = PrometheusProbe(await serve(endless), PrometheusOptions(), {"a": PromQuery(query="a")})
    with pytest.raises(ValueError, match=f"more than {MAX_POINTS} points"):
        await probe.history("a", 0, MAX_POINTS * SECOND, SECOND)
    with pytest.raises(ValueError, match="start must not be after end"):
        await probe.history("a", SECOND, 0, SECOND)
    with pytest.raises(ValueError, match="at least 1ms"):
        await probe.history("a", 0, SECOND, 0)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
_result = st.fixed_dictionaries(
    {"metric": st.dictionaries(st.sampled_from(["instance", "le", "x"]), st.text() | _json, max_size=3)},
    optional={name: _json | st.lists(_json, max_size=2) for name in ("value", "values", "histogram")},
)
_answer = st.fixed_dictionaries({
    "status": st.sampled_from(["success", "error"]),
    "data": st.fixed_dictionaries({
        "resultType": st.sampled_from(["vector", "matrix", "scalar", "string"]),
        "result": _json | st.lists(_result, max_size=3),
    }),
})  # fmt: skip


@given(answer=_json | _answer, is_range=st.booleans())
def test_no_json_gets_past_the_reader_but_as_series_or_a_named_error(answer: Any, is_range: bool) -> None:  # noqa: FBT001 - a case
    try:
        series = read_answer(json.dumps(answer).encode(), is_range=is_range, max_series=10)
    except AnswerError:
        return
    assert all(at >= 0 for one in series for at, _ in one.points)
    assert all(isinstance(text, str) for one in series for pair in one.labels.items() for text in pair)


@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.sampled_from(["instance", "le", "pod"]), st.sampled_from(["", "1", "+Inf", "NaN", "x"])),
            st.floats(),
        ),
        max_size=6,
    ),
    st.sampled_from(["gauge", "counter", "distribution", "check"]),
)
def test_no_value_is_read_that_the_engine_would_have_to_refuse(found: Any, kind: Any) -> None:
    answer = [Series(labels, ((0, value),)) for labels, value in found]
    try:
        readings = readings_of("signal", PromQuery(query="a", kind=kind, split=("pod",)), answer)
    except (AnswerError, ExpositionError):
        return
    for reading in readings.values():
        if isinstance(reading, Histogram):
            assert reading.bounds[-1] == math.inf
            assert list(reading.counts) == sorted(reading.counts)
        elif isinstance(reading, float):
            assert math.isfinite(reading)
            assert reading >= 0 or kind == "gauge"


def test_what_cannot_work_is_refused_when_it_is_written() -> None:
    with pytest.raises(ValueError, match="query must be one PromQL expression"):
        PromQuery(query=" ")
    with pytest.raises(ValueError, match=f"at most {MAX_QUERY}"):
        PromQuery(query="a" * (MAX_QUERY + 1))
    with pytest.raises(ValueError, match="no meaning for a distribution"):
        PromQuery(query="a", kind="distribution", absent="zero")
    with pytest.raises(ValueError, match="max_bytes"):
        PrometheusOptions(max_bytes=0)
    rate = PromQuery(query="sum by (instance) (rate(a_total[5m]))", kind="counter")
    [complaint] = KIND.complaints(rate)
    assert complaint.startswith("query: rate() is a rise already, and a counter must be the counter itself; write ")
    assert list(KIND.complaints(COUNTER)) == []
    assert KIND.signal_kind(HISTOGRAM) is SignalKind.DISTRIBUTION
