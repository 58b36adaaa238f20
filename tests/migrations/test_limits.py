"""The change log is ended before it hurts, users notice nothing, and everybody is told what is left of the way back."""

import asyncio

import psycopg
import pytest

from tests.support.archives import open_to, sql
from watchdog.migrations.apply import apply
from watchdog.migrations.limits import Limits, Log, look_at_log, passed, watch_log
from watchdog.migrations.options import Options, OptionsError
from watchdog.migrations.outlook import outlooks
from watchdog.migrations.quarantine import waiting
from watchdog.migrations.rollback import rollback
from watchdog.migrations.runs import runs
from watchdog.migrations.session import RefusedError
from watchdog.migrations.settle import settle

PEOPLE = """
CREATE TABLE people (id int PRIMARY KEY, name text, born date);
INSERT INTO people SELECT n, 'p' || n, '2000-01-01' FROM generate_series(1, 50) n;
"""
DROPPED = "ALTER TABLE people DROP born, ADD nick text DEFAULT 'n'"
LATER = """
UPDATE people SET name = 'mine' WHERE id <= 3;
DELETE FROM people WHERE id = 4;
INSERT INTO people (id, name) VALUES (99, 'new');
"""
TRIGGERS = "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'watchdog%'"


async def applied(url: str, scratch: str, script: str = DROPPED, **limits: int) -> int:
    await sql(url, PEOPLE)
    options = Options(online_rows=1, **limits)  # type: ignore[arg-type]  # whole numbers only
    return (await apply(url, script, scratch_url=scratch, options=options)).run


async def test_a_log_within_its_limits_goes_on(owner: str, scratch: str) -> None:
    run = await applied(owner, scratch, log_bytes=10 * 1024**2)
    await sql(owner, LATER)
    async with open_to(owner) as connection:
        log = await watch_log(connection, run)
    assert log is not None
    assert (log.entries, log.ended) == (5, "")
    assert log.bytes > 0


async def test_a_log_that_grew_too_large_is_ended_and_the_rollback_compares_all_rows(owner: str, scratch: str) -> None:
    run = await applied(owner, scratch, log_bytes=1)
    await sql(owner, "UPDATE people SET name = 'mine' WHERE id <= 3")
    (ahead,) = (await outlooks(owner, await runs(owner))).values()
    assert ahead.log is not None
    assert "may take 1" in ahead.log.ended
    assert await sql(owner, TRIGGERS) == [(0,)]
    await sql(owner, LATER)
    report = await rollback(owner, run)
    assert report.by_archive == ['"public"."people"']
    assert (report.earlier, report.changed, report.deleted, report.later) == (46, 3, 1, 1)
    rows = await sql(owner, "SELECT id, name, born::text FROM people WHERE id IN (1, 4, 5, 99) ORDER BY 1")
    assert rows == [(1, "mine", "2000-01-01"), (5, "p5", "2000-01-01"), (99, "new", None)]


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (f"UPDATE people SET name = 'script' WHERE id = 7; {DROPPED}", "the script wrote its rows"),
        ("ALTER TABLE people ALTER born TYPE text", "the script made born another type"),
    ],
)
async def test_where_the_archive_does_not_tell_what_users_wrote_the_rollback_refuses(
    owner: str, scratch: str, script: str, why: str
) -> None:
    run = await applied(owner, scratch, script, log_bytes=1)
    await sql(owner, LATER)
    async with open_to(owner) as connection:
        await watch_log(connection, run)
    before = await sql(owner, "SELECT * FROM people ORDER BY id")
    with pytest.raises(RefusedError, match=why):
        await rollback(owner, run)
    assert await sql(owner, "SELECT * FROM people ORDER BY id") == before


async def test_a_log_that_is_not_ended_takes_the_same_script_back(owner: str, scratch: str) -> None:
    run = await applied(owner, scratch, f"UPDATE people SET name = 'script' WHERE id = 7; {DROPPED}")
    await sql(owner, LATER)
    assert (await rollback(owner, run)).changed == 3
    assert await sql(owner, "SELECT name FROM people WHERE id = 7") == [("p7",)]


