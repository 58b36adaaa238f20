import pytest

from tests.migrations.graph.conftest import Graph
from watchdog.migrations.graph.apply import apply_cypher
from watchdog.migrations.session import RefusedError

REFUSED = {
    "": "line 1: the script holds no statement",
    "// only a comment\n": "line 1: the script holds no statement",
    "CREATE (:A);\nMATCH (n:A\nSET n.x = 1;": "line 3: Invalid input 'SET'",
    "CREATE (:A);\n\nTHIS IS NOT CYPHER;": "line 3: Invalid input 'THIS'",
    "MATCH (n:A) SET m.x = 1;": "line 1: Variable `m` not defined",
    ":begin\nCREATE (:A);\n:commit": "line 1: Invalid input ':'",
    "CREATE (:A);\nCALL my.procedure(1);": "line 2: There is no procedure with the name `my.procedure`",
    "CALL apoc.periodic.iterate('MATCH (n) RETURN n', 'DELETE n', {});": "CALL apoc.periodic.iterate may do",
    "CALL apoc.periodic.commit('MATCH (n) RETURN n', {});": "CALL apoc.periodic.commit may do",
    "CALL apoc.cypher.doIt('CREATE (:X)', {}) YIELD value RETURN value;": "CALL apoc.cypher.doIt may do",
    "CALL apoc.refactor.rename.label('A', 'B');": "CALL apoc.refactor.rename.label may do",
    "CALL apoc.export.json.all('x.json', {});": "CALL apoc.export.json.all may do",
    "CALL apoc.schema.assert({}, {});": "CALL apoc.schema.assert may do",
    "MATCH (n) CALL `apoc`.`nodes`.`delete`(n, 10) YIELD value RETURN value;": "CALL apoc.nodes.delete may do",
    "CALL { CALL apoc.load.json('file:x') YIELD value RETURN value } RETURN 1;": "CALL apoc.load.json may do",
    "CALL dbms.listConfig() YIELD name RETURN name;": "CALL dbms.listConfig may do",
    "CALL db.createLabel('A');": "CALL db.createLabel may do",
    "MATCH (n:A) CALL (n) { SET n.x = 1 } IN TRANSACTIONS OF 1 ROW ON ERROR CONTINUE;": "with ON ERROR CONTINUE",
    "MATCH (n:A) CALL (n) { SET n.x = 1 } IN TRANSACTIONS REPORT STATUS AS s RETURN s;": "with REPORT STATUS",
    "CREATE DATABASE other;": "databases, users, roles",
    "CREATE OR REPLACE USER u SET PASSWORD 'pppppppp';": "databases, users, roles",
    "TERMINATE TRANSACTIONS 'x';": "databases, users, roles",
    "USE other MATCH (n) DELETE n;": "USE is not for a migration",
    "EXPLAIN CREATE (:A);": "EXPLAIN is not for a migration",
    "CREATE (:A);\nMATCH (r:WatchdogReceipt) DELETE r;": "line 2: WatchdogReceipt is the watchdog's own",
}


@pytest.mark.parametrize("script", REFUSED)
async def test_what_cannot_be_taken_back_is_refused_by_line_and_nothing_is_changed(
    any_graph: Graph, script: str
) -> None:
    everything = "MATCH (n) RETURN count(n)"
    before = await any_graph.value(everything)
    with pytest.raises(RefusedError) as refused:
        await apply_cypher(any_graph.target, script)
    assert REFUSED[script] in str(refused.value)
    assert await any_graph.value(everything) == before


async def test_a_procedure_that_only_reads_may_be_called(graph: Graph) -> None:
    applied = await apply_cypher(graph.target, "CALL db.labels() YIELD label MERGE (:Label {name: label});")
    assert applied.archived == await graph.value("MATCH (l:Label) RETURN count(l)")
