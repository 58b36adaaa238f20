import asyncio
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import psycopg
import pytest
import stamina

from tests.actions.conftest import Contexts, Guarded, Plain, eventually
from watchdog.ports.actions import Applied
from watchdog.ports.errors import FencedError, StepError, StepUncertainError
from watchdog.targets.fence import fenced, prepare, run_fenced, run_fenced_session, verify_fenced
from watchdog.targets.postgres import Connection, PostgresOptions, PostgresTarget

OURS = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name LIKE 'watchdog e1 %' AND datname = '{}')"


@pytest.fixture(autouse=True)
async def effects(guarded: Guarded) -> None:
    await guarded.fetch("SET ROLE step_owner; CREATE TABLE effects (step text)")


def inserting(step: str) -> "Inserting":
    return Inserting(step)


class Inserting:
    """An effect that can be counted."""

    def __init__(self, step: str, pause: asyncio.Event | None = None) -> None:
        self.step = step
        self.pause = pause
        self.began = asyncio.Event()

    async def __call__(self, connection: Connection) -> str:
        await connection.execute("INSERT INTO effects VALUES (%s)", (self.step,))
        self.began.set()
        if self.pause:
            await self.pause.wait()
        return f"inserted {self.step}"


@asynccontextmanager
async def leader(guarded: Guarded, step_id: str, pause: str = "none") -> AsyncIterator["Leader"]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.targets.leader", guarded.agent_url, step_id, "1", pause),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    made = Leader(process)
    try:
        assert await made.says() == "ready"
        yield made
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


