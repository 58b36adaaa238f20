"""Whether the old code works on the new schema: its statements are prepared, its writes are tried."""

import pytest

from tests.support.archives import open_to, sql
from watchdog.migrations.rehearsal import RecordedWrite
from watchdog.migrations.rehearse.old_code import attempt, from_statistics, judge
from watchdog.migrations.rehearse.values import Statement
from watchdog.model.releases import Compatibility
from watchdog.ports.errors import WatchdogError

READ = Statement("query 1", "SELECT note FROM people WHERE id = $1")
ADD = Statement("query 2", "INSERT INTO people (email) VALUES ($1)")
BROKEN = Statement("query 3", "SELECT nothing FROM nowhere")
WRITE = RecordedWrite("sign up", "INSERT INTO people (email) VALUES (%(email)s)", {"email": "a secret"})


async def judged(
    url: str, up: str, writes: list[RecordedWrite], statements: list[Statement]
) -> tuple[Compatibility, str]:
    async with open_to(url) as connection:
        before = await attempt(connection, writes, statements, keep=False)
        await sql(url, up)
        after = await attempt(connection, writes, statements, keep=True)
    verdict, reasons = judge(before, after, writes, statements)
    return verdict, "; ".join(reasons)


@pytest.mark.parametrize(
    ("up", "statements", "verdict", "reason"),
    [
        ("ALTER TABLE people ADD n int", [READ, ADD], Compatibility.COMPATIBLE, "all 2 statements"),
        ("ALTER TABLE people DROP note", [READ, ADD], Compatibility.INCOMPATIBLE, "query 1 (42703)"),
        ("ALTER TABLE people RENAME TO folk", [ADD], Compatibility.INCOMPATIBLE, "query 2 (42P01)"),
        ("ALTER TABLE people ALTER age SET NOT NULL", [READ, ADD], Compatibility.INCOMPATIBLE, "query 2 (23502)"),
        ("ALTER TABLE people ADD n int", [READ, BROKEN], Compatibility.COMPATIBLE, "1 cannot be judged"),
        ("ALTER TABLE people ADD n int", [BROKEN], Compatibility.UNKNOWN, "no statement"),
        ("SELECT 1", [], Compatibility.UNKNOWN, "nothing is known"),
    ],
)
async def test_statements_that_no_longer_prepare_are_named(
    pg_database: str, shop: str, up: str, statements: list[Statement], verdict: Compatibility, reason: str
) -> None:
    await sql(pg_database, shop)
    found, said = await judged(pg_database, up, [], statements)
    assert found is verdict
    assert reason in said


async def test_writes_are_executed_and_what_fails_is_named_without_values(pg_database: str, shop: str) -> None:
    await sql(pg_database, shop)
    up = "ALTER TABLE people ADD CONSTRAINT short CHECK (length(email) < 5)"
    found, said = await judged(pg_database, up, [WRITE], [READ])
    assert found is Compatibility.INCOMPATIBLE
    assert "sign up (23514)" in said
    assert "secret" not in said


async def test_statements_come_from_the_servers_statistics(pg_database: str, shop: str) -> None:
    await sql(pg_database, shop)
    async with open_to(pg_database) as connection:
        with pytest.raises(WatchdogError, match="not installed"):
            await from_statistics(connection)
        await sql(pg_database, "CREATE EXTENSION pg_stat_statements")
        await sql(pg_database, "SELECT note FROM people WHERE id = 7")
        found = await from_statistics(connection)
    texts = [each.text for each in found]
    assert "SELECT note FROM people WHERE id = $1" in texts
    assert not any(text.startswith("CREATE") for text in texts)
    assert all(each.name.startswith("query ") for each in found)
