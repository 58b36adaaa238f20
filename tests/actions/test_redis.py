import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import stamina

from tests.actions.conftest import Contexts, Plain, Roles
from watchdog.actions.redis import KIND, RedisActionOptions
from watchdog.ports.actions import Action, Applied
from watchdog.ports.errors import FencedError, StepError, TargetError
from watchdog.servers.redis import RedisServer
from watchdog.targets.redis import RedisOptions, RedisTarget


@pytest.fixture
async def cache(redis_url: str) -> AsyncIterator[RedisTarget]:
    """1,200 cache entries, a session, another application's key."""
    target = RedisTarget("cache", RedisOptions(url=Plain(redis_url)))
    await target.client().mset({f"app:cache:{number}": "x" for number in range(1200)})
    await target.client().mset(
        {"app:session:1": "s", "billing:1": "b", "app:cache*": "not under it", "app:cached": "c"}
    )
    yield target
    await target.close()


def step(cache: RedisTarget, **options: object) -> Action:
    return KIND.build("cache", RedisActionOptions(**options), Roles({"cache": cache}))  # type: ignore[arg-type]


async def test_exactly_the_prefix_is_cleared(cache: RedisTarget, context: Contexts) -> None:
    action = step(cache, clear=("app:cache:",), never=("app:session:",))
    mine = context()
    assert (await action.verify(mine)).applied is Applied.NO
    assert await action.preview(mine) == "would delete 1200 keys under app:cache:"
    assert await action.execute(mine) == "deleted 1200 keys under app:cache:"
    left = set(await cache.client().keys())
    assert left == {b"app:session:1", b"billing:1", b"app:cache*", b"app:cached", b"watchdog:fence:compliance"}
    assert (await action.verify(mine)).applied is Applied.YES
    assert await action.execute(mine) == "deleted 0 keys under app:cache:"


async def test_special_characters_of_a_prefix_are_literal(cache: RedisTarget, context: Contexts) -> None:
    await cache.client().mset({"a[b]?:1": "x", "ab?:1": "x", "a[b]x:1": "x"})
    assert await step(cache, clear=("a[b]?:",)).execute(context()) == "deleted 1 keys under a[b]?:"


async def test_too_many_keys_delete_none(cache: RedisTarget, context: Contexts) -> None:
    with pytest.raises(StepError, match="More than 1199 keys"):
        await step(cache, clear=("app:cache:",), max_keys=1199).execute(context())
    assert await cache.client().exists("app:cache:0", "app:cache:1199") == 2


async def test_a_stale_leader_deletes_nothing(cache: RedisTarget, context: Contexts) -> None:
    await step(cache, clear=("other:",)).execute(context(epoch=7))
    with pytest.raises(FencedError, match="epoch 7"):
        await step(cache, clear=("app:cache:",)).execute(context(epoch=6))
    with pytest.raises(FencedError):
        await cache.unlink("compliance", 6, [b"app:cache:1"])
    assert await cache.client().exists("app:cache:1")


async def test_an_unreachable_server_is_named_without_its_password(context: Contexts) -> None:
    target = RedisTarget("cache", RedisOptions(url=Plain("redis://user:hunter2@127.0.0.1:1/0")))
    with (
        stamina.set_testing(True, attempts=2),
        pytest.raises(StepError, match=r"cache \(127\.0\.0\.1:1/0\) does not answer") as caught,
    ):
        await step(target, clear=("app:",)).execute(context())
    assert "hunter2" not in str(caught.value)
    with pytest.raises(TargetError, match="does not answer") as asked:
        await step(target, clear=("app:",)).verify(context())
    assert asked.value.away
    await target.close()


async def test_a_server_that_is_away_is_waited_for(tmp_path: Path, context: Contexts) -> None:
    async with await RedisServer.start(tmp_path / "redis") as server:
        target = RedisTarget("cache", RedisOptions(url=Plain(server.url())))
        await target.client().mset({"app:cache:1": "x", "app:session:1": "s"})
        await target.client().save()
        server.kill()
        work = asyncio.create_task(step(target, clear=("app:cache:",)).execute(context()))
        await server.restart()
        assert await work == "deleted 1 keys under app:cache:"
        assert await target.client().exists("app:session:1") == 1
        await target.close()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"clear": ()}, "clear is empty"),
        ({"clear": ("",)}, "would empty the database"),
        ({"clear": ("*",)}, "would empty the database"),
        ({"clear": ("app:*",)}, "leave out the"),
        ({"clear": ("app:",), "never": ("app:session:",)}, "holds the protected"),
        ({"clear": ("app:session:a",), "never": ("app:session:",)}, "lies under the protected"),
        ({"clear": ("app:",), "never": ("",)}, "protects everything"),
        ({"clear": ("app:",), "max_keys": 0}, "1 or more"),
        ({"clear": ("watchdog:",)}, "holds the protected 'watchdog:'"),
        ({"clear": ("watchdog:fence:",)}, "lies under the protected 'watchdog:'"),
        ({"clear": ("w",)}, "holds the protected 'watchdog:'"),
        ({"clear": ("a",)}, "3 characters or more"),
        ({"clear": (":",)}, "3 characters or more"),
        ({"clear": ("a:",)}, "3 characters or more"),
        ({"clear": ("compliance",)}, "last"),
    ],
)
def test_a_clear_that_reaches_too_far_is_refused(options: dict[str, object], says: str) -> None:
    assert any(says in each for each in KIND.complaints(RedisActionOptions(**options)))  # type: ignore[arg-type]


async def test_what_reaches_too_far_is_not_run_even_if_nobody_checked_it(cache: RedisTarget, context: Contexts) -> None:
    await step(cache, clear=("other:",)).execute(context(epoch=7))
    with pytest.raises(StepError, match="Nothing was deleted"):
        await step(cache, clear=("watchdog:",)).execute(context(epoch=7))
    assert await cache.client().exists("watchdog:fence:compliance") == 1
