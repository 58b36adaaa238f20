"""Version tables as the tools document and make them; Alembic and Django themselves are in `test_tools.py`."""

import asyncio

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.discovery.conftest import Beats
from tests.support.archives import open_to, sql
from watchdog.discovery.changes import Change, Reading
from watchdog.discovery.postgres import PostgresDiscoverer
from watchdog.discovery.watch import Watch
from watchdog.ports.secrets import KnownSecret
from watchdog.targets.postgres import PostgresError, PostgresOptions, PostgresTarget

MADE = {
    "flyway": """
        CREATE TABLE flyway_schema_history (installed_rank int PRIMARY KEY, version varchar(50),
            description varchar(200) NOT NULL, type varchar(20) NOT NULL, script varchar(1000) NOT NULL, checksum int,
            installed_by varchar(100) NOT NULL, installed_on timestamp NOT NULL DEFAULT now(),
            execution_time int NOT NULL, success boolean NOT NULL);
        INSERT INTO flyway_schema_history VALUES
            (0, NULL, '<< Flyway Schema Creation >>', 'SCHEMA', '"shop"', NULL, 'ann', now(), 0, true)""",
    "liquibase": """
        CREATE TABLE databasechangelog (id varchar(255) NOT NULL, author varchar(255) NOT NULL,
            filename varchar(255) NOT NULL, dateexecuted timestamp NOT NULL, orderexecuted int NOT NULL,
            exectype varchar(10) NOT NULL, md5sum varchar(35), description varchar(255), comments varchar(255),
            tag varchar(255), liquibase varchar(20), contexts varchar(255), labels varchar(255),
            deployment_id varchar(10))""",
    "golang-migrate": "CREATE TABLE schema_migrations (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL)",
    "prisma": """
        CREATE TABLE _prisma_migrations (id varchar(36) PRIMARY KEY, checksum varchar(64) NOT NULL,
            finished_at timestamptz, migration_name varchar(255) NOT NULL, logs text, rolled_back_at timestamptz,
            started_at timestamptz NOT NULL DEFAULT now(), applied_steps_count int NOT NULL DEFAULT 0)""",
    "rails": """
        CREATE TABLE schema_migrations (version varchar NOT NULL PRIMARY KEY);
        CREATE TABLE ar_internal_metadata (key varchar NOT NULL PRIMARY KEY, value varchar,
            created_at timestamp(6) NOT NULL, updated_at timestamp(6) NOT NULL)""",
    "dbmate": "CREATE TABLE schema_migrations (version varchar(128) PRIMARY KEY)",
    "sqitch": """
        CREATE SCHEMA sqitch;
        CREATE TABLE sqitch.changes (change_id text PRIMARY KEY, script_hash text UNIQUE, change text NOT NULL,
            project text NOT NULL, note text NOT NULL DEFAULT '', committed_at timestamptz NOT NULL DEFAULT now(),
            committer_name text NOT NULL, committer_email text NOT NULL, planned_at timestamptz NOT NULL,
            planner_name text NOT NULL, planner_email text NOT NULL)""",
    "schema_versions": """
        CREATE TABLE schema_versions (version text PRIMARY KEY, description text NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT now())""",
}
NOTED = {
    "flyway": (
        "INSERT INTO flyway_schema_history VALUES (1, '1.2', 'drop old', 'SQL', 'V1_2.sql', 7, 'ann', now(), 5, true)",
        "1.2 drop old",
    ),
    "liquibase": (
        """INSERT INTO databasechangelog
           VALUES ('1', 'ann', 'all.sql', now(), 1, 'EXECUTED'), ('2', 'ann', 'all.sql', now(), 2, 'MARK_RAN')""",
        "all.sql:ann:1",
    ),
    "golang-migrate": ("INSERT INTO schema_migrations VALUES (20260101, false)", "20260101"),
    "prisma": (
        "INSERT INTO _prisma_migrations VALUES ('a-1', 'x', now(), '20260101_drop_old', NULL, NULL, now(), 1)",
        "20260101_drop_old",
    ),
    "rails": ("INSERT INTO schema_migrations VALUES ('20260101000000')", "20260101000000"),
    "dbmate": ("INSERT INTO schema_migrations VALUES ('20260101000000')", "20260101000000"),
    "sqitch": (
        "INSERT INTO sqitch.changes VALUES ('a', 'b', 'drop_old', 'shop', '', now(), 'Ann', 'a@b', now(), 'Ann', '')",
        "shop:drop_old",
    ),
    "schema_versions": ("INSERT INTO schema_versions VALUES ('drop_old', 'it is old')", "drop_old"),
}


