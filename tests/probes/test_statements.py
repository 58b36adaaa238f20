from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql

from tests.support.archives import archived
from watchdog.migrations.rollback import rollback
from watchdog.model.signals import Cause, Labels, SignalKind
from watchdog.ports.errors import ProbeError
from watchdog.ports.probes import Probe
from watchdog.probes.statements import KIND, StatementsOptions, StatementsRead, pattern
from watchdog.servers.postgres import PostgresServer
from watchdog.targets.postgres import PostgresOptions, PostgresTarget

Build = Callable[..., Probe]
Connection = psycopg.AsyncConnection[Any]

READS = {"calls": StatementsRead(of="calls"), "seconds": StatementsRead(of="seconds")}
SCHEMA = """
CREATE EXTENSION pg_stat_statements;
CREATE TABLE assessments (id int PRIMARY KEY, score int); CREATE TABLE users (id int PRIMARY KEY);
INSERT INTO assessments SELECT n, n FROM generate_series(1, 10) AS n; INSERT INTO users VALUES (1);
"""


@pytest.fixture
async def shop(admin: Connection) -> Connection:
    await admin.execute(SCHEMA)
    return admin


@pytest.fixture
async def stranger(shop: Connection, postgres_server: PostgresServer, secret: Any) -> AsyncIterator[PostgresTarget]:
    """The database as a user who may log in and nothing else."""
    user = f"{shop.info.dbname}_plain"
    await shop.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'x'").format(sql.Identifier(user)))
    target = PostgresTarget("main-db", PostgresOptions(url=secret(postgres_server.url(shop.info.dbname, user, "x"))))
    yield target
    await target.close()
    await shop.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(user)))
    await shop.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(user)))


async def grant(admin: Connection, text: str) -> None:
    await admin.execute(sql.SQL(text).format(sql.Identifier(f"{admin.info.dbname}_plain")))


async def sums(probe: Probe, of: str = "calls") -> dict[str, float]:
    """By the value of `touches`."""
    answer = (await probe.read())[of]
    found = {dict(labels)["touches"]: value for labels, value in answer.items() if isinstance(value, float)}
    assert set(found) == {"release", "other"}
    return found


async def risen(probe: Probe, admin: Connection, *statements: str) -> tuple[float, float]:
    """How many calls of the release's tables and of others these statements are."""
    before = await sums(probe)
    for statement in statements:
        await admin.execute(statement.encode())
    after = await sums(probe)
    return after["release"] - before["release"], after["other"] - before["other"]


async def refusal(probe: Probe) -> str:
    with pytest.raises(ProbeError) as caught:
        await probe.read()
    assert caught.value.cause is Cause.PROBE_BROKEN
    assert str(caught.value).startswith("target main-db (")
    return str(caught.value)


async def test_calls_and_seconds_are_split_by_what_they_touch(
    pg_target: PostgresTarget, build: Build, shop: Connection
) -> None:
    probe = build(KIND, pg_target, READS, tables=("assessments",))
    calls, seconds = await sums(probe), await sums(probe, "seconds")
    for _ in range(3):
        await shop.execute("SELECT count(*), pg_sleep(0.02) FROM assessments")
    await shop.execute("SELECT * FROM users")
    later, took = await sums(probe), await sums(probe, "seconds")
    assert (later["release"] - calls["release"], later["other"] - calls["other"]) == (3, 1)
    assert 0.06 <= took["release"] - seconds["release"] < 5
    assert 0 < took["other"] - seconds["other"] < 0.06
    assert KIND.signal_kind(READS["calls"]) is SignalKind.COUNTER
    assert KIND.labels(READS["calls"]) == ("touches",)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM assessments",
        "select * from ASSESSMENTS as a",
        'SELECT * FROM "assessments"',
        "SELECT * FROM public.assessments",
        'SELECT * FROM "public" . "assessments"',
        "SELECT users.id FROM users,assessments",
        "SELECT assessments.id FROM assessments",
        "-- why\n/* app='x' */ (SELECT 1 FROM users JOIN assessments USING (id))",
        "UPDATE assessments SET score = 1 WHERE id = 1",
        "INSERT INTO assessments(id) VALUES (99) ON CONFLICT DO NOTHING",
        "WITH a AS (DELETE FROM assessments WHERE id = 100 RETURNING id) SELECT * FROM a",
        "TABLE assessments",
    ],
)
@pytest.mark.parametrize("table", ["assessments", "public.assessments"])
async def test_a_table_is_named_in_many_ways(
    pg_target: PostgresTarget, build: Build, shop: Connection, statement: str, table: str
) -> None:
    probe = build(KIND, pg_target, READS, tables=(table,))
    assert await risen(probe, shop, statement) == (1, 0)


