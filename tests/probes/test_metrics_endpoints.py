"""Several real servers behind one name, on addresses of loopback."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from watchdog.engine.judge import judge
from watchdog.engine.windows import Windows, empty, observe_all, rise
from watchdog.model.rules import RatioRule
from watchdog.model.signals import Cause, Missing, Sample, Selector, SignalId, SignalKind, SignalSpec
from watchdog.model.time import MILLISECOND, MINUTE, SECOND, Time
from watchdog.model.verdicts import Breach, Ok
from watchdog.ports.errors import ProbeError
from watchdog.ports.kinds import Duration
from watchdog.ports.probes import Readings
from watchdog.probes import metrics, metrics_endpoints
from watchdog.probes.metrics import MetricRead, MetricsOptions, MetricsProbe
from watchdog.targets.http import HttpOptions, HttpTarget

ONE, TWO, THREE = "127.0.0.1", "127.0.0.2", "127.0.0.3"
STEP = 5 * SECOND
READS = {
    "requests": MetricRead(metric="requests_total", kind="counter"),
    "errors": MetricRead(metric="requests_total", kind="counter", where={"status": "5.."}, absent="zero"),
    "routes": MetricRead(metric="requests_total", kind="counter", split=("status",)),
}


@dataclass
class Pod:
    """A service that counts."""

    fine: float = 0
    bad: float = 0
    page: str | None = None
    hangs: bool = False
    hosts: list[str] = field(default_factory=list)

    async def answer(self, request: web.BaseRequest) -> web.Response:
        self.hosts.append(f"{request.headers['Host']}{request.path} {request.headers['Authorization']}")
        if self.hangs:
            await asyncio.Event().wait()
        page = f'requests_total{{status="200"}} {self.fine}\nrequests_total{{status="500"}} {self.bad}\n'
        return web.Response(text=page if self.page is None else self.page)


@dataclass
class Plain:
    text: str

    def reveal(self) -> str:
        return self.text


class Service:
    """Pods behind the name `shop.internal`, which resolves to those of `addresses`."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.pods: dict[str, Pod] = {}
        self.addresses: list[str] = []
        self.runners: dict[str, web.ServerRunner] = {}
        self.port = 0
        self.tls: ssl.SSLContext | None = None
        self._stack = stack

    async def start(self, address: str, pod: Pod) -> None:
        runner = web.ServerRunner(web.Server(pod.answer, handler_cancellation=True), shutdown_timeout=0.1)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, address, self.port, ssl_context=self.tls).start()
        self.port = runner.addresses[0][1]
        self.pods[address], self.runners[address] = pod, runner
        self.addresses.append(address)

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        assert (host, port) == ("shop.internal", self.port)
        return self.addresses

    def probe(self, reads: Mapping[str, MetricRead] = READS, **options: Any) -> MetricsProbe:
        scheme = "https" if self.tls else "http"
        url = f"{scheme}://shop.internal:{self.port}/base"
        headers = {"Authorization": Plain("Bearer hush")}
        target = HttpTarget("shop", HttpOptions(url=url, timeout=Duration(2 * SECOND), headers=headers))
        self._stack.push_async_callback(target.close)
        return MetricsProbe(target, MetricsOptions(**{"endpoints": "each", **options}), reads, self.resolve)

    def labels(self, address: str) -> tuple[tuple[str, str], ...]:
        return (("endpoint", f"{address}:{self.port}"),)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with AsyncExitStack() as stack:
        yield Service(stack)


def stamped(readings: Readings, at: Time) -> list[Sample]:
    return [
        Sample(SignalId(name, labels), at, value) for name, group in readings.items() for labels, value in group.items()
    ]


def nothing() -> Windows:
    return empty([SignalSpec(name, SignalKind.COUNTER, "shop", STEP) for name in READS], keep=15 * MINUTE)


