"""Against a real Prometheus; what a broken one answers is in `test_prometheus.py`."""

import math
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from tests.support.prometheus import prometheus
from watchdog.engine.baseline import freeze, level_before, rate_before
from watchdog.engine.windows import empty, observe_all
from watchdog.model.signals import Histogram, Missing, SignalId, SignalKind, SignalSpec
from watchdog.model.time import HOUR, MINUTE, SECOND, Time
from watchdog.ports.errors import ProbeError
from watchdog.ports.kinds import Duration
from watchdog.ports.probes import Probe
from watchdog.probes.prometheus import KIND, PrometheusOptions, PrometheusProbe, PromQuery
from watchdog.runtime.clock import SystemClock
from watchdog.servers.paths import scratch_dir
from watchdog.targets.http import HttpOptions, HttpTarget

Build = Callable[..., Probe]
STEP = 15 * SECOND
PODS = ("one", "two")


def _past(now: Time) -> str:
    """An hour up to now: 2 requests a second at each of two pods, of which 1 in 10 fails; pod two started anew."""
    lines: dict[str, list[str]] = {"requests": [], "busy": [], "seconds": []}
    for number in range(HOUR // STEP + 1):
        at = f"{(now - HOUR + number * STEP) / SECOND:.3f}"
        for pod in PODS:
            count = 30 * (number - 120 if pod == "two" and number >= 120 else number)
            labels = f'instance="{pod}",endpoint="/a"'
            lines["requests"].append(f'requests_total{{{labels},status="200"}} {count * 9 // 10} {at}')
            lines["requests"].append(f'requests_total{{{labels},status="500"}} {count // 10} {at}')
            lines["busy"].append(f"busy{{{labels}}} {3 if pod == 'one' else 4} {at}")
            lines["seconds"] += [
                f'seconds_bucket{{{labels},le="0.1"}} {count // 2} {at}',
                f'seconds_bucket{{{labels},le="+Inf"}} {count} {at}',
                f"seconds_count{{{labels}}} {count} {at}",
                f"seconds_sum{{{labels}}} {count / 10} {at}",
            ]
    kinds = {"requests": "counter", "busy": "gauge", "seconds": "histogram"}
    text = "".join(f"# TYPE {name} {kind}\n" + "\n".join(lines[name]) + "\n" for name, kind in kinds.items())
    return text + "# EOF\n"


@pytest.fixture(scope="module")
def began() -> Time:
    return SystemClock().now() // SECOND * SECOND


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(began: Time) -> AsyncIterator[str]:
    with scratch_dir("prometheus") as directory:
        async with prometheus(directory, _past(began)) as url:
            yield url


@pytest.fixture
async def target(server: str) -> AsyncIterator[HttpTarget]:
    target = HttpTarget("metrics", HttpOptions(url=server, timeout=Duration(5 * SECOND)))
    yield target
    await target.close()


READS = {
    "requests": PromQuery(query="requests_total", kind="counter"),
    "errors": PromQuery(query='sum by (instance) (requests_total{status="500"})', kind="counter"),
    "busy": PromQuery(query="sum(busy)"),
    "latency": PromQuery(query="sum by (instance, le) (seconds_bucket)", kind="distribution"),
    "share": PromQuery(query='sum(requests_total{status="500"}) / sum(requests_total)'),
    "two": PromQuery(query="scalar(sum(busy)) - 5"),
    "idle": PromQuery(query="sum(busy) * 0 / 0", absent="no_traffic"),
    "none": PromQuery(query="gone_total", kind="counter", absent="zero"),
}
ONE, TWO = ((("instance", pod),) for pod in PODS)


async def test_every_kind_of_signal_is_read(target: HttpTarget, build: Build) -> None:
    readings = await build(KIND, target, READS).read()
    idle = readings["idle"][()]
    assert isinstance(idle, Missing)
    assert idle.cause == "no traffic"
    assert {name: answer for name, answer in readings.items() if name != "idle"} == {
        "requests": {ONE: 7200.0, TWO: 3600.0},
        "errors": {ONE: 720.0, TWO: 360.0},
        "busy": {(): 7.0},
        "latency": {
            ONE: Histogram((0.1, math.inf), (3600.0, 7200.0), 0.0),
            TWO: Histogram((0.1, math.inf), (1800.0, 3600.0), 0.0),
        },
        "share": {(): 0.1},
        "two": {(): 2.0},
        "none": {(): 0.0},
    }


async def test_the_past_makes_a_baseline_in_which_a_pod_that_started_anew_is_no_jump(
    target: HttpTarget, began: Time
) -> None:
    probe = PrometheusProbe(target, PrometheusOptions(), READS)
    names = {"requests": SignalKind.COUNTER, "busy": SignalKind.GAUGE, "latency": SignalKind.DISTRIBUTION}
    windows = empty([SignalSpec(name, kind, "metrics", STEP) for name, kind in names.items()], keep=2 * HOUR)
    for name in names:
        windows = observe_all(windows, await probe.history(name, began - HOUR, began, STEP))
    baseline, refusal = freeze(windows, began, HOUR, 30 * MINUTE)
    assert baseline is not None, refusal
    assert rate_before(baseline, "requests", ()) == pytest.approx(4.0, rel=0.01)
    assert level_before(baseline, "busy", ()) == 7.0
    assert baseline.entries[SignalId("latency", ONE)].samples == 241


async def test_a_long_past_is_asked_for_in_pieces_without_a_gap_or_a_double(target: HttpTarget, began: Time) -> None:
    probe = PrometheusProbe(target, PrometheusOptions(), READS)
    samples = await probe.history("busy", began - HOUR, began, SECOND)
    times = [sample.at for sample in samples]
    assert times == [began - HOUR + number * SECOND for number in range(3601)]


async def test_what_the_server_refuses_names_the_query_and_its_own_words(target: HttpTarget, build: Build) -> None:
    with pytest.raises(ProbeError, match=r"`sum\(busy`: the server refuses the query: .*parse error"):
        await build(KIND, target, {"a": PromQuery(query="sum(busy")}).read()
    with pytest.raises(ProbeError, match="matrix"):
        await build(KIND, target, {"a": PromQuery(query="busy[5m]")}).read()
    several = (await build(KIND, target, {"a": PromQuery(query="busy")}).read())["a"][()]
    assert isinstance(several, Missing)
    assert "answers with 2 series; write sum" in several.detail


async def test_a_label_that_metrics_disagree_on_does_not_reach_the_error(target: HttpTarget, build: Build) -> None:
    with pytest.raises(ProbeError, match=r"could not answer \(execution\)") as caught:
        await build(KIND, target, {"a": PromQuery(query="busy * on(endpoint) busy")}).read()
    assert '"/a"' not in str(caught.value)
