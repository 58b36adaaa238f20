"""A Redis database with keys of a service."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio


class Keys:
    """The keys of one database, without the watchdog's own."""

    def __init__(self, url: str, client: redis.asyncio.Redis) -> None:
        self.url = url
        self.client: Any = client

    async def all(self) -> dict[str, Any]:
        """Every key with what it holds."""
        found = {}
        for key in sorted(await self.client.keys()):
            if not key.startswith(b"watchdog:"):
                found[key.decode(errors="backslashreplace")] = await self._value(key)
        return found

    async def ttl(self, key: str) -> int:
        """Milliseconds that a key has left; negative as Redis says it."""
        return int(await self.client.pttl(key))

    async def ours(self) -> list[str]:
        """The watchdog's own keys."""
        return sorted(key.decode() for key in await self.client.keys("watchdog:*"))

    async def _value(self, key: bytes) -> Any:
        match await self.client.type(key):
            case b"string":
                return await self.client.get(key)
            case b"hash":
                return await self.client.hgetall(key)
            case b"set":
                return await self.client.smembers(key)
            case b"list":
                return await self.client.lrange(key, 0, -1)
            case b"zset":
                return await self.client.zrange(key, 0, -1, withscores=True)
            case kind:
                return kind, await self.client.dump(key)


@pytest.fixture
async def keys(redis_url: str) -> AsyncIterator[Keys]:
    """One key of each type and with and without an end, under `app:v1:`; sessions, caches, another application."""
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        keys = Keys(redis_url, client)
        await keys.client.mset({f"app:v1:{n}": f"one {n}" for n in range(30)})
        await keys.client.hset("app:v1:hash", mapping={f"f{n}": n for n in range(600)})
        await keys.client.sadd("app:v1:set", *range(700))
        await keys.client.rpush("app:v1:list", *range(300))
        await keys.client.zadd("app:v1:zset", {f"m{n}": n / 3 for n in range(200)})
        await keys.client.xadd("app:v1:stream", {"a": 1})
        await keys.client.set(b"app:v1:\xff\x00", b"\x00\xff")
        await keys.client.set("app:v1:ends", "soon", px=500_000)
        await keys.client.mset({f"app:cache:{n}": "c" * 50 for n in range(40)})
        await keys.client.set("app:cache:ends", "x", px=90_000)
        await keys.client.mset({"app:session:1": "s1", "app:session:2": "s2", "billing:1": "b", "app:v10": "no"})
        yield keys
