"""A migration is rehearsed on copies of a real database; only what holds is certified."""

import pytest

from tests.support.archives import sql
from watchdog.migrations.rehearse.rehearse import rehearse
from watchdog.migrations.rehearse.values import Data, DownOutcome, Given, Statement
from watchdog.migrations.session import RefusedError
from watchdog.model.releases import Compatibility
from watchdog.ports.errors import WatchdogError
from watchdog.runtime.clock import SystemClock

UP = """ALTER TABLE people DROP note, ADD seen boolean;
UPDATE people SET age = age + 1;
DROP TABLE log;
CREATE TABLE visits (id serial PRIMARY KEY, place text);
INSERT INTO visits (place) VALUES ('a'), ('b');"""
DOWN = "ALTER TABLE people ADD note text, DROP seen; CREATE TABLE log (at timestamptz, said text); DROP TABLE visits"


async def test_what_comes_back_is_certified_with_all_that_was_seen(owner: str, scratch: str, shop: str) -> None:
    await sql(owner, shop)
    statements = (Statement("reads notes", "SELECT note FROM people"), Statement("reads", "SELECT email FROM people"))
    given = Given(UP, down=DOWN, rows=10, statements=statements)
    found = await rehearse(owner, given, SystemClock(), scratch_url=scratch)
    certificate = found.certificate
    assert certificate.restored, certificate.findings
    assert certificate.measured > 0
    assert found.loaded == {"public.log": 10, "public.people": 20, "public.pets": 10}
    assert min(found.written.inserted, found.written.updated, found.written.deleted) > 0
    assert found.quarantined > 0  # what was written into the new table has no place in the old schema
    assert found.predicted_rollback_seconds is not None
    assert found.down is not None
    assert found.down.outcome is DownOutcome.LOSES
    assert certificate.old_code is Compatibility.INCOMPATIBLE
    assert any("reads notes (42703)" in reason for reason in found.old_code)
    assert ("public.log", ("reads", "writes", "other DDL")) in {(e.relation, e.waits) for e in found.trace.locks}
    assert any("predicted at production's size" in finding for finding in certificate.findings)
    assert await sql(owner, "SELECT to_regnamespace('watchdog'), count(*) FROM people") == [(None, 30)]


async def test_without_rows_nothing_is_proven_about_rows(owner: str, scratch: str, shop: str) -> None:
    await sql(owner, shop)
    given = Given("ALTER TABLE pets ADD n int", data=Data.NONE)
    found = await rehearse(owner, given, SystemClock(), scratch_url=scratch)
    assert not found.certificate.restored
    assert found.certificate.findings[0].startswith("no row was loaded")


async def test_later_rows_in_the_way_of_a_second_time_are_no_fault_of_the_rollback(owner: str, scratch: str) -> None:
    await sql(owner, "CREATE TABLE users (id int PRIMARY KEY, token text); INSERT INTO users VALUES (1, 'a'), (2, 'b')")
    script = "CREATE TABLE tokens (token text UNIQUE); INSERT INTO tokens SELECT token FROM users"
    found = await rehearse(owner, Given(script), SystemClock(), scratch_url=scratch)
    assert found.certificate.restored
    said = "rows that were written since are in the way of the script: SQLSTATE 23505 on public.tokens"
    assert said in found.certificate.findings


async def test_a_script_that_fails_is_named_without_values(owner: str, scratch: str, shop: str) -> None:
    await sql(owner, shop)
    with pytest.raises(WatchdogError, match=r"^The script fails on the copy: SQLSTATE 22P02\.$"):
        await rehearse(owner, Given("UPDATE people SET age = email::int"), SystemClock(), scratch_url=scratch)


async def test_what_cannot_be_taken_back_is_refused(owner: str, scratch: str, shop: str) -> None:
    await sql(owner, shop)
    with pytest.raises(RefusedError, match="line 1"):
        await rehearse(owner, Given("NOTIFY somebody"), SystemClock(), scratch_url=scratch)
