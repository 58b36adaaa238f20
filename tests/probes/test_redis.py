from collections.abc import AsyncIterator, Callable
from typing import Any, get_args

import pytest
import redis.asyncio

from watchdog.model.signals import Cause, Missing, SignalKind
from watchdog.ports.errors import ProbeError
from watchdog.ports.probes import Probe
from watchdog.probes.redis import KIND, Lookups, Of, RedisRead, hit_ratio
from watchdog.targets.redis import RedisOptions, RedisTarget

Build = Callable[..., Probe]

EVERYTHING = {of: RedisRead(of=of) for of in get_args(Of)}


@pytest.fixture
async def target(redis_url: str, secret: Any) -> AsyncIterator[RedisTarget]:
    target = RedisTarget("cache", RedisOptions(url=secret(redis_url)))
    yield target
    await target.close()


async def test_a_running_server_has_a_value_for_everything_once_it_is_read_twice(
    build: Build, target: RedisTarget, redis_url: str
) -> None:
    probe = build(KIND, target, EVERYTHING)
    first = await probe.read()
    not_yet = first["hit_ratio"][()]
    assert isinstance(not_yet, Missing)
    assert not_yet.cause is Cause.NOT_YET
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await client.mset({"a": 1, "b": 2})
        for key in ("a", "b", "a", "gone"):
            await client.get(key)
    readings = await probe.read()
    assert {name: readings[name] for name in ("reachable", "keys", "hit_ratio", "evicted")} == {
        "reachable": {(): 1.0},
        "keys": {(): 2.0},
        "hit_ratio": {(): 0.75},
        "evicted": {(): 0.0},
    }
    memory, clients = readings["used_memory_bytes"][()], readings["connected_clients"][()]
    assert isinstance(memory, float)
    assert isinstance(clients, float)
    assert memory > 100_000
    assert clients >= 1


def test_the_ratio_of_hits_is_between_two_readings_of_one_server_run() -> None:
    assert hit_ratio(Lookups(10, 10), Lookups(13, 11)) == 0.75
    nobody = hit_ratio(Lookups(10, 10), Lookups(10, 10))
    assert isinstance(nobody, Missing)
    assert nobody.cause is Cause.NO_TRAFFIC
    for after_restart in (Lookups(3, 10), Lookups(10, 3)):
        restarted = hit_ratio(Lookups(10, 10), after_restart)
        assert isinstance(restarted, Missing)
        assert restarted.cause is Cause.NOT_YET


async def test_a_server_that_is_not_there_is_a_fact_for_reachable_and_no_value_for_the_rest(
    build: Build, secret: Any, unused_tcp_port: int
) -> None:
    target = RedisTarget("cache", RedisOptions(url=secret(f"redis://:hush-hush@127.0.0.1:{unused_tcp_port}/0")))
    readings = await build(KIND, target, EVERYTHING).read()
    assert readings["reachable"] == {(): 0.0}
    keys = readings["keys"][()]
    assert isinstance(keys, Missing)
    assert keys.cause is Cause.UNREACHABLE
    assert "hush-hush" not in keys.detail
    with pytest.raises(ProbeError, match=r"cache \(127.0.0.1"):
        await build(KIND, target, {"keys": EVERYTHING["keys"]}).read()
    await target.close()


async def test_a_wrong_password_is_a_broken_probe(
    build: Build, target: RedisTarget, redis_url: str, secret: Any
) -> None:
    login = redis_url.replace("redis://", "redis://nobody:hush-hush@")
    refused = RedisTarget("cache", RedisOptions(url=secret(login)))
    with pytest.raises(ProbeError, match="user and password") as caught:
        await build(KIND, refused, EVERYTHING).read()
    assert caught.value.cause is Cause.PROBE_BROKEN
    assert "hush-hush" not in str(caught.value)
    await refused.close()


def test_only_evictions_are_a_counter() -> None:
    counters = [of for of, read in EVERYTHING.items() if KIND.signal_kind(read) is SignalKind.COUNTER]
    assert counters == ["evicted"]
