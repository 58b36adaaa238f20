"""Applying a migration of keys, and taking it back."""

import asyncio
import random
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from tests.migrations.cache.conftest import Keys
from watchdog.migrations.cache.apply import apply
from watchdog.migrations.cache.rollback import rollback
from watchdog.migrations.cache.runs import runs, settle
from watchdog.migrations.cache.store import Store
from watchdog.migrations.session import RefusedError
from watchdog.ports.errors import TargetError, WatchdogError
from watchdog.servers.redis import RedisServer

ALL = """\
version: 1
never: ["app:session:"]
steps:
  - move: {from: "app:v1:", to: "app:v2:"}
  - clear: "app:cache:"
"""


def only(step: str, head: str = "") -> str:
    return f"version: 1\nnever: ['app:session:']\n{head}steps:\n  - {step}\n"


MOVE = only("move: {from: 'app:v1:', to: 'app:v2:'}")
COPY = only("move: {from: 'app:v1:', to: 'app:v2:', keep: true}")
CLEAR = only("clear: 'app:cache:'")
EXPIRE = only("expire: {prefix: 'app:v1:', seconds: 600}")


async def test_keys_move_and_come_back_with_their_ends(keys: Keys) -> None:
    before = await keys.all()
    applied = await apply(keys.url, ALL, name="v2", release="r1")
    during = await keys.all()
    assert {key for key in during if key.startswith(("app:v1:", "app:cache:"))} == set()
    moved = {key.replace("v2", "v1"): value for key, value in during.items() if key.startswith("app:v2:")}
    assert moved == {key: value for key, value in before.items() if key.startswith("app:v1:")}
    assert 499_000 < await keys.ttl("app:v2:ends") <= 500_000
    assert applied.touched == applied.archived == len(moved) + 41
    report = await rollback(keys.url, applied.run)
    assert await keys.all() == before
    assert 498_000 < await keys.ttl("app:v1:ends") <= 500_000
    assert 88_000 < await keys.ttl("app:cache:ends") <= 90_000
    assert await keys.ttl("app:v1:1") == -1
    assert (report.restored, report.archived) == (applied.touched, 0)
    [run] = await runs(keys.url)
    assert (run.run, run.name, run.release, run.state) == (1, "v2", "r1", "rolled back")
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", run.began_at)


async def test_a_later_write_wins_and_the_loser_stays_in_the_archive(keys: Keys) -> None:
    await apply(keys.url, ALL)
    await keys.client.set("app:cache:1", "newer")
    await keys.client.set("app:v2:1", "newer")  # written under the new name
    await keys.client.set("app:v1:2", "old code")  # written under the old name
    await keys.client.mset({"app:v1:3": "old code", "app:v2:3": "new code"})
    await keys.client.delete("app:v2:4")
    await keys.client.sadd("app:v2:set", "one more")
    await keys.client.persist("app:v2:ends")
    report = await rollback(keys.url, 1)
    left = await keys.all()
    assert left["app:cache:1"] == left["app:v1:1"] == left["app:v2:1"] == b"newer"
    assert left["app:v1:2"] == b"old code"
    assert "app:v2:2" not in left
    assert (left["app:v1:3"], left["app:v2:3"]) == (b"old code", b"new code")
    assert "app:v1:4" not in left
    assert b"one more" in left["app:v1:set"]
    assert await keys.ttl("app:v1:ends") == -1
    assert (report.carried, report.kept, report.deleted, report.archived) == (3, 3, 1, 7)
    assert await keys.client.hget("watchdog:run:1:0:before", "app:v1:2") is not None


async def test_reading_a_set_does_not_look_like_a_write(keys: Keys) -> None:
    before = await keys.all()
    await apply(keys.url, MOVE)
    for _ in range(500):
        await keys.client.srandmember("app:v2:set")
    assert (await rollback(keys.url, 1)).carried == 0
    assert await keys.all() == before


