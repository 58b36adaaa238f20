"""The locks that a script really holds, and who waits for them."""

from tests.support.archives import open_to, sql
from watchdog.migrations.assess.locks import LockMode
from watchdog.migrations.rehearse.copies import Copy
from watchdog.migrations.rehearse.trace import trace
from watchdog.migrations.rehearse.values import Trace


async def traced(copy: Copy, shop: str, script: str) -> Trace:
    await sql(copy.url, shop)
    await sql(copy.url, "ANALYZE")
    async with open_to(copy.url) as production:
        return await trace(copy, production, script)


async def test_each_lock_is_named_with_its_line_the_size_and_who_waits(copy: Copy, shop: str) -> None:
    script = "CREATE INDEX by_age ON people (age);\n\nALTER TABLE people ADD seen boolean;\nCREATE TABLE mine (id int)"
    found = await traced(copy, shop, script)
    felt = {(lock.line, lock.relation, lock.mode): lock for lock in found.locks if lock.waits}
    share = felt[1, "public.people", LockMode.SHARE]
    assert (share.waits, share.rows) == (("writes", "other DDL"), 30)
    assert share.bytes > 0
    assert felt[3, "public.people", LockMode.ACCESS_EXCLUSIVE].waits == ("reads", "writes", "other DDL")
    assert not any("mine" in lock.relation for lock in found.locks)
    assert (found.untraced, found.differences) == ("", ())
    assert await sql(copy.url, "SELECT to_regclass('mine')") == [(None,)]


async def test_a_table_is_called_what_it_was_called_before(copy: Copy, shop: str) -> None:
    found = await traced(copy, shop, "ALTER TABLE log RENAME TO lines; ALTER TABLE lines ADD n int")
    assert {lock.relation for lock in found.locks if lock.waits} == {"public.log"}


async def test_what_the_assessment_does_not_see_is_said(copy: Copy, shop: str) -> None:
    found = await traced(copy, shop, "DO $$ BEGIN EXECUTE 'ALTER TABLE ' || 'log ADD n int'; END $$")
    assert found.differences == ("public.log: the assessment says nothing, the copy held ACCESS EXCLUSIVE",)


async def test_a_statement_that_runs_in_no_transaction_is_not_traced(copy: Copy, shop: str) -> None:
    found = await traced(copy, shop, "CREATE INDEX CONCURRENTLY by_age ON people (age)")
    assert found.untraced.startswith("line 1 runs in no transaction")
    assert found.differences == ()
