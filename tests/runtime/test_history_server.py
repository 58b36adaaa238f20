"""The days before, out of a real Prometheus."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tests.support.guard_world import ladder
from tests.support.prometheus import prometheus
from watchdog.engine.baseline import freeze, slow_from
from watchdog.engine.seasons import DAY, with_days
from watchdog.engine.windows import empty, observe_all
from watchdog.model.guards import Baseline, GuardSettings
from watchdog.model.rules import LatencyRule, RatioRule
from watchdog.model.signals import Selector, SignalKind, SignalSpec
from watchdog.model.time import MINUTE, SECOND, Time
from watchdog.ports.kinds import Duration
from watchdog.probes.prometheus import PrometheusOptions, PrometheusProbe, PromQuery
from watchdog.runtime.clock import SystemClock
from watchdog.runtime.history import days_before
from watchdog.runtime.observer import WatchedProbe
from watchdog.servers.paths import scratch_dir
from watchdog.targets.http import HttpOptions, HttpTarget

STEP = 15 * SECOND
LENGTH = 10 * MINUTE
READS = {
    "requests": PromQuery(query="sum by (instance) (requests_total)", kind="counter"),
    "errors": PromQuery(query='sum by (instance) (requests_total{status="500"})', kind="counter"),
    "latency": PromQuery(query="sum by (instance, le) (seconds_bucket)", kind="distribution"),
}
RULE = RatioRule(name="error_rate", bad=Selector("errors"), total=Selector("requests"), above=0.05)
SLOW = LatencyRule(name="slow", of=Selector("latency"))

# By days back: percent that fail, and percent that take between 0.1 and 0.4 s.
DAYS = {0: (1, 0), 1: (4, 0), 2: (50, 0), 3: (2, 6)}


def _past(now: Time) -> str:
    """Twelve minutes up to now, of each day; 100 requests a reading at each of two pods. Nothing is of the fourth."""
    requests, seconds = [], []
    for back in sorted(DAYS, reverse=True):
        bad, slow = DAYS[back]
        for number in range(49):
            at = f"{(now - back * DAY - (48 - number) * STEP) / SECOND:.3f}"
            for pod in ("one", "two"):
                labels = f'instance="{pod}{back}"'
                requests.append(f'requests_total{{{labels},status="200"}} {number * (100 - bad)} {at}')
                requests.append(f'requests_total{{{labels},status="500"}} {number * bad} {at}')
                for edge, count in (("0.1", 100 - slow), ("0.4", 100), ("+Inf", 100)):
                    seconds.append(f'seconds_bucket{{{labels},le="{edge}"}} {number * count} {at}')
                seconds += [f"seconds_count{{{labels}}} {number * 100} {at}", f"seconds_sum{{{labels}}} 1 {at}"]
    whole = ["# TYPE requests counter", *requests, "# TYPE seconds histogram", *seconds, "# EOF"]
    return "\n".join(whole) + "\n"


@dataclass
class Frozen:
    """A clock that stands at T-0."""

    at: Time
    real: SystemClock

    def now(self) -> Time:
        return self.at

    def wall_offset(self) -> int:
        return 0

    async def sleep(self, length: int) -> None:
        await self.real.sleep(length)


@pytest.fixture(scope="module")
def began() -> Time:
    return SystemClock().now() // SECOND * SECOND


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(began: Time) -> AsyncIterator[str]:
    with scratch_dir("prometheus") as directory:
        async with prometheus(directory, _past(began)) as url:
            yield url


async def baseline_of(server: str, began: Time, days: int) -> Baseline:
    kinds = {name: SignalKind(read.kind) for name, read in READS.items()}
    settings = GuardSettings(
        name="shop",
        rules=(RULE, SLOW),
        signals=tuple(SignalSpec(name, kind, "prom", STEP) for name, kind in kinds.items()),
        playbook=ladder(),
        baseline=LENGTH,
        baseline_days=days,
    )
    target = HttpTarget("prom", HttpOptions(url=server, timeout=Duration(5 * SECOND)))
    probe = PrometheusProbe(target, PrometheusOptions(), READS)
    watched = WatchedProbe("prometheus:prom", probe, STEP, 5 * SECOND, tuple(READS))
    windows = empty(settings.signals, keep=20 * MINUTE)
    for name in READS:
        windows = observe_all(windows, await probe.history(name, began - LENGTH, began, STEP))
    baseline, refusal = freeze(windows, began, LENGTH, MINUTE, settings.rules)
    assert baseline is not None, refusal
    before = await days_before(Frozen(began, SystemClock()), (watched,), settings)
    await target.close()
    return with_days(baseline, windows, before, MINUTE, settings.rules)


async def test_usual_is_the_most_of_the_healthy_days(server: str, began: Time) -> None:
    found = await baseline_of(server, began, days=4)
    first, second, third, fourth = found.days
    assert found.usual["error_rate"].share == pytest.approx(0.04)
    assert (first.left_out, third.left_out) == ("", "")
    assert first.shares["error_rate"] == pytest.approx(0.04)
    assert third.shares["error_rate"] == pytest.approx(0.02)
    assert second.left_out == "error_rate: 50.0% of requests were bad, more than 5.0%"
    assert fourth.left_out == "no signal has been read yet"


async def test_the_slowest_of_the_healthy_days_says_what_is_slow(server: str, began: Time) -> None:
    today, all_days = await baseline_of(server, began, days=0), await baseline_of(server, began, days=3)
    assert today.usual["error_rate"].share == pytest.approx(0.01)
    assert slow_from(SLOW, today) == pytest.approx(2 * 0.095)
    assert all_days.days[2].quantiles["slow"] == pytest.approx(0.15)
    assert slow_from(SLOW, all_days) == pytest.approx(2 * 0.15)
