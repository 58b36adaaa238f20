"""A script over many schemas: the canary first; what fails later leaves the others, and goes on."""

import pytest

from tests.migrations.plans.conftest import Shop
from tests.support.archives import sql
from watchdog.migrations.plans.run import PlanFailedError, apply, status, take_back
from watchdog.migrations.plans.tenants import spread
from watchdog.migrations.session import RefusedError

PLAN = """
version: 1
release: r2
migrations:
  - name: prices
    target: db
    script: prices.sql
    tenants: {{query: "SELECT nspname FROM pg_namespace WHERE nspname ~ '^t[0-9]' ORDER BY 1", canary: {canary}}}
"""
TENANTS = "".join(
    f"CREATE SCHEMA {name}; CREATE TABLE {name}.goods (id int PRIMARY KEY, price int);"
    f" INSERT INTO {name}.goods SELECT n, n FROM generate_series(1, 3) n;"
    for name in ("t1", "t2", "t3")
)


def hear(_: str) -> None:
    """Nobody listens."""


async def _columns(shop: Shop) -> list[tuple[object, ...]]:
    return await sql(
        shop.url,
        "SELECT table_schema, count(*) FROM information_schema.columns"
        " WHERE table_schema ~ '^t[0-9]' GROUP BY 1 ORDER BY 1",
    )


async def test_every_tenant_is_a_run_of_its_own_the_canary_first(shop: Shop) -> None:
    await sql(shop.url, TENANTS)
    plan, lenient = await spread(shop.plan(PLAN.format(canary="t2")), {"db": shop.url})
    assert [entry.name for entry in plan.entries] == ["prices@t2", "prices@t1", "prices@t3"]
    assert lenient == ("prices@t1", "prices@t3")
    await apply(plan, shop.stores, hear, keep=lenient)
    assert await _columns(shop) == [("t1", 1), ("t2", 1), ("t3", 1)]
    await take_back(plan, shop.stores, hear)
    assert await _columns(shop) == [("t1", 2), ("t2", 2), ("t3", 2)]
    assert await sql(shop.url, "SELECT sum(price) FROM t3.goods") == [(6,)]


async def test_a_tenant_that_differs_stops_the_rest_and_the_plan_goes_on_when_it_is_mended(shop: Shop) -> None:
    await sql(shop.url, TENANTS + "ALTER TABLE t3.goods DROP COLUMN price;")
    plan, lenient = await spread(shop.plan(PLAN.format(canary="t1")), {"db": shop.url})
    with pytest.raises(PlanFailedError, match="2 migrations before it stay applied") as caught:
        await apply(plan, shop.stores, hear, keep=lenient)
    assert caught.value.left == ("prices@t1", "prices@t2")
    await sql(shop.url, "ALTER TABLE t3.goods ADD COLUMN price int")
    done = await apply(plan, shop.stores, hear, keep=lenient)
    assert (done.there, done.applied) == (["prices@t1", "prices@t2"], ["prices@t3"])


async def test_a_canary_that_fails_leaves_nothing(shop: Shop) -> None:
    await sql(shop.url, TENANTS + "ALTER TABLE t1.goods DROP COLUMN price;")
    plan, lenient = await spread(shop.plan(PLAN.format(canary="t1")), {"db": shop.url})
    with pytest.raises(PlanFailedError, match="Nothing had been applied before it"):
        await apply(plan, shop.stores, hear, keep=lenient)
    assert {line.state for line in await status(plan, shop.stores)} == {"not applied"}


async def test_a_canary_that_is_not_there_is_refused(shop: Shop) -> None:
    with pytest.raises(RefusedError, match="prices: there is no tenant t9"):
        await spread(shop.plan(PLAN.format(canary="t9")), {"db": shop.url})