def is_quiet(watch: Watch) -> bool:
    return watch.last is not None and watch.last.is_quiet


@pytest.mark.parametrize("tool", MADE)
async def test_what_a_tool_notes_is_found_and_what_stood_there_before_is_not(
    tool: str, target: PostgresTarget, pg_database: str, clock: Beats
) -> None:
    await sql(pg_database, MADE[tool])
    watch = Watch(PostgresDiscoverer(target, clock))
    assert await watch.look() == ()
    insert, name = NOTED[tool]
    await sql(pg_database, insert)
    [found] = await watch.look()
    assert (found.tool, found.change, found.versions) == (tool, Change.APPLIED, (name,))
    assert found.since < found.at
    assert await watch.look() == ()
    assert watch.unread == {}


async def test_what_is_under_way_failed_or_was_taken_back_is_told_apart(
    target: PostgresTarget, pg_database: str, clock: Beats
) -> None:
    await sql(pg_database, MADE["prisma"] + ";" + MADE["golang-migrate"] + ";" + MADE["flyway"])
    await sql(pg_database, "INSERT INTO schema_migrations VALUES (1, false)")
    watch = Watch(PostgresDiscoverer(target, clock))
    await watch.look()
    await sql(
        pg_database,
        "INSERT INTO _prisma_migrations VALUES ('a-1', 'x', NULL, 'slow', NULL, NULL, now(), 0);"
        "UPDATE schema_migrations SET version = 2, dirty = true;"
        "INSERT INTO flyway_schema_history VALUES (1, '1', 'bad', 'SQL', 'V1', 7, 'ann', now(), 5, false)",
    )
    assert {(one.tool, one.change, one.versions, one.gone) for one in await watch.look()} == {
        ("prisma", Change.BEGUN, ("slow",), ()),
        ("golang-migrate", Change.BEGUN, ("2",), ("1",)),
        ("flyway", Change.FAILED, ("1 bad",), ()),
    }
    assert not is_quiet(watch)
    await sql(
        pg_database,
        "UPDATE _prisma_migrations SET rolled_back_at = now(); UPDATE schema_migrations SET dirty = false;"
        "DELETE FROM flyway_schema_history WHERE NOT success",
    )
    assert {(one.tool, one.change, one.versions) for one in await watch.look()} == {
        ("prisma", Change.TAKEN_BACK, ("slow",)),
        ("golang-migrate", Change.APPLIED, ("2",)),
        ("flyway", Change.TAKEN_BACK, ("1 bad",)),
    }
    assert is_quiet(watch)
    await sql(pg_database, "UPDATE _prisma_migrations SET rolled_back_at = NULL, logs = 'no such column'")
    assert [(one.change, one.versions) for one in await watch.look()] == [(Change.FAILED, ("slow",))]


async def test_a_table_of_another_name_is_read_when_its_tool_is_named_and_another_shape_is_none_of_ours(
    target: PostgresTarget, pg_database: str, clock: Beats
) -> None:
    await sql(pg_database, 'CREATE SCHEMA "Odd"; CREATE TABLE "Odd"."my history" (version_num text)')
    await sql(pg_database, "CREATE TABLE schema_migrations (id int, inserted_at timestamp)")
    await sql(pg_database, "CREATE TABLE changes (id int); INSERT INTO changes VALUES (1)")
    plain = await PostgresDiscoverer(target, clock).read()
    await sql(pg_database, """INSERT INTO "Odd"."my history" VALUES ('one')""")
    named = await PostgresDiscoverer(target, clock, {"my history": "alembic"}).read()
    assert plain.versions == frozenset()
    assert {(one.tool, one.place, one.name) for one in named.versions} == {("alembic", "Odd.my history", "one")}
    with pytest.raises(ValueError, match="'alembik' is no tool whose tables are known; write one of alembic, django"):
        PostgresDiscoverer(target, clock, {"my history": "alembik"})


