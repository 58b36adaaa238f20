import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import psycopg
import pytest

from tests.actions.conftest import Contexts, Guarded, Roles, eventually
from watchdog.actions.fence_writers import KIND, FenceWritersOptions
from watchdog.model.time import MILLISECOND
from watchdog.ports.actions import Action, Applied
from watchdog.ports.errors import FencedError, StepError
from watchdog.ports.kinds import Duration, Resources
from watchdog.targets.fence import run_fenced
from watchdog.targets.postgres import PostgresTarget

GRANTS = """
    SELECT relname, '' AS attname, entry.grantee::regrole::text, privilege_type, is_grantable
    FROM pg_class, aclexplode(coalesce(relacl, acldefault('r', relowner))) AS entry
    WHERE relkind IN ('r', 'S') AND relnamespace = 'public'::regnamespace
    UNION ALL SELECT relname, attname, entry.grantee::regrole::text, privilege_type, is_grantable
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid, aclexplode(attacl) AS entry
    WHERE relnamespace = 'public'::regnamespace ORDER BY 1, 2, 3, 4
"""


def step(resources: Resources, do: str, *, roles: tuple[str, ...] = ("step_app",), drain_ms: int = 200) -> Action:
    options = FenceWritersOptions(roles=roles, do=do, drain=Duration(drain_ms * MILLISECOND))  # type: ignore[arg-type]
    return KIND.build("database", options, resources)


@asynccontextmanager
async def writing(url: str) -> AsyncIterator[list[str]]:
    """A service that writes as fast as it can; the list gets the outcome of every write."""
    outcomes: list[str] = []

    async def write() -> None:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            while True:
                try:
                    await connection.execute("INSERT INTO users (name) VALUES ('written')")
                    outcomes.append("ok")
                except psycopg.errors.InsufficientPrivilege:
                    outcomes.append("refused")
                await asyncio.sleep(0.001)

    task = asyncio.create_task(write())
    try:
        yield outcomes
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], bool]) -> None:
    async def holds() -> bool:
        return condition()

    await eventually(holds)


async def test_a_writer_in_a_loop_is_stopped_and_goes_on_after_the_lift(
    guarded: Guarded, resources: Roles, context: Contexts
) -> None:
    async with writing(guarded.app_url) as outcomes:
        await until(lambda: outcomes.count("ok") > 5)
        await step(resources, "fence").execute(context())
        count = await guarded.value("SELECT count(*) FROM users")
        refused = outcomes.count("refused")
        await until(lambda: outcomes.count("refused") > refused + 5)
        assert await guarded.value("SELECT count(*) FROM users") == count
        written = outcomes.count("ok")
        await step(resources, "lift").execute(context())
        await until(lambda: outcomes.count("ok") > written + 5)


async def test_a_lift_restores_exactly_the_grants_that_were_there(
    guarded: Guarded, resources: Roles, context: Contexts
) -> None:
    await guarded.fetch(
        "SET ROLE step_owner; GRANT UPDATE (name) ON users TO step_app; REVOKE DELETE ON orders FROM step_app;"
        "GRANT UPDATE ON orders TO step_app WITH GRANT OPTION; CREATE TABLE log (line text);"
        "GRANT INSERT (line) ON log TO step_app"
    )
    before = await guarded.fetch(GRANTS)
    fence = context()
    assert "took 9 write grants on 5 tables and sequences" in await step(resources, "fence").execute(fence)
    assert await guarded.fetch(GRANTS) != before
    await step(resources, "fence").execute(context())  # twice takes nothing more
    assert (await step(resources, "lift").execute(context())).startswith("gave 9 write grants")
    assert await guarded.fetch(GRANTS) == before
    assert (await step(resources, "lift").execute(context())).startswith("gave 0 write grants")


async def test_a_table_that_is_gone_does_not_stop_the_lift(
    guarded: Guarded, resources: Roles, context: Contexts
) -> None:
    await step(resources, "fence").execute(context())
    await guarded.fetch("DROP TABLE orders")
    await step(resources, "lift").execute(context())
    assert await guarded.value("SELECT has_table_privilege('step_app', 'users', 'INSERT')")


