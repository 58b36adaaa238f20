from collections.abc import AsyncIterator

import pytest
import stamina

from tests.actions.conftest import Contexts, Plain, Roles
from watchdog.actions.cypher import KIND, CypherOptions
from watchdog.ports.actions import Action, Applied
from watchdog.ports.errors import FencedError, StepError, StepUncertainError
from watchdog.ports.kinds import Script
from watchdog.servers.neo4j import Neo4jServer
from watchdog.targets.neo4j import Neo4jOptions, Neo4jTarget


@pytest.fixture
async def graph(neo4j_clean: Neo4jServer) -> AsyncIterator[Neo4jTarget]:
    """Ten controls that mitigate ten risks, and a backup point."""
    user, password = neo4j_clean.auth
    target = Neo4jTarget("graph", Neo4jOptions(url=neo4j_clean.url, user=user, password=Plain(password)))
    async with target.session() as session:
        await session.run(
            "UNWIND range(1, 10) AS id CREATE (:Control {id: id})-[:MITIGATES]->(:Risk {id: id})"
            " MERGE (:MigrationBackup {id: 'b1'})"
        )
    yield target
    await target.close()


def step(graph: Neo4jTarget, text: str, **options: object) -> Action:
    script = Script(text, "x.cypher")
    return KIND.build("graph", CypherOptions(script=script, **options), Roles({"graph": graph}))  # type: ignore[arg-type]


async def value(graph: Neo4jTarget, query: str) -> object:
    async with graph.session() as session:
        record = await (await session.run(query)).single()
        return record[0] if record else None


MITIGATIONS = "MATCH (:Control)-[r:MITIGATES]->() RETURN count(r)"
UNDO = (
    "MATCH (:Control)-[r:MITIGATES]->(:Risk) DELETE r;\nMATCH (c:Control) SET c.undone = coalesce(c.undone, 0) + 1;\n"
)


async def test_a_script_runs_once_however_often_it_is_executed(graph: Neo4jTarget, context: Contexts) -> None:
    action = step(graph, UNDO, backup="b1")
    mine = context()
    assert (await action.verify(mine)).applied is Applied.NO
    said = await action.execute(mine)
    assert said == "ran 2 statements: 10 relationships deleted, 10 properties set"
    assert await action.execute(mine) == said
    assert await value(graph, MITIGATIONS) == 0
    assert await value(graph, "MATCH (c:Control) RETURN max(c.undone)") == 1
    assert (await action.verify(mine)).applied is Applied.YES


async def test_without_its_backup_point_nothing_is_deleted(graph: Neo4jTarget, context: Contexts) -> None:
    with pytest.raises(StepError, match=r"has no backup point \(:MigrationBackup \{id: 'b2'\}\)"):
        await step(graph, UNDO, backup="b2").execute(context())
    with pytest.raises(StepError, match="DELETE destroys data"):
        await step(graph, UNDO).execute(context())
    assert await value(graph, MITIGATIONS) == 10


async def test_a_backup_point_outlives_the_script(graph: Neo4jTarget, context: Contexts) -> None:
    with pytest.raises(StepError, match="has no backup point"):
        await step(graph, "MATCH (b {id: 'b1'}) DETACH DELETE b", backup="b1").execute(context())
    assert await value(graph, "MATCH (b:MigrationBackup) RETURN count(b)") == 1
    [complaint] = KIND.complaints(
        CypherOptions(script=Script("MATCH (k:Kept) SET k.x = 1"), backup="b1", backup_label="Kept")
    )
    assert "backup point" in complaint


async def test_a_failing_statement_takes_the_others_back(graph: Neo4jTarget, context: Contexts) -> None:
    mine = context()
    action = step(graph, UNDO + "MATCH (c:Control) SET c.x = 1 / 0;\n", backup="b1")
    with pytest.raises(StepError, match="ArithmeticError"):
        await action.execute(mine)
    assert await value(graph, MITIGATIONS) == 10
    assert (await action.verify(mine)).applied is Applied.NO


async def test_a_stale_leader_runs_nothing(graph: Neo4jTarget, context: Contexts) -> None:
    await step(graph, "MATCH (c:Control) SET c.seen = true", backup="b1").execute(context(epoch=5))
    action = step(graph, UNDO, backup="b1")
    with pytest.raises(FencedError, match="epoch 5"):
        await action.execute(context(epoch=4))
    with pytest.raises(FencedError):
        await action.verify(context(epoch=4))
    assert await value(graph, MITIGATIONS) == 10


async def test_an_index_is_made_outside_a_transaction_and_verified(graph: Neo4jTarget, context: Contexts) -> None:
    check = Script("SHOW INDEXES YIELD name WHERE name = 'by_id' RETURN count(*) = 1")
    text = "CREATE INDEX by_id IF NOT EXISTS FOR (c:Control) ON (c.id)"
    action = step(graph, text, transactional=False, verify=check)
    mine = context()
    assert (await action.verify(mine)).applied is Applied.NO
    assert await action.execute(mine) == "ran 1 statement: 1 indexes added"
    assert (await action.verify(mine)).applied is Applied.YES
    assert (await action.verify(context())).applied is Applied.YES, "the query tells, without a receipt"
    broken = step(graph, "DROP INDEX nothing", transactional=False, verify=check)
    with pytest.raises(StepUncertainError, match=r"Neo\.DatabaseError\.Schema|Neo\.ClientError\.Schema"):
        await broken.execute(context())


async def test_a_wrong_login_is_named_without_the_password(neo4j_clean: Neo4jServer, context: Contexts) -> None:
    target = Neo4jTarget("graph", Neo4jOptions(url=neo4j_clean.url, user="neo4j", password=Plain("hunter2-hunter2")))
    with pytest.raises(StepError, match="refuses the login") as caught:
        await step(target, "MERGE (:Control {id: 1})").execute(context())
    assert "hunter2" not in str(caught.value)
    await target.close()


async def test_an_unreachable_server_cannot_tell(context: Contexts) -> None:
    target = Neo4jTarget("graph", Neo4jOptions(url="bolt://127.0.0.1:1", user="neo4j", password=Plain("x")))
    action = step(target, "MERGE (:Control {id: 1})")
    with stamina.set_testing(True, attempts=3), pytest.raises(StepError, match="does not answer"):
        await action.execute(context())
    await target.close()
