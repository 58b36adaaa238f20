"""Who wins where the script and users wrote the same value, and that the loser is kept."""

import pytest

from tests.support.archives import sql
from watchdog.migrations.apply import apply
from watchdog.migrations.options import Options
from watchdog.migrations.policies import Policy, PolicyError, parse_policies
from watchdog.migrations.rollback import Report, rollback

PEOPLE = """
CREATE TABLE people (id int PRIMARY KEY, name text, score int, born date);
INSERT INTO people SELECT n, 'p' || n, n * 10, '2000-01-01' FROM generate_series(1, 9) n;
"""
SCRIPT = (
    "UPDATE people SET score = 0 WHERE id <= 5; DELETE FROM people WHERE id = 9;"
    " ALTER TABLE people DROP born, ADD nick text"
)
# Of rows 1 to 3 the script has written the score too; row 9 was its to delete, and is there again.
LATER = """
UPDATE people SET score = 77, name = 'mine' WHERE id = 1;
UPDATE people SET name = 'mine' WHERE id = 2;
DELETE FROM people WHERE id = 3;
UPDATE people SET score = 88 WHERE id = 6;
INSERT INTO people (id, name, score, nick) VALUES (9, 'again', 9, 'n');
"""
ROWS = "SELECT id, name, score, born::text FROM people WHERE id IN (1, 2, 3, 6, 9) ORDER BY 1"
UNTOUCHED = [(2, "mine", 20, "2000-01-01"), (6, "p6", 88, "2000-01-01")]


async def taken_back(
    url: str, scratch: str, options: Options, policies: dict[str, Policy] | None = None
) -> tuple[Report, list[tuple[object, ...]]]:
    await sql(url, PEOPLE)
    applied = await apply(url, SCRIPT, scratch_url=scratch, options=options)
    await sql(url, LATER)
    return await rollback(url, applied.run, policies), await sql(url, ROWS)


@pytest.fixture(params=["small", "merged before the lock", "merged under the lock"])
def online_rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("watchdog.migrations.merge_large._FEW", 0 if "before" in request.param else 10**6)
    return 50_000 if request.param == "small" else 1


async def test_the_later_write_wins_and_the_row_of_before_is_kept(owner: str, scratch: str, online_rows: int) -> None:
    report, rows = await taken_back(owner, scratch, Options(online_rows=online_rows))
    assert rows == [(1, "mine", 77, "2000-01-01"), UNTOUCHED[0], UNTOUCHED[1], (9, "again", 9, "2000-01-01")]
    assert (report.conflicts, report.kept_losers, report.quarantined) == (2, ["watchdog.run_1_0_conflicts"], 0)
    kept = await sql(owner, "SELECT lost, c0, c1, c2, c3 FROM watchdog.run_1_0_conflicts ORDER BY 2")
    assert kept == [("earlier", "1", "p1", "10", "2000-01-01"), ("earlier", "9", "p9", "90", "2000-01-01")]


async def test_the_earlier_value_wins_where_that_was_said_and_the_later_row_is_kept(
    owner: str, scratch: str, online_rows: int
) -> None:
    options = Options(online_rows=online_rows, policies={"public.people": Policy.EARLIER})
    report, rows = await taken_back(owner, scratch, options)
    # Only the value that both wrote comes back; the name is the users' own.
    assert rows == [(1, "mine", 10, "2000-01-01"), UNTOUCHED[0], UNTOUCHED[1], (9, "p9", 90, "2000-01-01")]
    assert report.conflicts == 2
    kept = await sql(owner, "SELECT lost, c0, c1, c2, x0 FROM watchdog.run_1_0_conflicts ORDER BY 2")
    assert kept == [("later", "1", "mine", "77", None), ("later", "9", "again", "9", "n")]


async def test_where_neither_may_win_the_later_row_waits_in_quarantine(
    owner: str, scratch: str, online_rows: int
) -> None:
    options = Options(online_rows=online_rows)
    report, rows = await taken_back(owner, scratch, options, {"public.people": Policy.QUARANTINE})
    assert rows == [(1, "p1", 10, "2000-01-01"), UNTOUCHED[0], UNTOUCHED[1], (9, "p9", 90, "2000-01-01")]
    assert (report.conflicts, report.quarantined, report.kept_losers) == (2, 2, [])
    kept = """SELECT "row" ->> 'id', "row" ->> 'score', reason FROM watchdog.migration_quarantine ORDER BY 1"""
    reason = "users changed what the migration had changed too, and the conflict policy is quarantine"
    assert await sql(owner, kept) == [("1", "77", reason), ("9", "9", reason)]


async def test_what_is_said_at_the_rollback_goes_before_what_was_said_when_it_was_applied(
    owner: str, scratch: str
) -> None:
    options = Options(policies={"public.people": Policy.QUARANTINE})
    report, rows = await taken_back(owner, scratch, options, {"public.people": Policy.LATER})
    assert rows[0] == (1, "mine", 77, "2000-01-01")
    assert report.quarantined == 0


async def test_without_a_conflict_nothing_is_kept(owner: str, scratch: str, online_rows: int) -> None:
    await sql(owner, PEOPLE)
    options = Options(online_rows=online_rows)
    applied = await apply(owner, "ALTER TABLE people DROP born", scratch_url=scratch, options=options)
    await sql(owner, "UPDATE people SET score = 5")
    report = await rollback(owner, applied.run)
    assert (report.conflicts, report.kept_losers) == (0, [])
    assert await sql(owner, "SELECT to_regclass('watchdog.run_1_0_conflicts') IS NULL") == [(True,)]


async def test_a_policy_for_a_table_that_is_not_there_is_refused_before_anything_changes(
    owner: str, scratch: str
) -> None:
    await sql(owner, PEOPLE)
    policies = {"public.peple": Policy.EARLIER}
    with pytest.raises(PolicyError, match=r"public\.peple"):
        await apply(owner, SCRIPT, scratch_url=scratch, options=Options(policies=policies))
    applied = await apply(owner, SCRIPT, scratch_url=scratch)
    with pytest.raises(PolicyError, match=r"public\.peple"):
        await rollback(owner, applied.run, policies)


def test_policies_are_read_by_table() -> None:
    found = parse_policies(["public.users=earlier", "pets=quarantine", "shop.odd=name=later"])
    assert found == {
        "public.users": Policy.EARLIER,
        "public.pets": Policy.QUARANTINE,
        "shop.odd=name": Policy.LATER,
    }


@pytest.mark.parametrize("wrong", [["users"], ["users=mine"], ["=later"], ["users=later", "public.users=earlier"]])
def test_a_policy_that_cannot_be_meant_is_refused(wrong: list[str]) -> None:
    with pytest.raises(PolicyError, match="--policy"):
        parse_policies(wrong)