async def test_a_transaction_from_before_is_terminated_after_the_drain(
    guarded: Guarded, resources: Roles, context: Contexts
) -> None:
    connection = await psycopg.AsyncConnection.connect(guarded.app_url)
    try:
        await connection.execute("INSERT INTO users (name) VALUES ('late')")
        said = await step(resources, "fence").execute(context())
        assert "1 sessions were terminated" in said
        with pytest.raises(psycopg.OperationalError):
            await connection.commit()
    finally:
        await connection.close()
    assert await guarded.value("SELECT count(*) FROM users WHERE name = 'late'") == 0


async def test_a_transaction_that_ends_in_time_is_let_go(guarded: Guarded, resources: Roles, context: Contexts) -> None:
    async with await psycopg.AsyncConnection.connect(guarded.app_url) as connection:
        await connection.execute("INSERT INTO users (name) VALUES ('in time')")
        task = asyncio.create_task(step(resources, "fence", drain_ms=10_000).execute(context()))
        await eventually(lambda: guarded.value("SELECT NOT has_table_privilege('step_app', 'users', 'INSERT')"))
        await connection.commit()
        assert "no transaction of theirs is open" in await task
    assert await guarded.value("SELECT count(*) FROM users WHERE name = 'in time'") == 1


async def test_a_backup_is_never_terminated(guarded: Guarded, resources: Roles, context: Contexts) -> None:
    connection = await psycopg.AsyncConnection.connect(guarded.app_url, application_name="pg_dump")
    async with connection:
        await connection.execute("SELECT count(*) FROM users")
        await step(resources, "fence").execute(context())
        await connection.execute("SELECT 1")


async def test_a_crash_between_revoke_and_drain_is_not_taken_for_done(
    resources: Roles, database: PostgresTarget, context: Contexts
) -> None:
    mine = context()
    action = step(resources, "fence")

    async def crash(_: object) -> str:
        return "took the grants"

    await run_fenced(database, mine, crash)
    assert (await action.verify(mine)).applied is Applied.NO
    assert await action.execute(mine) == "took the grants; no transaction of theirs is open from before"
    assert (await action.verify(mine)).applied is Applied.YES


@pytest.mark.parametrize(
    ("setup", "roles", "says"),
    [
        ("", ("nobody_here",), "There is no role nobody_here"),
        ("", ("postgres",), "postgres is a superuser"),
        ("", ("step_agent",), "watchdog itself is step_agent"),
        ("", ("step_owner",), "watchdog itself is step_owner"),
        ("GRANT INSERT ON users TO PUBLIC", ("step_app",), r"could still write public\.users, through PUBLIC"),
        ("CREATE TABLE own (); ALTER TABLE own OWNER TO step_app", ("step_app",), "an owner cannot be kept out"),
    ],
)
async def test_a_role_that_a_revoke_cannot_bind_is_refused(
    guarded: Guarded, resources: Roles, context: Contexts, setup: str, roles: tuple[str, ...], says: str
) -> None:
    await guarded.fetch(setup or "SELECT")
    before = await guarded.fetch(GRANTS)
    with pytest.raises(StepError, match=says):
        await step(resources, "fence", roles=roles).execute(context())
    assert await guarded.fetch(GRANTS) == before


async def test_a_stale_leader_fences_nobody(guarded: Guarded, resources: Roles, context: Contexts) -> None:
    await step(resources, "lift").execute(context(epoch=3))
    with pytest.raises(FencedError):
        await step(resources, "fence").execute(context(epoch=2))
    assert await guarded.value("SELECT has_table_privilege('step_app', 'users', 'INSERT')")


async def test_a_preview_names_the_sessions_and_changes_nothing(
    guarded: Guarded, resources: Roles, context: Contexts
) -> None:
    async with await psycopg.AsyncConnection.connect(guarded.app_url):
        said = await step(resources, "fence").preview(context())
    assert said == "would keep step_app (1 sessions) from writing to public"
    assert not await guarded.has_table("watchdog.fence")
