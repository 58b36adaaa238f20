from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.actions.conftest import Contexts, Guarded, Roles
from tests.migrations.tools.plain import plain
from watchdog.actions.migrations import KIND, MigrationsOptions
from watchdog.migrations.apply import apply
from watchdog.migrations.options import Options
from watchdog.migrations.runs import runs
from watchdog.migrations.tools.apply import apply_tool
from watchdog.ports.actions import Action, Applied
from watchdog.ports.errors import FencedError, StepError
from watchdog.servers.postgres import PostgresServer

SCRIPTS = {
    "names": "ALTER TABLE users ADD nick text; UPDATE users SET score = 0",
    "scores": "ALTER TABLE users DROP score",
}


@pytest.fixture
async def released(guarded: Guarded, postgres_server: PostgresServer) -> dict[str, str]:
    """Two migrations of release `r1` and one of another; answers with their script's hashes by name."""
    await guarded.fetch("CREATE SCHEMA watchdog AUTHORIZATION step_owner")
    scratch = postgres_server.url("postgres")
    for name, script in SCRIPTS.items():
        # Any table is large enough to be made beside.
        options = Options(name=name, release="r1", role="step_owner", online_rows=1)
        await apply(guarded.admin_url, script, scratch_url=scratch, options=options)
    options = Options(release="r2", role="step_owner")
    await apply(guarded.admin_url, "CREATE TABLE other ()", scratch_url=scratch, options=options)
    return {run.name: run.script_hash for run in await runs(guarded.admin_url)}


def step(resources: Roles, **options: object) -> Action:
    return KIND.build("database", MigrationsOptions(**options), resources)  # type: ignore[arg-type]


def facts(hashes: Mapping[str, str]) -> dict[str, str]:
    return {"release": "r1", "rehearsed_scripts": ",".join(hashes.values())}


async def test_a_release_is_taken_back_once_and_no_other(
    released: dict[str, str], guarded: Guarded, resources: Roles, context: Contexts
) -> None:
    await guarded.fetch("DROP TABLE other")
    await guarded.fetch("INSERT INTO users (name) VALUES ('later')")
    mine = context(facts=facts(released))
    action = step(resources)
    assert (await action.preview(mine)).startswith("would take back scores, names")
    said = await action.execute(mine)
    assert said == "took back scores, names; 0 rows that do not fit are in watchdog.migration_quarantine"
    assert await action.execute(mine) == said
    assert (await action.verify(mine)).applied is Applied.YES
    assert await guarded.fetch("SELECT count(*), sum(score) FROM users") == [(101, 5050)]
    assert [run.state for run in await runs(guarded.admin_url)] == ["rolled back", "rolled back", "applied"]


async def test_only_the_named_migration(
    released: dict[str, str], guarded: Guarded, resources: Roles, context: Contexts
) -> None:
    await guarded.fetch("DROP TABLE other")
    await step(resources, names=("scores",)).execute(context(facts=facts(released)))
    assert [run.state for run in await runs(guarded.admin_url)] == ["applied", "rolled back", "applied"]


async def test_a_script_that_was_not_rehearsed_is_not_taken_back(
    released: dict[str, str], guarded: Guarded, resources: Roles, context: Contexts
) -> None:
    with pytest.raises(StepError, match="names of release r1: not the script that was rehearsed"):
        await step(resources).execute(context(facts=facts({"scores": released["scores"]})))
    assert {run.state for run in await runs(guarded.admin_url)} == {"applied"}


async def test_a_later_change_of_the_schema_refuses_everything(
    released: dict[str, str], guarded: Guarded, resources: Roles, context: Contexts
) -> None:
    await guarded.fetch("SET ROLE step_owner; ALTER TABLE users ADD later int")
    with pytest.raises(StepError, match="take the later changes back first"):
        await step(resources).execute(context(facts=facts(released)))
    assert {run.state for run in await runs(guarded.admin_url)} == {"applied"}


@pytest.mark.usefixtures("released")
async def test_a_release_that_was_never_applied_is_named(resources: Roles, context: Contexts) -> None:
    with pytest.raises(StepError, match="No migration of release r9 was applied to main"):
        await step(resources).execute(context(facts={"release": "r9"}))


async def test_a_database_without_any_run_is_no_crash(resources: Roles, context: Contexts) -> None:
    with pytest.raises(StepError, match="No migration named x of release r1"):
        await step(resources, names=("x",)).execute(context(facts={"release": "r1"}))


async def test_a_stale_leader_takes_nothing_back(
    released: dict[str, str], guarded: Guarded, resources: Roles, context: Contexts
) -> None:
    await guarded.fetch("DROP TABLE other")
    known = facts(released)
    await step(resources, names=("scores",)).execute(context(epoch=2, facts=known))
    with pytest.raises(FencedError):
        await step(resources).execute(context(epoch=1, facts=known))
    assert [run.state for run in await runs(guarded.admin_url)] == ["applied", "rolled back", "applied"]


def test_words_that_no_run_will_know_are_complained_of() -> None:
    assert list(KIND.complaints(MigrationsOptions(release="{realease}"))) != []
    assert list(KIND.complaints(MigrationsOptions(release=""))) != []


async def test_a_tool_whose_process_died_is_finished_first(
    guarded: Guarded, postgres_server: PostgresServer, resources: Roles, context: Contexts, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    async def dies(*_: object) -> None:
        raise LookupError

    await guarded.fetch("CREATE SCHEMA watchdog AUTHORIZATION step_owner")
    command = plain(tmp_path, ("ALTER TABLE users DROP score", "UPDATE users SET name = 'x'"))
    options = Options(release="r1", role="step_owner")
    monkeypatch.setattr("watchdog.migrations.tools.apply.finish", dies)
    with pytest.raises(LookupError):
        await apply_tool(guarded.admin_url, command, scratch_url=postgres_server.url("postgres"), options=options)
    assert [run.state for run in await runs(guarded.admin_url)] == ["applying"]
    said = await step(resources).execute(context(facts={"release": "r1"}))
    assert said.startswith("took back run 1;")
    assert await guarded.fetch("SELECT count(*), sum(score), count(DISTINCT name) > 1 FROM users") == [
        (100, 5050, True)
    ]


async def test_a_release_of_which_nothing_can_be_taken_back_stays_open(
    released: dict[str, str], guarded: Guarded, resources: Roles, context: Contexts, postgres_server: PostgresServer
) -> None:
    del released
    for said in ({"release": "r9"}, {"release": "r1", "rehearsed_scripts": "another"}):
        with pytest.raises(StepError, match="nothing was done"):
            await step(resources).execute(context(facts=said))
        options = Options(release=said["release"], role="step_owner")
        script = f"CREATE TABLE {said['release']} ()"
        assert (
            await apply(guarded.admin_url, script, scratch_url=postgres_server.url("postgres"), options=options)
        ).run