async def test_copies_vanish_unless_users_wrote_them_and_old_keys_were_never_touched(keys: Keys) -> None:
    before = await keys.all()
    applied = await apply(keys.url, COPY)
    assert {key: value for key, value in (await keys.all()).items() if not key.startswith("app:v2:")} == before
    assert 498_000 < await keys.ttl("app:v2:ends") <= 500_000
    await keys.client.set("app:v2:1", "newer")
    report = await rollback(keys.url, applied.run)
    assert await keys.all() == {**before, "app:v2:1": b"newer"}
    assert (report.removed, report.kept) == (applied.touched - 1, 1)


async def test_settling_removes_the_old_of_a_copy_but_no_later_write(keys: Keys) -> None:
    await apply(keys.url, COPY)
    await keys.client.set("app:v1:1", "old code")
    settled = await settle(keys.url, 1)
    left = await keys.all()
    assert [key for key in left if key.startswith("app:v1:")] == ["app:v1:1"]
    assert left["app:v2:2"] == b"one 2"
    assert (settled.state, settled.kept) == ("settled", 1)
    with pytest.raises(RefusedError, match="settled: nothing to take back"):
        await rollback(keys.url, 1)


async def test_an_expiry_is_given_at_most_and_taken_back(keys: Keys) -> None:
    before = await keys.all()
    await keys.client.set("app:v1:long", "x", px=5_000_000)
    applied = await apply(keys.url, EXPIRE)
    assert 598_000 < await keys.ttl("app:v1:1") <= 600_000
    assert 598_000 < await keys.ttl("app:v1:long") <= 600_000
    assert await keys.ttl("app:v1:ends") <= 500_000
    await keys.client.hset("app:v1:hash", "f1", "newer")  # a later value, the expiry still the migration's
    await keys.client.set("app:v1:2", "newer", px=42_000)
    await keys.client.delete("app:v1:3")
    report = await rollback(keys.url, applied.run)
    assert await keys.ttl("app:v1:1") == await keys.ttl("app:v1:hash") == -1
    assert 4_990_000 < await keys.ttl("app:v1:long") <= 5_000_000
    assert await keys.ttl("app:v1:2") <= 42_000
    assert (report.kept, report.deleted) == (1, 1)
    assert (await keys.all())["app:v1:hash"][b"f1"] == b"newer"
    assert before.keys() - (await keys.all()).keys() == {"app:v1:3"}


async def test_what_expired_by_the_migration_comes_back(keys: Keys) -> None:
    before = await keys.all()
    await apply(keys.url, only("expire: {prefix: 'app:cache:', seconds: 1}"))
    await keys.client.blpop("nothing", timeout=1.2)  # the server's own clock has to pass it
    assert not [key for key in await keys.all() if key.startswith("app:cache:")]
    await rollback(keys.url, 1)
    assert await keys.all() == before


async def test_a_key_whose_time_came_meanwhile_stays_away(keys: Keys) -> None:
    await keys.client.set("app:cache:brief", "x", px=300)
    await apply(keys.url, CLEAR)
    await keys.client.blpop("nothing", timeout=0.5)
    assert (await rollback(keys.url, 1)).expired == 1
    assert "app:cache:brief" not in await keys.all()


async def test_protected_keys_stay_even_where_prefixes_overlap(keys: Keys) -> None:
    wide = "version: 1\nnever: ['app:session:', 'app:v1:1']\nsteps:\n  - clear: 'app:'\n"
    before = await keys.all()
    applied = await apply(keys.url, wide)
    left = await keys.all()
    assert set(left) == {
        "app:session:1",
        "app:session:2",
        "billing:1",
        "app:v1:1",
        *(f"app:v1:1{n}" for n in range(10)),
    }
    assert applied.protected == 13
    await rollback(keys.url, 1)
    assert await keys.all() == before