async def watch(
    service: Service, probe: MetricsProbe, times: int, step: Callable[[int], None], windows: Windows | None = None
) -> Windows:
    """So many readings, with a step before each."""
    windows = windows or nothing()
    for number in range(times):
        step(number)
        windows = observe_all(windows, stamped(await probe.read(), (number + 1) * STEP))
    return windows


async def test_pods_with_different_counters_are_one_steady_sum(service: Service) -> None:
    await service.start(ONE, Pod(fine=1_000_000))
    await service.start(TWO, Pod(fine=5))

    def serve_some(_: int) -> None:
        for pod in service.pods.values():
            pod.fine += 10

    windows = await watch(service, service.probe(), 13, serve_some)
    for number in range(1, 13):
        risen = rise(windows, Selector("requests"), number * STEP, (number + 1) * STEP)
        assert risen is not None
        assert risen.amount == 20


async def test_the_service_is_asked_by_its_name_and_path_and_login(service: Service) -> None:
    await service.start(ONE, Pod())
    await service.probe(path="/metrics").read()
    assert service.pods[ONE].hosts == [f"shop.internal:{service.port}/base/metrics Bearer hush"]


async def test_a_pod_that_starts_anew_resets_its_own_counters_only(service: Service) -> None:
    await service.start(ONE, Pod(fine=1_000_000))
    await service.start(TWO, Pod(fine=5))

    def serve_some(number: int) -> None:
        for pod in service.pods.values():
            pod.fine += 10
        if number == 3:
            service.pods[ONE].fine = 4

    windows = await watch(service, service.probe(), 6, serve_some)
    risen = rise(windows, Selector("requests"), STEP, 6 * STEP)
    assert risen is not None
    assert risen.amount == 5 * 10 + 4 * 10 + 4


async def test_a_pod_that_went_away_is_not_mentioned_any_more(service: Service) -> None:
    await service.start(ONE, Pod(fine=1))
    await service.start(TWO, Pod(fine=2))
    probe = service.probe()
    assert set((await probe.read())["requests"]) == {service.labels(ONE), service.labels(TWO)}
    service.addresses.remove(ONE)
    assert await probe.read() == {
        "requests": {service.labels(TWO): 2.0},
        "errors": {service.labels(TWO): 0.0},
        "routes": {
            (*service.labels(TWO), ("status", "200")): 2.0,
            (*service.labels(TWO), ("status", "500")): 0.0,
        },
    }


async def test_a_new_pod_is_read_from_the_next_reading_on(service: Service) -> None:
    await service.start(ONE, Pod(fine=1))
    probe = service.probe()
    await probe.read()
    await service.start(THREE, Pod(fine=7))
    assert (await probe.read())["requests"] == {service.labels(ONE): 1.0, service.labels(THREE): 7.0}


@pytest.mark.parametrize("broken", ["hangs", "refuses", "talks nonsense"])
async def test_a_pod_that_fails_has_no_values_for_its_own_series_only(service: Service, broken: str) -> None:
    await service.start(ONE, Pod(fine=1))
    await service.start(TWO, Pod(fine=2))
    probe = service.probe(timeout=Duration(600 * MILLISECOND))
    await probe.read()
    service.pods[ONE].hangs = broken == "hangs"
    service.pods[ONE].page = "nonsense"
    if broken == "refuses":
        await service.runners[ONE].cleanup()
    async with asyncio.timeout(0.6):
        readings = await probe.read()
    assert readings["requests"][service.labels(TWO)] == 2.0
    assert readings["routes"][(*service.labels(TWO), ("status", "200"))] == 2.0
    gone = readings["requests"][service.labels(ONE)]
    assert isinstance(gone, Missing)
    assert gone.cause is (Cause.PROBE_BROKEN if broken == "talks nonsense" else Cause.UNREACHABLE)
    assert f"{ONE}:{service.port}" in gone.detail
    assert {labels for labels, value in readings["routes"].items() if isinstance(value, Missing)} == {
        (*service.labels(ONE), ("status", "200")),
        (*service.labels(ONE), ("status", "500")),
    }


