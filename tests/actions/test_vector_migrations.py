from collections.abc import AsyncIterator

import psycopg
import pytest

from tests.actions.conftest import Contexts, Plain, Roles
from watchdog.actions.release_runs import ReleaseOptions
from watchdog.actions.vector_migrations import KIND
from watchdog.migrations.session import RefusedError
from watchdog.migrations.vectors.apply import apply
from watchdog.migrations.vectors.rollback import rollback, settle
from watchdog.migrations.vectors.runs import runs
from watchdog.ports.actions import Action, Applied
from watchdog.ports.errors import FencedError, StepError
from watchdog.targets.postgres import PostgresOptions, PostgresTarget

FACTS = {"release": "r1"}
COLUMN = """\
version: 1
table: docs
column: embedding
new: {column: smaller, dimensions: 2}
fill: {sql: "subvector(embedding, 1, 2)"}
"""
INDEX = "version: 1\ntable: docs\ncolumn: embedding\nindex: {operators: vector_l2_ops}\nrecall: {k: 3, queries: 5}\n"
TABLE = """
CREATE EXTENSION vector;
CREATE TABLE docs (id int PRIMARY KEY, embedding vector(3));
INSERT INTO docs SELECT n, ARRAY[n, n % 7, n % 11]::vector(3) FROM generate_series(1, 50) n;
"""


@pytest.fixture
async def vectors(pg_database: str) -> AsyncIterator[PostgresTarget]:
    """Fifty vectors with two migrations of release `r1` and one of another."""
    async with await psycopg.AsyncConnection.connect(pg_database, autocommit=True) as connection:
        await connection.execute(TABLE.encode())
    await apply(pg_database, COLUMN, name="smaller", release="r1")
    await apply(pg_database, INDEX, name="index", release="r1")
    target = PostgresTarget("main", PostgresOptions(url=Plain(pg_database)))
    yield target
    await target.close()


def step(target: PostgresTarget, **options: object) -> Action:
    return KIND.build("database", ReleaseOptions(**options), Roles({"database": target}))  # type: ignore[arg-type]


async def dimensions(target: PostgresTarget) -> list[int]:
    async with target.observe() as connection:
        rows = await (await connection.execute("SELECT DISTINCT vector_dims(embedding) FROM docs")).fetchall()
    return [row[0] for row in rows]


async def test_a_release_is_taken_back_once(vectors: PostgresTarget, context: Contexts, pg_database: str) -> None:
    action, mine = step(vectors), context(facts=FACTS)
    assert (await action.verify(mine)).applied is Applied.NO
    assert await action.preview(mine) == "would take back index, smaller on main"
    said = await action.execute(mine)
    assert said == "took back index: no row was written since; smaller: no row was written since"
    assert await action.execute(mine) == said
    assert (await action.verify(mine)).detail == said
    assert await dimensions(vectors) == [3]
    assert {run.state for run in await runs(pg_database)} == {"rolled back"}
    with pytest.raises(RefusedError, match="release r1 is taken back since"):
        await apply(pg_database, COLUMN, release="r1")


async def test_a_step_that_was_cut_off_goes_on(vectors: PostgresTarget, context: Contexts, pg_database: str) -> None:
    await rollback(pg_database, 2)
    await step(vectors).execute(context(facts=FACTS))
    assert await dimensions(vectors) == [3]


async def test_a_stale_leader_takes_nothing_back(vectors: PostgresTarget, context: Contexts) -> None:
    await step(vectors, names=("index",)).execute(context(epoch=2, facts=FACTS))
    with pytest.raises(FencedError):
        await step(vectors).execute(context(epoch=1, facts=FACTS))
    assert await dimensions(vectors) == [2]


async def test_what_others_stand_on_stays(vectors: PostgresTarget, context: Contexts) -> None:
    with pytest.raises(StepError, match="run 2 stands on it"):
        await step(vectors, names=("smaller",)).execute(context(facts=FACTS))
    assert await dimensions(vectors) == [2]


async def test_a_settled_migration_refuses_everything(
    vectors: PostgresTarget, context: Contexts, pg_database: str
) -> None:
    await settle(pg_database, 2)
    with pytest.raises(StepError, match="index: settled"):
        await step(vectors).execute(context(facts=FACTS))
    with pytest.raises(StepError, match="of release r9 was applied to main"):
        await step(vectors).execute(context(facts={"release": "r9"}))


def test_words_that_no_run_will_know_are_complained_of() -> None:
    assert list(KIND.complaints(ReleaseOptions(release="{realease}"))) != []
    assert list(KIND.complaints(ReleaseOptions(release=""))) != []


async def test_a_file_that_was_not_rehearsed_is_not_taken_back(
    vectors: PostgresTarget, context: Contexts, pg_database: str
) -> None:
    with pytest.raises(StepError, match="index, smaller of release r1: not the script that was rehearsed"):
        await step(vectors).execute(context(facts={**FACTS, "rehearsed_scripts": "another"}))
    assert await dimensions(vectors) == [2]
    rehearsed = ",".join(run.script_hash for run in await runs(pg_database))
    await step(vectors).execute(context(facts={**FACTS, "rehearsed_scripts": rehearsed}))
    assert await dimensions(vectors) == [3]