async def test_users_who_hold_the_table_are_not_waited_for(owner: str, scratch: str) -> None:
    run = await applied(owner, scratch, log_bytes=1)
    async with await psycopg.AsyncConnection.connect(owner) as user:
        await user.execute("UPDATE people SET name = 'open' WHERE id = 1")
        async with open_to(owner) as connection, asyncio.timeout(10):
            log = await watch_log(connection, run)
        assert log is not None
        assert log.ended
        # The trigger is there still, and does nothing.
        async with asyncio.timeout(10):
            await user.execute("UPDATE people SET name = 'open' WHERE id = 2")
    async with open_to(owner) as connection:
        seen = await look_at_log(connection, run)
    assert seen is not None
    assert seen.entries == log.entries
    await settle(owner, run)
    assert await sql(owner, TRIGGERS) == [(0,)]


async def test_a_run_without_large_tables_has_no_log(owner: str, scratch: str) -> None:
    await sql(owner, PEOPLE)
    run = (await apply(owner, DROPPED, scratch_url=scratch)).run
    async with open_to(owner) as connection:
        assert await watch_log(connection, run, Limits(bytes=1)) is None


async def test_the_prediction_grows_with_what_users_write(owner: str, scratch: str) -> None:
    run = await applied(owner, scratch)
    first = (await outlooks(owner, await runs(owner)))[run].rollback_seconds
    await sql(owner, "UPDATE people SET name = name || '!' FROM generate_series(1, 5)")
    await sql(owner, "UPDATE people SET name = name || '!'")
    second = (await outlooks(owner, await runs(owner)))[run].rollback_seconds
    assert first is not None
    assert second is not None
    assert second > first


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(), ""),
        (Limits(100, 1000, 10.0), ""),
        (Limits(bytes=99), "the change log took 100 bytes, and may take 99"),
        (Limits(wal_bytes=999), "a replica or slot had 1,000 bytes of WAL to come, and may have 999"),
        (Limits(lag_seconds=9.0), "a replica was 10 s behind, and may be 9 s"),
    ],
)
def test_the_limit_that_was_passed_is_named(limits: Limits, said: str) -> None:
    assert passed(Log(1, 100, 5, 1000, 10.0), limits) == said


def test_what_cannot_be_seen_passes_no_limit() -> None:
    assert passed(Log(1, 100, 5), Limits(wal_bytes=1, lag_seconds=0.1)) == ""


async def test_a_slot_that_holds_wal_back_counts(pg_database: str, scratch: str) -> None:
    run = await applied(pg_database, scratch, wal_bytes=1)
    await sql(pg_database, "SELECT pg_create_physical_replication_slot('slow', true)")
    try:
        await sql(pg_database, LATER)
        async with open_to(pg_database) as connection:
            log = await watch_log(connection, run)
        assert log is not None
        assert "a replica or slot" in log.ended
    finally:
        await sql(pg_database, "SELECT pg_drop_replication_slot('slow')")


@pytest.mark.parametrize("wrong", [{"log_bytes": 0}, {"wal_bytes": -1}, {"lag_seconds": 0.0}])
def test_a_limit_of_nothing_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(OptionsError, match="limit"):
        Options(**wrong)  # type: ignore[arg-type]  # whole numbers are numbers


async def test_a_row_that_cannot_be_read_as_json_is_written_all_the_same(owner: str, scratch: str) -> None:
    await sql(owner, "CREATE TABLE notes (id int PRIMARY KEY, note json, old int); INSERT INTO notes VALUES (1, '{}')")
    run = (await apply(owner, "ALTER TABLE notes DROP old", scratch_url=scratch, options=Options(online_rows=1))).run
    await sql(owner, r"""UPDATE notes SET note = '"\u0000"' WHERE id = 1""")
    assert await sql(owner, "SELECT note::text FROM notes") == [(r'"\u0000"',)]
    await rollback(owner, run)
    assert await sql(owner, "SELECT note::text, old FROM notes") == [(r'"\u0000"', None)]


async def test_a_run_of_an_earlier_version_is_taken_back_too(owner: str, scratch: str) -> None:
    run = await applied(owner, scratch)
    await sql(
        owner,
        "DROP TABLE watchdog.migration_logs; ALTER TABLE watchdog.migration_quarantine DROP sqlstate, DROP about",
    )
    for (name,) in await sql(
        owner, f"SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'watchdog.run_{run}_0_log'::regclass"
    ):
        await sql(owner, f"DROP INDEX {name}")
    await sql(owner, LATER)
    async with open_to(owner) as connection:
        log = await watch_log(connection, run)
    assert log is not None
    assert (log.entries, log.ended) == (5, "")
    assert await waiting(owner, run) == ()
    report = await rollback(owner, run)
    assert (report.changed, report.deleted, report.quarantined, report.by_archive) == (3, 1, 0, [])
