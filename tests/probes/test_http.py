import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from watchdog.model.signals import Cause, Missing, SignalKind
from watchdog.ports.errors import ProbeError
from watchdog.ports.probes import Probe
from watchdog.probes.http import KIND, HttpOptions, HttpRead
from watchdog.targets.http import HttpOptions as TargetOptions
from watchdog.targets.http import HttpTarget

Serve = Callable[[Callable[[web.Request], Any]], Awaitable[HttpTarget]]
Build = Callable[..., Probe]

BOTH = {"up": HttpRead(of="status_ok"), "latency": HttpRead(of="seconds")}


class TickingClock:
    """Each look at it is a quarter of a second after the last."""

    def __init__(self) -> None:
        self._now = 0

    def now(self) -> int:
        self._now += 250_000_000
        return self._now

    def wall_offset(self) -> int:
        return 0

    async def sleep(self, length: int) -> None:
        self._now += length


async def test_a_healthy_service_answers_with_status_and_seconds(serve: Serve, build: Build) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=200 if request.path == "/health" else 404)

    probe = build(KIND, await serve(handler), BOTH, clock=TickingClock())
    assert await probe.read() == {"up": {(): 1.0}, "latency": {(): 0.25}}


@pytest.mark.parametrize(("status", "ok"), [(204, 1.0), (503, 0.0), (302, 0.0)])
async def test_a_status_is_ok_when_it_is_expected(serve: Serve, build: Build, status: int, ok: float) -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(status=status)

    probe = build(KIND, await serve(handler), BOTH, expect=(200, 204))
    readings = await probe.read()
    assert readings["up"] == {(): ok}
    assert isinstance(readings["latency"][()], float)


async def test_a_huge_answer_is_not_read_to_its_end(serve: Serve, build: Build) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(b"x" * 65_536)

    readings = await build(KIND, await serve(handler), BOTH).read()
    assert readings["up"] == {(): 1.0}


async def hangs(_request: web.Request) -> web.Response:
    await asyncio.Event().wait()
    return web.Response()


async def test_a_service_that_does_not_answer_in_time_is_not_ok_and_has_no_seconds(serve: Serve, build: Build) -> None:
    readings = await build(KIND, await serve(hangs), BOTH).read()
    assert readings["up"] == {(): 0.0}
    latency = readings["latency"][()]
    assert isinstance(latency, Missing)
    assert latency.cause is Cause.UNREACHABLE
    assert "api (127.0.0.1" in latency.detail


async def test_a_refused_connection_is_not_ok(build: Build, unused_tcp_port: int) -> None:
    target = HttpTarget("api", TargetOptions(url=f"http://127.0.0.1:{unused_tcp_port}"))
    assert (await build(KIND, target, BOTH).read())["up"] == {(): 0.0}
    with pytest.raises(ProbeError, match="does not answer") as caught:
        await build(KIND, target, {"latency": HttpRead(of="seconds")}).read()
    assert caught.value.cause is Cause.UNREACHABLE
    await target.close()


async def test_an_address_that_is_none_is_a_broken_probe(build: Build) -> None:
    target = HttpTarget("api", TargetOptions(url="ftp://127.0.0.1"))
    with pytest.raises(ProbeError, match="no HTTP address") as caught:
        await build(KIND, target, BOTH).read()
    assert caught.value.cause is Cause.PROBE_BROKEN
    await target.close()


def test_expect_must_name_statuses() -> None:
    with pytest.raises(ValueError, match="expect must name"):
        HttpOptions(expect=())
    assert KIND.signal_kind(HttpRead(of="seconds")) is SignalKind.GAUGE
