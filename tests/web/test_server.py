import asyncio
import os
import signal
import socket
import stat
from pathlib import Path

import httpx
import pytest

from tests.web.conftest import Site
from watchdog.web.server import Serving, serve
from watchdog.web.sockets import ListenError, tcp_listener, unix_listener


def there(path: Path) -> bool:
    return path.exists()


def precious(path: Path) -> str:
    path.parent.mkdir()
    path.write_text("precious")
    return path.read_text()


def read(path: Path) -> str:
    return path.read_text()


async def ask_within(site: Site, path: Path, client: httpx.AsyncClient) -> None:
    async with serve(site.daemon, path):
        assert (await client.get("/v1/status")).status_code == 200


async def break_off(site: Site, path: Path) -> None:
    async with serve(site.daemon, path):
        assert await ask(path) == 200
        raise KeyError("mine")


async def ask(path: Path) -> int:
    transport = httpx.AsyncHTTPTransport(uds=str(path))
    async with httpx.AsyncClient(transport=transport, base_url="http://watchdog", trust_env=False) as client:
        return (await client.get("/v1/status")).status_code


async def test_only_the_owner_may_open_the_socket(serving: Serving) -> None:
    mode = serving.socket.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    assert stat.S_IMODE(serving.socket.parent.stat().st_mode) == 0o700


async def test_the_socket_goes_with_the_server_and_what_the_block_raises_comes_through(
    site: Site, socket_path: Path
) -> None:
    with pytest.raises(KeyError, match="mine"):
        await break_off(site, socket_path)
    assert not there(socket_path)


async def test_a_stale_socket_is_replaced(site: Site, socket_path: Path) -> None:
    socket_path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(socket_path))
        dead.listen()
    assert there(socket_path)
    async with serve(site.daemon, socket_path):
        assert await ask(socket_path) == 200


async def test_a_live_socket_is_refused_and_goes_on_answering(site: Site, serving: Serving, socket_path: Path) -> None:
    with pytest.raises(ListenError, match=f"another daemon answers at {socket_path}: stop it first"):
        async with serve(site.daemon, socket_path):
            pass
    assert await ask(serving.socket) == 200


async def test_a_file_that_is_no_socket_is_left_alone(site: Site, socket_path: Path) -> None:
    text = precious(socket_path)
    with pytest.raises(ListenError, match="is no socket: move it away"):
        async with serve(site.daemon, socket_path):
            pass
    assert read(socket_path) == text


def test_a_path_that_is_too_long_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with (
        pytest.raises(ListenError, match=r"longer than 107 bytes: set `web.socket`"),
        unix_listener(tmp_path / ("x" * 108)),
    ):
        pass


def test_a_successor_keeps_its_socket_when_the_first_goes(socket_path: Path) -> None:
    with unix_listener(socket_path):
        socket_path.unlink()
        successor = unix_listener(socket_path)
        successor.__enter__()
    assert socket_path.exists()
    successor.__exit__(None, None, None)
    assert not socket_path.exists()


async def test_a_taken_port_is_named_and_the_socket_is_given_back(site: Site, socket_path: Path) -> None:
    with tcp_listener("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=rf"cannot serve metrics at 127\.0\.0\.1:{port} .* change `web.metrics`"):
            async with serve(site.daemon, socket_path, ("127.0.0.1", port)):
                pass
    assert not there(socket_path)


async def test_without_an_address_there_are_no_metrics(site: Site, socket_path: Path) -> None:
    async with serve(site.daemon, socket_path) as running:
        assert running.metrics is None


async def test_signals_stay_the_daemons(site: Site, socket_path: Path) -> None:
    heard = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, heard.set)
    try:
        mine = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
        async with serve(site.daemon, socket_path):
            assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == mine
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(heard.wait(), 5)
            assert await ask(socket_path) == 200
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


async def test_a_kept_alive_connection_does_not_delay_the_end(site: Site, socket_path: Path) -> None:
    transport = httpx.AsyncHTTPTransport(uds=str(socket_path))
    async with httpx.AsyncClient(transport=transport, base_url="http://watchdog", trust_env=False) as client:
        await asyncio.wait_for(ask_within(site, socket_path, client), 4)


async def test_live_answers_before_ready_does(site: Site, tcp: httpx.AsyncClient) -> None:
    assert (await tcp.get("/health/live")).status_code == 200
    starting = await tcp.get("/health/ready")
    assert starting.status_code == 503
    assert starting.json() == {"ready": False, "reason": "guard shop has not been judged yet"}
    await site.seconds(1)
    watching = await tcp.get("/health/ready")
    assert (watching.status_code, watching.json()) == (200, {"ready": True, "reason": "watching"})


async def test_the_network_side_knows_no_guards_and_takes_no_words(tcp: httpx.AsyncClient) -> None:
    assert (await tcp.get("/v1/status")).status_code == 404
    assert (await tcp.post("/metrics")).status_code == 405
