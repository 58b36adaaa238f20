from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.actions.conftest import Contexts, Plain, Roles
from watchdog.actions.cache_migrations import KIND
from watchdog.actions.release_runs import ReleaseOptions
from watchdog.migrations.cache.apply import apply
from watchdog.migrations.cache.rollback import rollback
from watchdog.migrations.cache.runs import runs, settle
from watchdog.migrations.session import RefusedError
from watchdog.ports.actions import Action, Applied
from watchdog.ports.errors import FencedError, StepError
from watchdog.targets.redis import RedisOptions, RedisTarget

FACTS = {"release": "r1"}
MOVE = "version: 1\nsteps:\n  - move: {from: 'app:v1:', to: 'app:v2:'}\n"
CLEAR = "version: 1\nsteps:\n  - clear: 'app:v2:'\n"
OTHER = "version: 1\nsteps:\n  - clear: 'other:'\n"


@pytest.fixture
async def cache(redis_url: str) -> AsyncIterator[RedisTarget]:
    """Ten keys with two migrations of release `r1`, and one of another."""
    target = RedisTarget("cache", RedisOptions(url=Plain(redis_url)))
    await target.client().mset({f"app:v1:{n}": n for n in range(10)} | {"other:1": "x"})
    await apply(redis_url, MOVE, name="move", release="r1")
    await apply(redis_url, CLEAR, name="tidy", release="r1")
    await apply(redis_url, OTHER, name="other", release="r2")
    yield target
    await target.close()


def step(cache: RedisTarget, **options: object) -> Action:
    return KIND.build("cache", ReleaseOptions(**options), Roles({"cache": cache}))  # type: ignore[arg-type]


async def service_keys(cache: RedisTarget) -> int:
    client: Any = cache.client()
    return len(await client.keys("app:v1:*"))


async def test_a_release_is_taken_back_once_and_no_other(cache: RedisTarget, context: Contexts, redis_url: str) -> None:
    action, mine = step(cache), context(facts=FACTS)
    assert (await action.verify(mine)).applied is Applied.NO
    assert await action.preview(mine) == "would take back tidy, move on cache"
    said = await action.execute(mine)
    assert said.startswith("took back tidy: 10 keys as before")
    assert await action.execute(mine) == said
    assert (await action.verify(mine)).detail == said
    assert await service_keys(cache) == 10
    states = {run.name: run.state for run in await runs(redis_url)}
    assert states == {"move": "rolled back", "tidy": "rolled back", "other": "applied"}


async def test_a_step_that_was_cut_off_goes_on_where_it_was(
    cache: RedisTarget, context: Contexts, redis_url: str
) -> None:
    await rollback(redis_url, 2)
    await step(cache).execute(context(facts=FACTS))
    assert await service_keys(cache) == 10
    assert (await step(cache).verify(context(facts=FACTS))).applied is Applied.YES


async def test_a_stale_leader_takes_nothing_back(cache: RedisTarget, context: Contexts) -> None:
    await step(cache, names=("tidy",)).execute(context(epoch=2, facts=FACTS))
    with pytest.raises(FencedError, match="epoch 2"):
        await step(cache).execute(context(epoch=1, facts=FACTS))
    assert await service_keys(cache) == 0


async def test_a_release_that_was_never_applied_is_named(cache: RedisTarget, context: Contexts) -> None:
    with pytest.raises(StepError, match="No migration of release r9 was applied to cache"):
        await step(cache).execute(context(facts={"release": "r9"}))


async def test_a_release_that_is_taken_back_takes_no_more_migrations(
    cache: RedisTarget, context: Contexts, redis_url: str
) -> None:
    await step(cache).execute(context(facts=FACTS))
    with pytest.raises(RefusedError, match="release r1 is taken back since 20"):
        await apply(redis_url, MOVE, release="r1")
    early = context(facts={"release": "r9", "release_state": "applying"})
    assert await step(cache).execute(early) == "took back nothing, as all is rolled back"
    with pytest.raises(RefusedError, match="release r9 is taken back"):
        await apply(redis_url, MOVE, release="r9")
    assert (await apply(redis_url, MOVE, release="r3")).touched == 10


async def test_a_settled_migration_refuses_everything(cache: RedisTarget, context: Contexts, redis_url: str) -> None:
    await settle(redis_url, 2)
    with pytest.raises(StepError, match="tidy: settled"):
        await step(cache).execute(context(facts=FACTS))
    assert await service_keys(cache) == 0


async def test_an_unreachable_server_cannot_tell(context: Contexts) -> None:
    target = RedisTarget("cache", RedisOptions(url=Plain("redis://user:hunter2@127.0.0.1:1/0")))
    assert (await step(target).verify(context(facts=FACTS))).applied is Applied.CANNOT_TELL
    await target.close()


def test_words_that_no_run_will_know_are_complained_of() -> None:
    assert list(KIND.complaints(ReleaseOptions(release="{realease}"))) != []
    assert list(KIND.complaints(ReleaseOptions(release=""))) != []


async def test_a_file_that_was_not_rehearsed_is_not_taken_back_and_its_release_stays_open(
    cache: RedisTarget, context: Contexts, redis_url: str
) -> None:
    with pytest.raises(StepError, match="not the script that was rehearsed; nothing was done"):
        await step(cache).execute(context(facts={**FACTS, "rehearsed_scripts": "another"}))
    assert await service_keys(cache) == 0
    assert (await apply(redis_url, MOVE, release="r1", name="more")).run
    rehearsed = ",".join(run.script_hash for run in await runs(redis_url))
    assert "took back more" in await step(cache).execute(context(facts={**FACTS, "rehearsed_scripts": rehearsed}))
