import asyncio

import psycopg
import pytest

from tests.actions.conftest import Contexts, Guarded, Roles, eventually
from watchdog.actions.sql import KIND, SqlOptions
from watchdog.model.time import MILLISECOND
from watchdog.ports.actions import Action, Applied
from watchdog.ports.errors import FencedError, StepError, StepUncertainError
from watchdog.ports.kinds import Duration, Resources, Script
from watchdog.targets.archive import Archive


def step(resources: Resources, text: str, **options: object) -> Action:
    return KIND.build("database", SqlOptions(script=Script(text, "x.sql"), **options), resources)  # type: ignore[arg-type]


USERS = Archive(name="users", table="public.users")


async def test_a_dropped_column_is_kept_counted_and_checksummed(
    guarded: Guarded, resources: Roles, context: Contexts
) -> None:
    archive = Archive(name="scores", table="users", columns=("score",))
    said = await step(resources, "ALTER TABLE users DROP COLUMN score", archive=(archive,)).execute(context())
    assert "100 rows in watchdog.archive_scores" in said
    assert await guarded.fetch("SELECT count(*), sum(score) FROM watchdog.archive_scores") == [(100, 5050)]
    [(rows, checksum, source)] = await guarded.fetch("SELECT rows, checksum, source FROM watchdog.archives")
    assert (rows, source) == (100, "public.users")
    again = await guarded.value("SELECT sum(hashtextextended(a::text, 0))::text FROM watchdog.archive_scores AS a")
    assert checksum == again


async def test_a_script_runs_once_however_often_it_is_executed(
    guarded: Guarded, resources: Roles, context: Contexts
) -> None:
    once = context()
    action = step(resources, "INSERT INTO users (name) VALUES ('new')")
    assert await action.execute(once) == await action.execute(once)
    assert await guarded.value("SELECT count(*) FROM users") == 101
    assert (await action.verify(once)).applied is Applied.YES
    assert (await action.verify(context())).applied is Applied.NO


async def test_a_failing_script_leaves_nothing_behind(guarded: Guarded, resources: Roles, context: Contexts) -> None:
    mine = context()
    text = "DELETE FROM orders; ALTER TABLE users ALTER COLUMN score SET NOT NULL; SELECT 1 / 0"
    action = step(resources, text, archive=(Archive(name="orders", table="orders"),))
    with pytest.raises(StepError, match="22012"):
        await action.execute(mine)
    assert await guarded.value("SELECT count(*) FROM orders") == 10
    assert not await guarded.has_table("watchdog.archive_orders")
    assert (await action.verify(mine)).applied is Applied.NO


async def test_a_stale_leader_runs_nothing(guarded: Guarded, resources: Roles, context: Contexts) -> None:
    await step(resources, "SELECT 1").execute(context(epoch=5))
    with pytest.raises(FencedError, match="epoch 5"):
        await step(resources, "INSERT INTO users (name) VALUES ('stale')").execute(context(epoch=4))
    assert await guarded.value("SELECT count(*) FROM users") == 100


async def test_a_lock_that_is_freed_soon_is_waited_for(guarded: Guarded, resources: Roles, context: Contexts) -> None:
    holder = await psycopg.AsyncConnection.connect(guarded.admin_url)
    async with holder:
        await holder.execute("LOCK TABLE users")
        action = step(resources, "ALTER TABLE users ADD COLUMN extra int", lock_timeout=Duration(100 * MILLISECOND))
        running = context()
        task = asyncio.create_task(action.execute(running))
        waiting = "FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'ALTER%'"
        await eventually(lambda: guarded.value(f"SELECT EXISTS (SELECT {waiting})"))
        await eventually(lambda: guarded.value(f"SELECT NOT EXISTS (SELECT {waiting})"))
        await holder.rollback()
        await task
    assert await guarded.value("SELECT count(*) FROM information_schema.columns WHERE column_name = 'extra'") == 1


async def test_a_lock_that_is_never_freed_fails_the_step(guarded: Guarded, resources: Roles, context: Contexts) -> None:
    holder = await psycopg.AsyncConnection.connect(guarded.admin_url)
    async with holder:
        await holder.execute("LOCK TABLE users")
        action = step(resources, "ALTER TABLE users ADD COLUMN extra int", lock_timeout=Duration(50 * MILLISECOND))
        with pytest.raises(StepError, match="55P03"):
            await action.execute(context())


async def test_rows_deleted_beyond_the_archive_stop_the_step(
    guarded: Guarded, resources: Roles, context: Contexts
) -> None:
    archive = Archive(name="some", table="orders", where="user_id <= 5")
    with pytest.raises(StepError, match=r"1 rows of public\.orders"):
        await step(resources, "DELETE FROM orders WHERE user_id <= 6", archive=(archive,)).execute(context())
    assert await guarded.value("SELECT count(*) FROM orders") == 10
    await step(resources, "DELETE FROM orders WHERE user_id <= 5", archive=(archive,)).execute(context())
    assert await guarded.value("SELECT count(*) FROM orders") == 5


