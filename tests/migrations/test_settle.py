"""What is settled is gone, all of it and nothing else."""

import pytest
import pytest_asyncio

from tests.support.archives import archived, open_to, sql
from watchdog.migrations.options import Options
from watchdog.migrations.rollback import rollback
from watchdog.migrations.runs import describe, prepare, runs
from watchdog.migrations.settle import expired, settle, settle_expired
from watchdog.ports.errors import WatchdogError

PEOPLE = (
    "CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL); INSERT INTO people VALUES (1, 'ann'), (2, 'bob')"
)
IMAGES = "SELECT relname::text FROM pg_class WHERE relname ~ '^run_' AND relkind = 'r' ORDER BY 1"


@pytest_asyncio.fixture
async def people(owner: str) -> str:
    await sql(owner, PEOPLE)
    return owner


async def expires(url: str, run: int, *, past: bool) -> None:
    async with open_to(url) as connection:
        await describe(connection, run, Options(expires=3600))
        if past:
            await connection.execute("UPDATE watchdog.migration_runs SET expires_at = began_at WHERE id = %s", (run,))


async def test_the_archives_of_a_run_are_dropped_and_nobody_elses(people: str, scratch: str) -> None:
    run = await archived(people, "UPDATE people SET name = 'x'", scratch)
    await sql(people, "CREATE TABLE watchdog.run_11_0_before AS SELECT 1 AS n")
    done = await settle(people, run)
    assert sorted(done.freed) == ["watchdog.run_1_0_after", "watchdog.run_1_0_before"]
    assert all(size > 0 for size in done.freed.values())
    assert await sql(people, IMAGES) == [("run_11_0_before",)]
    (one,) = await runs(people)
    assert (one.state, one.rows_kept, one.bytes_kept) == ("settled", 0, 0)
    assert one.settled_at is not None


async def test_a_settled_run_cannot_be_taken_back(people: str, scratch: str) -> None:
    run = await archived(people, "ALTER TABLE people DROP name", scratch)
    await settle(people, run)
    with pytest.raises(WatchdogError):
        await rollback(people, run)
    assert await sql(people, "TABLE people") == [(1,), (2,)]


async def test_settling_twice_changes_nothing(people: str, scratch: str) -> None:
    run = await archived(people, "DROP TABLE people", scratch)
    await settle(people, run)
    (before,) = await runs(people)
    assert (await settle(people, run)).freed == {}
    assert await runs(people) == (before,)


async def test_a_run_that_is_still_applied_is_left_alone(people: str) -> None:
    async with open_to(people) as connection:
        await prepare(connection)
    await sql(
        people,
        "INSERT INTO watchdog.migration_runs (state, script, script_hash, manifest) VALUES ('applying', '', '', '{}');"
        " CREATE TABLE watchdog.run_1_0_before AS SELECT 1 AS n",
    )
    with pytest.raises(WatchdogError, match="still being applied"):
        await settle(people, 1)
    assert await sql(people, IMAGES) == [("run_1_0_before",)]


@pytest.mark.parametrize("prepared", [True, False])
async def test_a_run_that_is_not_there_is_said(people: str, *, prepared: bool) -> None:
    if prepared:
        async with open_to(people) as connection:
            await prepare(connection)
    with pytest.raises(WatchdogError, match="no run 7"):
        await settle(people, 7)
    assert await expired(people) == ()


async def test_rows_in_quarantine_stay_until_told_and_rolled_back_stays_rolled_back(people: str, scratch: str) -> None:
    run = await archived(people, "CREATE TABLE notes (t text); ALTER TABLE people ADD nick text", scratch)
    await sql(people, "INSERT INTO notes VALUES ('mine')")
    await rollback(people, run)
    kept = await settle(people, run)
    assert (kept.state, kept.quarantined, kept.discarded) == ("rolled back", 1, 0)
    assert await sql(people, IMAGES) == []
    told = await settle(people, run, quarantine=True)
    assert (told.quarantined, told.discarded) == (0, 1)
    assert await sql(people, "TABLE watchdog.migration_quarantine") == []


async def test_what_is_past_its_time_is_settled_and_one_that_resists_does_not_keep_the_others(
    people: str, scratch: str
) -> None:
    numbers = [await archived(people, f"UPDATE people SET name = 'x{n}'", scratch) for n in range(4)]
    for run, past in zip(numbers, (True, True, False, True), strict=True):
        await expires(people, run, past=past)
    await sql(people, f"CREATE VIEW peep AS TABLE watchdog.run_{numbers[0]}_0_before")
    await settle(people, numbers[3])
    assert await expired(people) == tuple(numbers[:2])
    swept = await settle_expired(people)
    assert [one.run for one in swept.settled] == [numbers[1]]
    assert "peep" in swept.failed[numbers[0]]
    assert [one.state for one in await runs(people)] == ["applied", "settled", "applied", "settled"]
    assert (f"run_{numbers[0]}_0_after",) in await sql(people, IMAGES)


async def test_somebody_who_holds_the_run_is_not_waited_for_for_ever(people: str, scratch: str) -> None:
    run = await archived(people, "DROP TABLE people", scratch)
    async with open_to(people) as other, other.transaction():
        await other.execute(b"SELECT FROM watchdog.migration_runs FOR UPDATE")
        with pytest.raises(WatchdogError, match="somebody uses it"):
            await settle(people, run)
