"""Redis as a process."""

from pathlib import Path

import pytest
from redis.asyncio import Redis

from watchdog.servers.errors import ServerError
from watchdog.servers.process import is_alive
from watchdog.servers.redis import RedisServer


async def test_a_database_of_a_test_is_empty_and_works(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        assert await client.dbsize() == 0
        await client.set("key", "value")
        assert await client.get("key") == b"value"


async def test_what_was_answered_survives_a_kill(server_dir: Path) -> None:
    async with await RedisServer.start(server_dir / "data") as server:
        async with Redis.from_url(server.url(3)) as client:
            await client.set("key", "value")
            pid = server.pid

            server.kill()
            await server.restart()

            assert not is_alive(pid)
        async with Redis.from_url(server.url(3)) as client:
            assert await client.get("key") == b"value"


async def test_it_listens_on_the_loopback_address_only(redis_server: RedisServer) -> None:
    async with Redis.from_url(redis_server.url()) as client:
        assert await client.config_get("bind") == {"bind": "127.0.0.1"}


async def test_stopping_leaves_no_process_and_keeps_the_data_for_the_next_start(server_dir: Path) -> None:
    server = await RedisServer.start(server_dir / "data")
    async with Redis.from_url(server.url()) as client:
        await client.set("key", "value")
    await server.stop()
    await server.stop()
    assert not is_alive(server.pid)

    async with await RedisServer.start(server_dir / "data") as again, Redis.from_url(again.url()) as client:
        assert await client.get("key") == b"value"


async def test_a_port_in_use_is_named_with_the_end_of_the_log(redis_server: RedisServer, server_dir: Path) -> None:
    with pytest.raises(ServerError, match=f"(?s)port {redis_server.port}.*already in use"):
        await RedisServer.start(server_dir / "data", port=redis_server.port)


async def test_a_broken_data_file_is_refused_with_the_end_of_the_log(server_dir: Path) -> None:
    data = server_dir / "data"
    data.mkdir()
    (data / "appendonly.aof").write_text("no such format")
    with pytest.raises(ServerError, match=r"(?s)ended with status.*Bad file format"):
        await RedisServer.start(data)