async def test_a_key_does_not_move_onto_a_protected_name(keys: Keys) -> None:
    await keys.client.set("app:v1:session:9", "forged")
    await apply(keys.url, "version: 1\nnever: ['sys:session:']\nsteps:\n  - move: {from: 'app:v1:', to: 'sys:'}\n")
    left = await keys.all()
    assert left["app:v1:session:9"] == b"forged"
    assert "sys:session:9" not in left
    assert left["sys:1"] == b"one 1"


async def test_a_key_that_stands_under_the_new_name_stays(keys: Keys) -> None:
    await keys.client.set("app:v2:1", "first")
    before = await keys.all()
    assert (await apply(keys.url, MOVE)).there == 1
    assert (await keys.all())["app:v2:1"] == b"first"
    await rollback(keys.url, 1)
    assert await keys.all() == before


async def test_steps_on_each_others_keys_come_back_in_reverse(keys: Keys) -> None:
    before = await keys.all()
    await apply(keys.url, "version: 1\nsteps:\n  - move: {from: 'app:v1:', to: 'app:v2:'}\n  - clear: 'app:v2:'\n")
    assert [key for key in await keys.all() if key.startswith("app:v")] == ["app:v10"]
    await rollback(keys.url, 1)
    assert await keys.all() == before


async def test_what_is_too_much_changes_nothing(keys: Keys) -> None:
    before = await keys.all()
    with pytest.raises(RefusedError, match="41 keys or more have these prefixes, cap is 40"):
        await apply(keys.url, only("clear: 'app:cache:'", "cap: 40\n"))
    with pytest.raises(RefusedError, match="budget is 100"):
        await apply(keys.url, only("clear: 'app:cache:'", "budget: 100\n"))
    assert await keys.all() == before
    assert await keys.ours() == []


async def test_what_nobody_archives_is_counted_and_not_promised(keys: Keys) -> None:
    applied = await apply(keys.url, "version: 1\nsteps:\n  - {clear: 'app:cache:', archive: false}\n")
    assert (applied.dropped, applied.archived, applied.bytes) == (41, 0, 0)
    report = await rollback(keys.url, 1)
    assert (report.not_archived, report.restored) == (41, 0)


async def test_an_archive_that_is_gone_is_said_and_nothing_is_done(keys: Keys) -> None:
    await apply(keys.url, CLEAR)
    await keys.client.delete("watchdog:run:1:0:before")
    with pytest.raises(RefusedError, match="not whole: 0 of 41 values are there"):
        await rollback(keys.url, 1)


async def test_an_archive_ends_by_itself(keys: Keys) -> None:
    await apply(keys.url, only("clear: 'app:cache:'", "expires: 2h\n"))
    assert 7_190_000 < await keys.ttl("watchdog:run:1:0:before") <= 7_200_000
    assert await keys.ttl("watchdog:run:1:0:entries") > 0


async def test_a_later_run_on_the_same_keys_goes_back_first(keys: Keys) -> None:
    before = await keys.all()
    await apply(keys.url, MOVE)
    await apply(keys.url, only("clear: 'app:v2:'"))
    with pytest.raises(RefusedError, match="run 2 works on the same keys"):
        await rollback(keys.url, 1)
    await rollback(keys.url, 2)
    await rollback(keys.url, 1)
    assert await keys.all() == before
    with pytest.raises(RefusedError, match="rolled back: nothing to take back"):
        await rollback(keys.url, 1)
    with pytest.raises(WatchdogError, match="no run 9"):
        await rollback(keys.url, 9)


