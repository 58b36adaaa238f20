"""One request in twenty goes to the canary, and the page of metrics holds both versions."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client import Counter as Counted
from prometheus_client.parser import text_string_to_metric_families

from watchdog.demo.gateway import Gateway, merged


@asynccontextmanager
async def service(name: str) -> AsyncIterator[str]:
    registry = CollectorRegistry()
    requests = Counted("requests", "All.", ("version",), registry=registry)

    async def answer(request: web.Request) -> web.Response:
        requests.labels(name).inc()
        return web.json_response({"by": name, "body": await request.text()}, status=201)

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry))

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def gateway(stable: str) -> AsyncIterator[Gateway]:
    made = Gateway(stable)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
        await made.stop()


async def test_a_share_goes_to_the_canary_and_metrics_show_both() -> None:
    async with service("v1") as old, service("v2") as new, gateway(old) as front, aiohttp.ClientSession() as http:
        front.begin_canary(new, 0.05)
        seen: Counter[str] = Counter()
        for _ in range(40):
            async with http.post(f"{front.url}/any", data="x") as response:
                assert response.status == 201
                answer = await response.json()
                assert answer["body"] == "x"
                seen[answer["by"]] += 1
        assert seen == {"v1": 38, "v2": 2}
        async with http.get(f"{front.url}/flags") as response:
            assert (await response.json())["by"] == "v2"
        async with http.get(f"{front.url}/metrics") as response:
            [family] = [f for f in text_string_to_metric_families(await response.text()) if f.name == "requests"]
    assert {sample.labels["version"]: sample.value for sample in family.samples} == {"v1": 38.0, "v2": 3.0}


async def test_without_a_canary_everything_goes_to_the_old_version_and_nobody_there_is_502() -> None:
    async with service("v1") as old, gateway(old) as front, aiohttp.ClientSession() as http:
        async with http.get(f"{front.url}/any") as response:
            assert (await response.json())["by"] == "v1"
        front.begin_canary("http://127.0.0.1:9", 1.0)
        async with http.get(f"{front.url}/any") as response:
            assert response.status == 502


@pytest.mark.parametrize("value", ['a"b', "a\\b", "a\nb", "ä"])
def test_labels_survive(value: str) -> None:
    registry = CollectorRegistry()
    Counted("requests", "All.", ("path",), registry=registry).labels(value).inc(3)
    page = generate_latest(registry).decode()
    families = {f.name: f for f in text_string_to_metric_families(merged([page, page]))}
    [sample] = [one for one in families["requests"].samples if one.name == "requests_total"]
    assert (sample.labels["path"], sample.value) == (value, 6.0)