async def test_other_words_and_values_are_not_the_table(
    pg_target: PostgresTarget, build: Build, shop: Connection
) -> None:
    await shop.execute('CREATE TABLE assessments2 (id int); CREATE TABLE "old assessments" (id int)')
    await shop.execute("CREATE TABLE élassessmentsé (id int); CREATE TABLE my$assessments (id int)")
    await shop.execute("CREATE SCHEMA older; CREATE TABLE older.assessments (id int)")
    others = [
        "assessments2",
        '"old assessments"',
        "élassessmentsé",
        "my$assessments",
        "users WHERE 'assessments' = 'x'",
    ]
    probe = build(KIND, pg_target, READS, tables=("public.assessments",))
    statements = [f"SELECT * FROM {name}" for name in others]
    assert await risen(probe, shop, *statements, "SELECT * FROM older.assessments") == (0, 6)
    anywhere = build(KIND, pg_target, READS, tables=("assessments",))
    assert await risen(anywhere, shop, *statements, "SELECT * FROM older.assessments") == (1, 5)


async def test_jobs_our_own_statements_and_other_databases_are_neither(
    pg_target: PostgresTarget, build: Build, shop: Connection, postgres_server: PostgresServer
) -> None:
    await shop.execute("CREATE SCHEMA watchdog; CREATE TABLE watchdog.fence (id int)")
    probe = build(KIND, pg_target, READS, tables=("assessments", "fence"))
    ours = [
        "ALTER TABLE assessments ADD COLUMN x int",
        "ANALYZE assessments",
        "COPY assessments TO STDOUT",
        "SELECT /* watchdog */ count(*) FROM assessments",
        "SELECT * FROM watchdog.fence, assessments",
        'SELECT * FROM "watchdog"."fence"',
        "SELECT count(*) FROM pg_catalog.pg_class",
        "SELECT relname FROM pg_stat_user_tables",
    ]
    before = await sums(probe)
    for one in ours:
        if one.startswith("COPY"):
            async with shop.cursor().copy(one.encode()) as copy:
                assert [row async for row in copy]
        else:
            await shop.execute(one.encode())
    async with await psycopg.AsyncConnection.connect(postgres_server.url("postgres")) as elsewhere:
        await elsewhere.execute("SELECT 'another database'")
    assert await sums(probe) == before
    # Reading itself is none either, however often.
    assert await sums(probe) == before


async def test_roles_can_be_left_out(pg_target: PostgresTarget, build: Build, shop: Connection) -> None:
    probe = build(KIND, pg_target, READS, tables=("assessments",), ignore_users=("nobody", shop.info.user))
    assert await risen(probe, shop, "SELECT * FROM assessments", "SELECT * FROM users") == (0, 0)
    assert await sums(probe) == {"release": 0, "other": 0}


async def test_only_sums_leave_the_server(pg_target: PostgresTarget, build: Build, shop: Connection) -> None:
    await shop.execute("SELECT * FROM assessments WHERE score = 4711")
    readings = await build(KIND, pg_target, READS, tables=("assessments",)).read()
    assert all(isinstance(value, float) for answer in readings.values() for value in answer.values())
    assert set(readings["calls"]) == {(("touches", "release"),), (("touches", "other"),)}


async def test_without_tables_those_of_applied_runs_count(
    pg_target: PostgresTarget, build: Build, shop: Connection, pg_database: str, postgres_server: PostgresServer
) -> None:
    probe = build(KIND, pg_target, READS)
    assert "no migration was ever applied by the watchdog in this database; say tables: [...]" in await refusal(probe)
    scratch = postgres_server.url("postgres")
    await archived(pg_database, "ALTER TABLE assessments DROP COLUMN score", scratch)
    first = await labels_of(probe)
    assert await risen(probe, shop, "SELECT * FROM public.assessments", "SELECT * FROM users") == (1, 1)
    run = await archived(
        pg_database, "ALTER TABLE users RENAME TO people; ALTER TABLE people ADD COLUMN x int", scratch
    )
    assert await labels_of(probe) != first
    assert await risen(probe, shop, "SELECT * FROM assessments", 'SELECT * FROM "people"') == (2, 0)
    await rollback(pg_database, run)
    assert await risen(probe, shop, "SELECT * FROM assessments", "SELECT * FROM users") == (1, 1)
    assert await labels_of(probe) == first