async def test_one_metric_that_a_pod_lacks_is_missing_there_only(service: Service) -> None:
    await service.start(ONE, Pod(page="other 1\n"))
    await service.start(TWO, Pod(fine=2))
    readings = await service.probe().read()
    gone = readings["routes"][service.labels(ONE)]
    assert isinstance(gone, Missing)
    assert gone.cause is Cause.PROBE_BROKEN
    assert readings["errors"] == {service.labels(ONE): 0.0, service.labels(TWO): 0.0}


async def test_when_all_fail_the_reading_fails(service: Service) -> None:
    await service.start(ONE, Pod(page="nonsense"))
    await service.start(TWO, Pod(page="nonsense"))
    with pytest.raises(ProbeError, match=rf"endpoint {ONE}:\d+: .*cut off.*none of 1 other") as caught:
        await service.probe().read()
    assert caught.value.cause is Cause.PROBE_BROKEN
    service.addresses.remove(TWO)
    with pytest.raises(ProbeError) as caught:
        await service.probe().read()
    assert "none of" not in str(caught.value)


async def test_a_name_that_resolves_to_nothing_is_unreachable(service: Service) -> None:
    await service.start(ONE, Pod())
    probe = service.probe(timeout=Duration(100 * MILLISECOND))
    service.addresses.clear()
    with pytest.raises(ProbeError, match="has no address") as caught:
        await probe.read()
    assert caught.value.cause is Cause.UNREACHABLE