async def test_a_user_without_rights_says_what_to_grant_and_reports_nothing_when_it_gets_them(
    pg_database: str, clock: Beats
) -> None:
    await sql(pg_database, MADE["dbmate"] + ";" + NOTED["dbmate"][0])
    role = pg_database.rpartition("/")[2].partition("?")[0] + "_lesser"
    await sql(pg_database, f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
    target = PostgresTarget("db", PostgresOptions(url=KnownSecret(make_conninfo(pg_database, user=role, password="x"))))
    try:
        watch = Watch(PostgresDiscoverer(target, clock))
        assert await watch.look() == ()
        assert "GRANT SELECT ON public.schema_migrations" in watch.unread["public.schema_migrations"]
        assert "GRANT pg_monitor" in watch.unread["pg_stat_activity"]
        await sql(pg_database, f"GRANT SELECT ON schema_migrations TO {role}; GRANT pg_monitor TO {role}")
        assert await watch.look() == ()
        assert watch.unread == {}
        await sql(pg_database, "INSERT INTO schema_migrations VALUES ('20260202000000')")
        [found] = await watch.look()
        assert found.versions == ("20260202000000",)
    finally:
        await target.close()
        await sql(pg_database, f"DROP OWNED BY {role}; DROP ROLE {role}")


async def test_a_table_that_is_locked_is_no_news_and_forgets_nothing(
    target: PostgresTarget, pg_database: str, clock: Beats
) -> None:
    await sql(pg_database, MADE["dbmate"] + ";" + NOTED["dbmate"][0])
    watch = Watch(PostgresDiscoverer(target, clock))
    await watch.look()
    async with open_to(pg_database) as connection, connection.transaction():
        await connection.execute("SET LOCAL application_name = 'watchdog'")
        await connection.execute("LOCK TABLE schema_migrations")
        assert await watch.look() == ()
        assert "55P03" in watch.unread["public.schema_migrations"]
    assert await watch.look() == ()
    await sql(pg_database, "INSERT INTO schema_migrations VALUES ('20260202000000')")
    assert [one.versions for one in await watch.look()] == [("20260202000000",)]


async def test_a_statement_under_way_is_found_with_the_beginning_of_its_transaction_and_without_its_values(
    target: PostgresTarget, pg_database: str, clock: Beats
) -> None:
    await sql(pg_database, "CREATE TABLE users (id int)")
    discoverer = PostgresDiscoverer(target, clock)
    url = make_conninfo(pg_database, application_name="deploy")
    async with open_to(pg_database) as holder, open_to(url) as deployer, holder.transaction():
        await holder.execute("SELECT * FROM users")
        text = b"ALTER TABLE users ADD COLUMN a text DEFAULT 'hush-hush'"
        altering = asyncio.create_task(deployer.execute(text))
        try:
            async with asyncio.timeout(20):
                while not (reading := await discoverer.read()).running:
                    pass
            [running] = reading.running
            assert (running.what, running.application) == ("ALTER TABLE users", "deploy")
            assert "hush" not in repr(reading)
            watch = Watch(discoverer, Reading(0))
            [found] = await watch.look()
            assert found.since < found.at
            assert await watch.look() == ()
        finally:
            await deployer.cancel_safe()
            with pytest.raises(psycopg.errors.QueryCanceled):
                await altering
    assert (await discoverer.read()).running == frozenset()


async def test_our_own_sessions_are_no_discovery(target: PostgresTarget, pg_database: str, clock: Beats) -> None:
    async with open_to(make_conninfo(pg_database, application_name="watchdog migration")) as ours, ours.transaction():
        await ours.execute("CREATE TABLE a (id int)")
        assert (await PostgresDiscoverer(target, clock).read()).running == frozenset()
    async with open_to(make_conninfo(pg_database, application_name="psql")) as theirs, theirs.transaction():
        await theirs.execute("CREATE TABLE b (id int)")
        assert [one.what for one in (await PostgresDiscoverer(target, clock).read()).running] == ["CREATE TABLE b"]


async def test_a_server_that_is_away_raises_and_nothing_is_forgotten(unused_tcp_port: int, clock: Beats) -> None:
    url = f"postgresql://nobody@127.0.0.1:{unused_tcp_port}/shop"
    target = PostgresTarget("db", PostgresOptions(url=KnownSecret(url)))
    last = Reading(3)
    watch = Watch(PostgresDiscoverer(target, clock), last)
    with pytest.raises(PostgresError, match="does not answer"):
        await watch.look()
    assert watch.last is last