async def labels_of(probe: Probe) -> set[Labels]:
    """Another set of tables is another series."""
    found = set((await probe.read())["calls"])
    assert all([name for name, _ in labels] == ["tables", "touches"] for labels in found)
    return found


async def test_with_no_run_applied_everything_is_other(
    pg_target: PostgresTarget, build: Build, shop: Connection, pg_database: str, postgres_server: PostgresServer
) -> None:
    run = await archived(pg_database, "ALTER TABLE assessments DROP COLUMN score", postgres_server.url("postgres"))
    await rollback(pg_database, run)
    probe = build(KIND, pg_target, READS)
    assert await risen(probe, shop, "SELECT * FROM assessments", "SELECT * FROM users") == (0, 2)


async def test_a_user_without_rights_is_told_which_to_give(
    stranger: PostgresTarget, build: Build, shop: Connection, pg_database: str, postgres_server: PostgresServer
) -> None:
    named = build(KIND, stranger, READS, tables=("assessments",))
    assert "not shown the statements of others; GRANT pg_read_all_stats to it" in await refusal(named)
    await grant(shop, "GRANT pg_read_all_stats TO {}")
    assert await risen(named, shop, "SELECT * FROM assessments") == (1, 0)
    found = build(KIND, stranger, READS)
    await archived(pg_database, "ALTER TABLE assessments DROP COLUMN score", postgres_server.url("postgres"))
    said = await refusal(found)
    assert "GRANT USAGE ON SCHEMA watchdog and GRANT SELECT (state, manifest) ON watchdog.migration_runs" in said
    assert "or say tables: [...]" in said
    await grant(shop, "GRANT USAGE ON SCHEMA watchdog TO {}")
    assert await refusal(found) == said
    await grant(shop, "GRANT SELECT (state, manifest) ON watchdog.migration_runs TO {}")
    assert await risen(found, shop, "SELECT * FROM assessments") == (1, 0)
    await shop.execute("REVOKE SELECT ON pg_stat_statements FROM PUBLIC")
    assert "may not read pg_stat_statements; GRANT pg_read_all_stats to it" in await refusal(named)


async def test_a_database_without_the_extension_says_so(
    pg_target: PostgresTarget, build: Build, pg_database: str
) -> None:
    said = await refusal(build(KIND, pg_target, READS, tables=("t",)))
    assert "CREATE EXTENSION pg_stat_statements, which needs it in shared_preload_libraries" in said


async def test_a_server_that_has_not_loaded_it_says_so(server_dir: Path, build: Build, secret: Any) -> None:
    async with await PostgresServer.start(server_dir / "data", settings={"fsync": "off"}) as server:
        url = server.url("postgres")
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as admin:
            await admin.execute("CREATE EXTENSION pg_stat_statements")
        target = PostgresTarget("main-db", PostgresOptions(url=secret(url)))
        said = await refusal(build(KIND, target, READS, tables=("t",)))
        await target.close()
    assert "not loaded; put it in shared_preload_libraries and start the server anew" in said


async def test_a_server_that_is_not_there_is_unreachable(build: Build, secret: Any, unused_tcp_port: int) -> None:
    url = f"postgresql://u:hush-hush@127.0.0.1:{unused_tcp_port}/shop"
    target = PostgresTarget("main-db", PostgresOptions(url=secret(url)))
    with pytest.raises(ProbeError) as caught:
        await build(KIND, target, READS, tables=("t",)).read()
    assert caught.value.cause is Cause.UNREACHABLE
    assert "hush-hush" not in str(caught.value)


async def test_a_name_may_hold_anything(pg_target: PostgresTarget, build: Build, shop: Connection) -> None:
    await shop.execute('CREATE TABLE "a|b (""c"") \\d+*" (id int)')
    probe = build(KIND, pg_target, READS, tables=('a|b ("c") \\d+*',))
    statements = ('SELECT * FROM "a|b (""c"") \\d+*"', "SELECT id AS a FROM users")
    assert await risen(probe, shop, *statements) == (1, 1)


@pytest.mark.parametrize("name", ["", "a.b.c", ".a", "a."])
def test_what_is_no_table_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"tables: .* is no table"):
        StatementsOptions(tables=(name,))


def test_only_tables_that_were_found_are_told_apart() -> None:
    assert StatementsOptions().labels == ("tables",)
    assert StatementsOptions(tables=("assessments",)).labels == ()


@given(st.lists(st.tuples(st.text(), st.text(min_size=1)), max_size=5))
def test_the_order_of_tables_makes_no_difference(tables: list[tuple[str, str]]) -> None:
    assert pattern(tables) == pattern(reversed(tables))
    assert (pattern(tables) is None) == (not tables)