class DiedError(BaseException):
    """What no `except` of the program catches, as a kill."""


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets the process die after so many calls of scripts."""
    monkeypatch.setattr("watchdog.migrations.cache.store.PAGE", 15)
    run = Store._run

    def after(calls: int) -> None:
        left = calls

        async def counted(*args: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise DiedError
            return await run(*args)

        monkeypatch.setattr(Store, "_run", counted)

    return after


EVERYTHING = ALL + "  - expire: {prefix: 'billing:', seconds: 900}\n"


@pytest.mark.parametrize("batches", range(0, 24, 2))
async def test_killed_between_two_batches_a_rollback_brings_all_back(keys: Keys, dying: Any, batches: int) -> None:
    before = await keys.all()
    dying(4 + batches)
    with suppress(DiedError):
        await apply(keys.url, EVERYTHING)
    for calls in (3, 5, 1000):  # and the rollback dies twice
        dying(calls)
        with suppress(DiedError):
            for run in await runs(keys.url):
                if run.state != "rolled back":
                    await rollback(keys.url, run.run)
    assert await keys.all() == before
    assert 490_000 < await keys.ttl("app:v1:ends") <= 500_000
    assert await keys.ttl("billing:1") == -1


@pytest.mark.parametrize("batches", range(1, 24, 3))
async def test_killed_between_two_batches_applying_again_goes_on(keys: Keys, dying: Any, batches: int) -> None:
    before = await keys.all()
    dying(4 + batches)
    try:
        await apply(keys.url, EVERYTHING)
    except DiedError:
        await keys.client.set("app:v1:after", "written by old code")
    dying(1000)
    [*found] = await runs(keys.url)
    if not found or found[0].state == "applying":
        assert (await apply(keys.url, EVERYTHING)).run == 1
    during = await keys.all()
    assert not [key for key in during if key.startswith("app:cache:")]
    await rollback(keys.url, 1)
    after = await keys.all()
    after.pop("app:v1:after", None)
    after.pop("app:v2:after", None)
    assert after == before


async def test_what_users_wrote_meanwhile_is_not_touched_when_it_goes_on(keys: Keys, dying: Any) -> None:
    dying(9)
    with suppress(DiedError):
        await apply(keys.url, CLEAR)
    gone = [key.decode() for key in await keys.client.hkeys("watchdog:run:1:0:entries")]
    assert 0 < len(gone) < 41
    await keys.client.set(gone[0], "written meanwhile")
    dying(1000)
    with pytest.raises(RefusedError, match="run 1 is still applying"):
        await apply(keys.url, CLEAR, release="another")
    dying(1000)
    await apply(keys.url, CLEAR)
    assert (await keys.all())[gone[0]] == b"written meanwhile"
    assert (await rollback(keys.url, 1)).kept == 1
    assert (await keys.all())[gone[0]] == b"written meanwhile"


async def test_a_process_killed_half_way_loses_nothing(keys: Keys) -> None:
    pipe = keys.client.pipeline()
    for n in range(20_000):
        pipe.set(f"app:v1:many:{n}", n)
    await pipe.execute()
    before = await keys.all()
    code = (
        f"import asyncio; from watchdog.migrations.cache.apply import apply; asyncio.run(apply({keys.url!r}, {ALL!r}))"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=Path(__file__).parents[3])
    try:
        while int(await keys.client.hget("watchdog:run:1", "touched") or 0) < 3_000:
            assert process.returncode is None
    finally:
        process.kill()
        await process.wait()
    [run] = await runs(keys.url)
    assert run.state == "applying"
    with pytest.raises(RefusedError, match="run 1 is still applying"):
        await apply(keys.url, CLEAR)
    await rollback(keys.url, 1)
    assert await keys.all() == before


async def test_a_server_killed_half_way_has_the_old_state_or_the_new(server_dir: Path) -> None:
    async with await RedisServer.start(server_dir / "redis") as server:
        async with redis.asyncio.Redis.from_url(server.url()) as client:
            pipe = client.pipeline()
            for n in range(20_000):
                pipe.set(f"app:v1:{n}", n)
            await pipe.execute()
            task = asyncio.create_task(apply(server.url(), ALL))
            while int(await Keys(server.url(), client).client.hget("watchdog:run:1", "touched") or 0) < 3_000:
                assert not task.done()
        server.kill()
        with pytest.raises(WatchdogError, match="What was done is still there"):
            await task
        await server.restart()
        async with redis.asyncio.Redis.from_url(server.url()) as client:
            moved = len(await client.keys("app:v2:*"))
            assert len(await client.keys("app:v1:*")) + moved == 20_000
            [run] = await runs(server.url())
            assert run.state == "applying"
            report = await rollback(server.url(), 1)
            assert report.restored == moved
            assert len(await client.keys("app:v1:*")) == 20_000


async def test_another_process_that_takes_it_back_stops_the_first(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    before = await keys.all()
    monkeypatch.setattr("watchdog.migrations.cache.store.PAGE", 5)
    call = Store.call
    turned = False

    async def between(self: Store, name: Any, *args: Any) -> Any:
        nonlocal turned
        if name == "apply" and not turned and await self.client_has_run():  # type: ignore[attr-defined]
            turned = True
            await rollback(keys.url, 1)
        return await call(self, name, *args)

    async def has_run(self: Store) -> bool:
        return int(await keys.client.hget("watchdog:run:1", "touched") or 0) > 10

    monkeypatch.setattr(Store, "client_has_run", has_run, raising=False)
    monkeypatch.setattr(Store, "call", between)
    with pytest.raises(RefusedError, match="run 1 is rolled back now"):
        await apply(keys.url, MOVE)
    assert await keys.all() == before


async def test_a_failure_takes_back_what_was_done(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    before = await keys.all()
    call = Store.call

    async def fails(self: Store, name: Any, *args: Any) -> Any:
        if name == "apply" and b"app:cache:1" in args[2]:
            raise TargetError("redis says no")
        return await call(self, name, *args)

    monkeypatch.setattr(Store, "call", fails)
    with pytest.raises(TargetError, match="says no"):
        await apply(keys.url, ALL)
    assert await keys.all() == before
    [run] = await runs(keys.url)
    assert run.state == "rolled back"


LIMITED = ("ACL", "SETUSER", "limited", "on", ">pw", "~watchdog:*", "~app:cache:*", "+@all")


async def test_missing_rights_are_named_before_anything_changes(keys: Keys) -> None:
    await keys.client.execute_command(*LIMITED, "-restore")
    before = await keys.all()
    url = keys.url.replace("redis://", "redis://limited:pw@")
    for text in (CLEAR, MOVE):
        with pytest.raises(RefusedError, match=r"may not do what a migration does; grant it `~watchdog:\*`") as caught:
            await apply(url, text)
        assert "pw" not in str(caught.value)
    await keys.client.execute_command(*LIMITED)
    with pytest.raises(RefusedError, match="may not"):
        await apply(url, MOVE)
    assert await keys.all() == before
    assert (await apply(url, CLEAR)).touched == 41


async def test_a_cluster_is_refused(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    async def info(*_: object) -> dict[str, int]:
        return {"cluster_enabled": 1}

    monkeypatch.setattr(redis.asyncio.Redis, "info", info)
    with pytest.raises(RefusedError, match="is a Redis Cluster"):
        await apply(keys.url, CLEAR)


async def test_an_archive_that_does_not_fit_the_memory_is_refused(keys: Keys) -> None:
    for _ in range(20):
        await keys.client.append("app:cache:large", random.randbytes(1_000_000))
    used = (await keys.client.info("memory"))["used_memory"]
    await keys.client.config_set("maxmemory", used + 10_000_000)
    try:
        with pytest.raises(RefusedError, match=r"bytes left, the archive needs 20,0\d\d,\d\d\d"):
            await apply(keys.url, CLEAR)
    finally:
        await keys.client.config_set("maxmemory", 0)
    assert await keys.client.exists("app:cache:large")


async def test_an_unreachable_server_is_named_without_its_password() -> None:
    with pytest.raises(TargetError, match="does not answer") as caught:
        await apply("redis://user:hunter2@127.0.0.1:1/0", CLEAR)
    assert "hunter2" not in str(caught.value)
