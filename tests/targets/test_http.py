from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests.actions.conftest import Plain
from watchdog.ports.errors import TargetError
from watchdog.servers.process import free_port
from watchdog.targets.http import HttpOptions, HttpTarget, HttpUnsentError


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """A service that echoes one header, and answers with as many bytes as it is asked for."""

    async def echo(request: web.Request) -> web.Response:
        return web.Response(text=request.headers.get("X-Token", ""))

    async def fill(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * int(request.match_info["size"]))

    app = web.Application()
    app.router.add_get("/echo", echo)
    app.router.add_get("/fill/{size}", fill)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_body_is_read_to_its_bound_only(url: str) -> None:
    target = HttpTarget("service", HttpOptions(url=url))
    assert len((await target.request("GET", "/fill/100", max_body=100)).body) == 100
    with pytest.raises(TargetError, match="more than 100 bytes"):
        await target.request("GET", "/fill/101", max_body=100)
    await target.close()


async def test_headers_are_resolved_at_each_request(url: str) -> None:
    class Rotating(Plain):
        turns = 0

        def reveal(self) -> str:
            type(self).turns += 1
            return f"token {self.turns}"

    target = HttpTarget("service", HttpOptions(url=url, headers={"X-Token": Rotating("")}))
    assert [(await target.request("GET", "/echo")).body for _ in range(2)] == [b"token 1", b"token 2"]
    await target.close()


async def test_proxies_of_the_environment_are_not_used(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    target = HttpTarget("service", HttpOptions(url=url))
    assert (await target.request("GET", "/echo")).status == 200
    await target.close()


@pytest.mark.parametrize(
    "address",
    [
        *("ftp://127.0.0.1", "127.0.0.1", "http://user:hunter2@127.0.0.1:{port}"),
        *("http://127.0.0.1:99999", "http://127.0.0.1:x", "http://127.0.0.1:0", "http://user:p/hunter2@127.0.0.1"),
    ],
)
async def test_a_service_that_cannot_be_reached_is_named_without_login(address: str) -> None:
    target = HttpTarget("service", HttpOptions(url=address.format(port=free_port())))
    with pytest.raises(HttpUnsentError, match="service") as caught:
        await target.request("GET", "/x")
    assert "hunter2" not in str(caught.value)
    await target.close()