class Leader:
    """A leader in another process, with epoch 1."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def says(self) -> str:
        assert self.process.stdout
        async with asyncio.timeout(30):
            return (await self.process.stdout.readline()).decode().strip()

    def go(self) -> None:
        assert self.process.stdin
        self.process.stdin.write(b"\n")


async def count(guarded: Guarded) -> object:
    return await guarded.value("SELECT count(*) FROM effects")


async def test_of_two_executors_with_different_epochs_the_effect_is_there_once(
    guarded: Guarded, database: PostgresTarget, context: Contexts
) -> None:
    mine = [context(step_id="same", epoch=epoch) for epoch in (1, 2, 3)]
    outcomes = await asyncio.gather(
        *(run_fenced(database, each, inserting("same")) for each in mine), return_exceptions=True
    )
    assert await count(guarded) == 1
    assert outcomes[2] == "inserted same"
    for outcome in outcomes:
        assert outcome == "inserted same" or isinstance(outcome, FencedError | StepError)


async def test_a_stale_epoch_has_no_effect_even_without_a_receipt(
    guarded: Guarded, database: PostgresTarget, context: Contexts
) -> None:
    await verify_fenced(database, context(epoch=2))
    with pytest.raises(FencedError, match="held with epoch 2 now, ours is 1"):
        await run_fenced(database, context(epoch=1), inserting("stale"))
    with pytest.raises(FencedError):
        await verify_fenced(database, context(epoch=1))
    assert await count(guarded) == 0


async def test_guards_do_not_fence_one_another(guarded: Guarded, database: PostgresTarget, context: Contexts) -> None:
    await run_fenced(database, context(epoch=9, guard="other"), inserting("other"))
    await run_fenced(database, context(epoch=1), inserting("mine"))
    assert await count(guarded) == 2


async def test_many_make_the_schema_at_once(database: PostgresTarget, context: Contexts) -> None:
    async def one(number: int) -> None:
        async with database.act() as connection:
            await prepare(connection, f"guard {number}")

    await asyncio.gather(*(one(number) for number in range(8)))
    async with database.observe() as connection:
        row = await (await connection.execute("SELECT count(*) FROM watchdog.fence")).fetchone()
    assert row == (8,)


async def test_nobody_else_sees_the_schema(guarded: Guarded, database: PostgresTarget, context: Contexts) -> None:
    await verify_fenced(database, context())
    async with await psycopg.AsyncConnection.connect(guarded.app_url) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("SELECT * FROM watchdog.fence")


@pytest.mark.parametrize("seed", range(6))
async def test_after_a_kill_at_any_moment_the_successor_knows_the_final_truth(
    guarded: Guarded, database: PostgresTarget, context: Contexts, seed: int
) -> None:
    # The commit itself takes its time, so that some kills fall into it.
    await guarded.fetch(
        "CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.15); RETURN NULL; END';"
        "CREATE CONSTRAINT TRIGGER linger AFTER INSERT ON effects DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
        " EXECUTE FUNCTION linger()"
    )
    async with leader(guarded, "killed") as process:
        process.go()
        await asyncio.sleep(random.Random(seed).uniform(0, 0.35))  # the moment of the kill is what is tested
        with suppress(ProcessLookupError):  # the last moments are after its end
            process.process.kill()
        await process.process.wait()
        found = await verify_fenced(database, context(step_id="killed", epoch=2))
        there = await count(guarded)
        assert found.applied is (Applied.YES if there else Applied.NO)
        await eventually(lambda: guarded.value(OURS.format(guarded.agent_url.rpartition("/")[2])))
        assert await count(guarded) == there, "nothing comes after the verification"
        await run_fenced(database, context(step_id="killed", epoch=2), inserting("killed"))
        assert await count(guarded) == 1


async def test_a_killed_leader_inside_its_transaction_has_no_effect(
    guarded: Guarded, database: PostgresTarget, context: Contexts
) -> None:
    async with leader(guarded, "killed", "effect") as process:
        process.go()
        assert await process.says() == "in effect"
        process.process.kill()
        assert (await verify_fenced(database, context(step_id="killed", epoch=2))).applied is Applied.NO
        assert await count(guarded) == 0


async def test_a_frozen_leader_is_put_out_by_its_successor(
    guarded: Guarded, database: PostgresTarget, context: Contexts
) -> None:
    async with leader(guarded, "frozen", "effect") as process:
        process.go()
        assert await process.says() == "in effect"
        process.process.send_signal(signal.SIGSTOP)
        try:
            await run_fenced(database, context(step_id="frozen", epoch=2), inserting("frozen"))
        finally:
            process.process.send_signal(signal.SIGCONT)
        process.go()
        assert await process.says() == "failed: FencedError"
    assert await count(guarded) == 1


async def test_a_stale_leader_does_not_put_out_the_new_one(
    guarded: Guarded, database: PostgresTarget, context: Contexts
) -> None:
    await verify_fenced(database, context(epoch=2))
    effect = Inserting("new", pause=asyncio.Event())
    new = asyncio.create_task(run_fenced(database, context(step_id="new", epoch=2), effect))
    await effect.began.wait()
    with pytest.raises(FencedError):
        await run_fenced(database, context(epoch=1), inserting("stale"))
    assert effect.pause
    effect.pause.set()
    assert await new == "inserted new"


async def test_a_cancelled_step_is_verified_to_have_no_effect(
    guarded: Guarded, database: PostgresTarget, context: Contexts
) -> None:
    async def slow(connection: Connection) -> str:
        await connection.execute("INSERT INTO effects VALUES ('cancelled')")
        await connection.execute("SELECT pg_sleep(30)")
        return "never"

    mine = context()
    task = asyncio.create_task(run_fenced(database, mine, slow))
    await eventually(lambda: guarded.value("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep')"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await verify_fenced(database, mine)).applied is Applied.NO
    assert await count(guarded) == 0


async def test_a_lost_answer_to_commit_is_uncertain_and_then_verified(
    guarded: Guarded, database: PostgresTarget, context: Contexts
) -> None:
    await guarded.fetch(
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END';"
        "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON effects DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
        " EXECUTE FUNCTION die()"
    )
    mine = context()
    with pytest.raises(StepUncertainError, match="COMMIT was lost"):
        await run_fenced(database, mine, inserting("lost"))
    assert (await verify_fenced(database, mine)).applied is Applied.NO


async def test_a_constraint_that_fails_at_commit_is_a_plain_failure(
    guarded: Guarded, database: PostgresTarget, context: Contexts
) -> None:
    await guarded.fetch(
        "ALTER TABLE effects ADD id bigint DEFAULT 1000 REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED"
    )
    with pytest.raises(StepError, match="23503"):
        await run_fenced(database, context(), inserting("orphan"))


async def test_a_deadlock_is_tried_again(guarded: Guarded, database: PostgresTarget, context: Contexts) -> None:
    calls = 0

    async def deadlocked_once(connection: Connection) -> str:
        nonlocal calls
        calls += 1
        await connection.execute("INSERT INTO effects VALUES ('x')")
        if calls == 1:
            await connection.execute("DO $$ BEGIN RAISE deadlock_detected; END $$")
        return "at last"

    assert await run_fenced(database, context(), deadlocked_once) == "at last"
    assert await count(guarded) == 1


async def test_while_an_effect_without_transaction_is_under_way_a_successor_waits_or_ends_it(
    guarded: Guarded, database: PostgresTarget, context: Contexts
) -> None:
    effect = Inserting("session", pause=asyncio.Event())
    old = asyncio.create_task(run_fenced_session(database, context(step_id="s", epoch=1), effect))
    await effect.began.wait()
    found = await verify_fenced(database, context(step_id="s", epoch=2))
    assert found.applied is Applied.NO, "there is no receipt; the step's verify query has to tell"
    assert effect.pause
    effect.pause.set()
    with pytest.raises((StepUncertainError, FencedError)):
        await old


async def test_a_database_that_cannot_be_reached_cannot_tell(guarded: Guarded, context: Contexts) -> None:
    target = PostgresTarget("main", PostgresOptions(url=Plain("postgresql://a:hunter2@127.0.0.1:1/x")))
    with stamina.set_testing(True, attempts=3):
        found = await verify_fenced(target, context())
        assert found.applied is Applied.CANNOT_TELL
        assert "main (127.0.0.1:1/x) does not answer" in found.detail
        with pytest.raises(StepError) as caught:
            await run_fenced(target, context(), inserting("never"))
    assert "hunter2" not in str(caught.value)


async def test_the_body_sees_the_receipt_and_commits_the_fence(
    guarded: Guarded, database: PostgresTarget, context: Contexts
) -> None:
    mine = context(epoch=4)
    async with fenced(database, mine) as transaction:
        assert transaction.done is None
        await transaction.finish("once")
    async with fenced(database, mine) as transaction:
        assert transaction.done == "once"
    assert await guarded.value("SELECT epoch FROM watchdog.fence") == 4