async def test_rows_changed_beyond_the_archive_stop_the_step(
    guarded: Guarded, resources: Roles, context: Contexts
) -> None:
    archive = Archive(name="some", table="users", columns=("score",), where="id <= 5")
    with pytest.raises(StepError, match=r"5 rows of public\.users"):
        await step(resources, "UPDATE users SET score = 0 WHERE id <= 10", archive=(archive,)).execute(context())
    await step(resources, "UPDATE users SET score = 0 WHERE id <= 5", archive=(archive,)).execute(context())
    assert await guarded.value("SELECT sum(score) FROM watchdog.archive_some") == 15


async def test_a_foreign_key_that_would_delete_elsewhere_stops_the_step(
    guarded: Guarded, resources: Roles, context: Contexts
) -> None:
    with pytest.raises(StepError, match=r"also changes public\.orders"):
        await step(resources, "DELETE FROM users WHERE id = 1", archive=(USERS,)).execute(context())
    both = (USERS, Archive(name="orders", table="orders"))
    await step(resources, "DELETE FROM users WHERE id = 1", archive=both).execute(context())
    assert await guarded.value("SELECT count(*) FROM orders") == 9
    assert await guarded.value("SELECT count(*) FROM watchdog.archive_orders") == 10


async def test_the_archive_of_an_earlier_run_is_kept_under_its_run(
    guarded: Guarded, resources: Roles, context: Contexts
) -> None:
    for run in ("run-1", "run-2"):
        action = step(resources, "UPDATE users SET score = 7", archive=(USERS,))
        await action.execute(context(run_id=run, step_id=f"{run}/s"))
    assert await guarded.value('SELECT sum(score) FROM watchdog."archive_users_run-1"') == 5050
    assert await guarded.value("SELECT sum(score) FROM watchdog.archive_users") == 700
    relations = await guarded.fetch("SELECT run_id, relation FROM watchdog.archives ORDER BY run_id")
    assert relations == [("run-1", "archive_users_run-1"), ("run-2", "archive_users")]


async def test_an_archive_lets_go_of_types_that_the_script_drops(
    guarded: Guarded, resources: Roles, context: Contexts
) -> None:
    await guarded.fetch(
        "SET ROLE step_owner; CREATE TYPE mood AS ENUM ('ok');"
        "ALTER TABLE users ADD mood mood DEFAULT 'ok', ADD moods mood[]"
    )
    archive = Archive(name="moods", table="users", columns=("mood", "moods"))
    text = "ALTER TABLE users DROP COLUMN mood, DROP COLUMN moods; DROP TYPE mood"
    await step(resources, text, archive=(archive,)).execute(context())
    assert await guarded.fetch("SELECT DISTINCT mood FROM watchdog.archive_moods") == [("ok",)]


async def test_nobody_else_may_read_an_archive(guarded: Guarded, resources: Roles, context: Contexts) -> None:
    await step(resources, "UPDATE users SET score = 7", archive=(USERS,)).execute(context())
    connection = await psycopg.AsyncConnection.connect(guarded.app_url, autocommit=True)
    async with connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("SELECT * FROM watchdog.archive_users")


async def test_a_script_without_archive_is_not_run_even_if_nobody_checked_it(
    guarded: Guarded, resources: Roles, context: Contexts
) -> None:
    with pytest.raises(StepError, match=r"x\.sql was not run: line 1: DELETE FROM public\.orders"):
        await step(resources, "DELETE FROM orders").execute(context())
    assert await guarded.value("SELECT count(*) FROM orders") == 10


async def test_an_index_is_built_concurrently_and_verified(
    guarded: Guarded, resources: Roles, context: Contexts
) -> None:
    valid = Script("SELECT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('by_name') AND indisvalid)")
    text = "CREATE INDEX CONCURRENTLY by_name ON users (name)"
    action = step(resources, text, transactional=False, verify=valid)
    mine = context()
    assert (await action.verify(mine)).applied is Applied.NO
    await action.execute(mine)
    assert (await action.verify(mine)).applied is Applied.YES
    assert (await action.verify(context())).applied is Applied.YES, "the query tells, without a receipt"
    await action.execute(mine)


async def test_a_statement_that_fails_outside_a_transaction_is_uncertain(resources: Roles, context: Contexts) -> None:
    text = "CREATE INDEX CONCURRENTLY by_name ON users (nothing)"
    action = step(resources, text, transactional=False, verify=Script("SELECT 7"))
    mine = context()
    with pytest.raises(StepUncertainError, match="42703"):
        await action.execute(mine)
    assert (await action.verify(mine)).applied is Applied.CANNOT_TELL


async def test_errors_quote_no_values_of_rows(guarded: Guarded, resources: Roles, context: Contexts) -> None:
    with pytest.raises(StepError) as caught:
        await step(resources, "ALTER TABLE users ADD CHECK (name::int > 0)").execute(context())
    assert "user 1" not in str(caught.value)


async def test_a_preview_counts_and_changes_nothing(guarded: Guarded, resources: Roles, context: Contexts) -> None:
    archive = Archive(name="some", table="orders", where="user_id <= 5")
    said = await step(resources, "DELETE FROM orders WHERE user_id <= 5", archive=(archive,)).preview(context())
    assert said == "would run 1 statement on main after keeping 5 rows of public.orders as watchdog.archive_some"
    assert await guarded.value("SELECT count(*) FROM orders") == 10
    assert not await guarded.has_table("watchdog.fence")
