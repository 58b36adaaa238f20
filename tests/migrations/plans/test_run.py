"""A plan over three stores is applied as a whole or not at all, wherever it is stopped."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.migrations.plans.conftest import Shop
from tests.support.archives import sql
from watchdog.migrations.plans.file import Entry
from watchdog.migrations.plans.run import PlanFailedError, apply, status, take_back
from watchdog.migrations.plans.stores import Stand, Store
from watchdog.migrations.session import RefusedError
from watchdog.ports.errors import WatchdogError

Hear = Callable[[str], None]


class Killed(BaseException):
    """The process ends here."""


class Dying:
    """A store before or after whose effect the process ends, or fails."""

    def __init__(self, store: Store, what: str, *, after: bool, error: type[BaseException] = Killed) -> None:
        self._store, self._what, self._after, self._error = store, what, after, error

    async def runs(self, release: str) -> tuple[Stand, ...]:
        return await self._store.runs(release)

    async def apply(self, entry: Entry, release: str) -> int:
        run: int = await self._at("apply", lambda: self._store.apply(entry, release))
        return run

    async def take_back(self, run: int) -> None:
        await self._at("take back", lambda: self._store.take_back(run))

    async def _at(self, what: str, work: Callable[[], Any]) -> Any:
        if what == self._what and not self._after:
            raise self._error("dead")
        result = await work()
        if what == self._what:
            raise self._error("dead")
        return result


def hear(_: str) -> None:
    """Nobody listens."""


async def test_it_is_applied_in_order_and_taken_back_in_reverse(shop: Shop) -> None:
    plan, before = shop.plan(), await shop.state()
    done = await apply(plan, shop.stores, hear)
    assert done.applied == ["prices", "graph", "cache"]
    assert [line.state for line in await status(plan, shop.stores)] == ["applied"] * 3
    assert await shop.state() != before
    assert (await apply(plan, shop.stores, hear)).there == ["prices", "graph", "cache"]
    back = await take_back(plan, shop.stores, hear)
    assert back.taken_back == ["cache", "graph", "prices"]
    assert await shop.state() == before
    assert (await take_back(plan, shop.stores, hear)).taken_back == []


async def test_when_the_third_store_fails_the_first_two_are_taken_back(shop: Shop) -> None:
    plan, before = shop.plan(), await shop.state()
    shop.stores["cache", "redis"] = Dying(shop.stores["cache", "redis"], "apply", after=False, error=WatchdogError)
    with pytest.raises(PlanFailedError, match=r"cache on cache failed: dead Taken back: graph, prices\.") as caught:
        await apply(plan, shop.stores, hear)
    assert caught.value.left == ()
    assert await shop.state() == before


async def test_what_cannot_be_compensated_is_said_and_goes_on_later(shop: Shop) -> None:
    plan, before = shop.plan(), await shop.state()
    well = dict(shop.stores)
    shop.stores["cache", "redis"] = Dying(well["cache", "redis"], "apply", after=False, error=WatchdogError)
    shop.stores["db", "sql"] = Dying(well["db", "sql"], "take back", after=False, error=WatchdogError)
    with pytest.raises(PlanFailedError, match=r"prices on db was not taken back: dead Still applied: prices") as caught:
        await apply(plan, shop.stores, hear)
    assert caught.value.left == ("prices",)
    assert (await take_back(plan, well, hear)).taken_back == ["prices"]
    assert await shop.state() == before


@pytest.mark.parametrize("after", [False, True], ids=["before its effect", "after it"])
@pytest.mark.parametrize("place", [("db", "sql"), ("graph", "cypher"), ("cache", "redis")], ids=lambda place: place[0])
async def test_a_process_killed_at_any_store_goes_on_or_back(
    shop: Shop, place: tuple[str, str], *, after: bool
) -> None:
    plan, before = shop.plan(), await shop.state()
    well = dict(shop.stores)
    shop.stores[place] = Dying(well[place], "apply", after=after)
    with pytest.raises(Killed):
        await apply(plan, shop.stores, hear)
    done = await apply(plan, well, hear)
    assert sorted(done.applied + done.there) == ["cache", "graph", "prices"]
    there = await shop.state()
    shop.stores = {**well, place: Dying(well[place], "take back", after=after)}
    with pytest.raises(Killed):
        await take_back(plan, shop.stores, hear)
    await take_back(plan, well, hear)
    assert await shop.state() == before
    await apply(plan, well, hear)
    assert await shop.state() == there


async def test_another_script_under_the_same_name_is_refused_beforehand(shop: Shop) -> None:
    await apply(shop.plan(), shop.stores, hear)
    other = shop.plan(graph__cypher="MATCH (g:Good) SET g.price = 1;")
    with pytest.raises(RefusedError, match="graph of release r1 was applied with another script, as run 1"):
        await apply(other, shop.stores, hear)


async def test_writes_of_users_survive_in_every_store(shop: Shop) -> None:
    plan = shop.plan()
    await apply(plan, shop.stores, hear)
    await sql(shop.url, "UPDATE goods SET name = 'renamed' WHERE id = 2; INSERT INTO goods VALUES (6, 'six')")
    await shop.redis.set("shop:price:2", 99)
    await take_back(plan, shop.stores, hear)
    _, goods, _, keys = await shop.state()
    assert (goods[1], keys["shop:price:2"]) == ((2, "renamed", 20), "99")
    kept = await sql(shop.url, """SELECT "row" ->> 'name' FROM watchdog.migration_quarantine""")
    assert kept == [("six",)]