async def test_a_resolver_that_fails_or_hangs_is_unreachable() -> None:
    async def unknown(_host: str, _port: int) -> Sequence[str]:
        raise OSError("no such host")

    async def hanging(_host: str, _port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return ()

    async def no_name(_host: str, port: int) -> Sequence[str]:
        return await metrics_endpoints.addresses_of("a..b", port)

    cases = ((unknown, "cannot be resolved"), (hanging, "not resolved in time"), (no_name, "cannot be resolved"))
    target = HttpTarget("shop", HttpOptions(url="http://shop.internal"))
    options = MetricsOptions(endpoints="each", timeout=Duration(100 * MILLISECOND))
    for resolve, why in cases:
        with pytest.raises(ProbeError, match=why) as caught:
            await MetricsProbe(target, options, READS, resolve).read()
        assert caught.value.cause is Cause.UNREACHABLE
    await target.close()


async def test_an_address_that_is_none_is_broken() -> None:
    target = HttpTarget("shop", HttpOptions(url="shop.internal"))
    with pytest.raises(ProbeError, match="no HTTP address") as caught:
        await MetricsProbe(target, MetricsOptions(endpoints="each"), READS).read()
    assert caught.value.cause is Cause.PROBE_BROKEN


async def test_an_address_of_the_sixth_version_stands_in_brackets_and_a_strange_one_hurts_no_other(
    service: Service,
) -> None:
    await service.start(ONE, Pod(fine=1))
    service.addresses += ["::1", "fe80::1%lo", "::::1"]
    readings = await service.probe().read()
    found = {dict(labels)["endpoint"]: value for labels, value in readings["requests"].items()}
    assert found.pop(f"{ONE}:{service.port}") == 1.0
    assert set(found) == {f"[::1]:{service.port}", f"[fe80::1%lo]:{service.port}", f"[::::1]:{service.port}"}
    assert all(isinstance(value, Missing) for value in found.values())


async def test_the_systems_resolver_says_every_address() -> None:
    assert ONE in await metrics_endpoints.addresses_of("localhost", 80)
    assert await metrics_endpoints.addresses_of("::1", 80) == ["::1"]


async def test_pods_that_hang_starve_no_other(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_endpoints, "AT_ONCE", 1)
    await service.start(ONE, Pod(hangs=True))
    await service.start(TWO, Pod(hangs=True))
    await service.start(THREE, Pod(fine=3))
    async with asyncio.timeout(1):
        readings = await service.probe(timeout=Duration(SECOND)).read()
    assert readings["requests"][service.labels(THREE)] == 3.0
    assert isinstance(readings["requests"][service.labels(ONE)], Missing)


async def test_no_more_addresses_than_bounded_are_asked(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_endpoints, "MOST", 2)
    for address in (THREE, ONE, TWO):
        await service.start(address, Pod(fine=1))
    service.addresses.append(ONE)
    assert set((await service.probe().read())["requests"]) == {service.labels(ONE), service.labels(TWO)}


async def test_all_pages_together_are_bounded(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_PAGES", 1)
    page = 'requests_total{status="200"} 1\n' + "#" * 600 + "\n"
    await service.start(ONE, Pod(page=page))
    await service.start(TWO, Pod(page=page))
    readings = await service.probe(max_bytes=1_000).read()
    [refused] = [value for value in readings["requests"].values() if isinstance(value, Missing)]
    assert "together" in refused.detail


async def test_too_many_series_over_all_are_refused(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_endpoints, "MAX_SERIES", 3)
    await service.start(ONE, Pod(fine=1))
    await service.start(TWO, Pod(fine=1))
    readings = await service.probe().read()
    [(labels, refused)] = readings["routes"].items()
    assert labels == ()
    assert isinstance(refused, Missing)
    assert "routes has 4 series over all endpoints, more than 3" in refused.detail
    assert len(readings["requests"]) == 2


async def test_a_rule_for_each_endpoint_sees_the_one_bad_pod(service: Service) -> None:
    for address in (ONE, TWO, THREE):
        await service.start(address, Pod())

    def serve_some(_: int) -> None:
        for address, pod in service.pods.items():
            pod.fine, pod.bad = (pod.fine + 970, pod.bad) if address != TWO else (pod.fine, pod.bad + 30)

    windows = await watch(service, service.probe(), 24, serve_some)
    rule = RatioRule(name="pod", bad=Selector("errors"), total=Selector("requests"), above=0.05)
    now = 24 * STEP
    assert isinstance(judge(rule, windows, None, now), Ok)
    each = RatioRule(name="pod", bad=Selector("errors"), total=Selector("requests"), above=0.05, each="endpoint")
    verdict = judge(each, windows, None, now)
    assert isinstance(verdict, Breach)
    assert f'endpoint="{TWO}:{service.port}"' in verdict.evidence.sentence


async def test_with_one_the_name_itself_is_asked(service: Service) -> None:
    await service.start(ONE, Pod(fine=1))
    target = HttpTarget("shop", HttpOptions(url=f"http://{ONE}:{service.port}", headers={"Authorization": Plain("x")}))
    readings = await MetricsProbe(target, MetricsOptions(), READS, service.resolve).read()
    assert readings["requests"] == {(): 1.0}
    await target.close()


def certificate(directory: Path) -> tuple[Path, Path]:
    key, cert = directory / "key.pem", directory / "cert.pem"
    names = ("-subj", "/CN=shop.internal", "-addext", "subjectAltName=DNS:shop.internal")
    files = ("-keyout", str(key), "-out", str(cert))
    subprocess.run(
        ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *files, *names),
        check=True,
        capture_output=True,
    )
    return key, cert


async def test_a_certificate_must_be_that_of_the_services_name(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, cert = await asyncio.to_thread(certificate, tmp_path)
    asked: list[str | None] = []
    service.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    service.tls.load_cert_chain(cert, key)
    service.tls.sni_callback = lambda _socket, name, _context: asked.append(name)
    await service.start(ONE, Pod(fine=1))
    trusting = ssl.create_default_context(cafile=str(cert))
    monkeypatch.setattr(metrics_endpoints, "trusted", lambda: trusting)
    assert (await service.probe().read())["requests"] == {service.labels(ONE): 1.0}
    assert asked == ["shop.internal"]
    monkeypatch.undo()
    with pytest.raises(ProbeError, match="does not answer"):
        await service.probe().read()
