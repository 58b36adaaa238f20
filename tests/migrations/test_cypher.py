import pytest

from watchdog.migrations.cypher import check, parse


def complaints(script: str, *, transactional: bool = True, backup: str = "b1") -> list[str]:
    return list(check(script, transactional=transactional, backup=backup))


def test_statements_end_at_the_end_of_a_line() -> None:
    script = "// one; two\nMATCH (n:A) SET n.x = 'a;\nb';\n\nMATCH (m:B)\nRETURN m;  \n"
    first, second = parse(script)
    assert first.text == "// one; two\nMATCH (n:A) SET n.x = 'a;\nb'".partition("\n")[2]
    assert (first.line, second.line) == (2, 5)


@pytest.mark.parametrize(
    "script",
    [
        "MATCH ()-[r]->() DELETE r",
        "MATCH (n) DETACH DELETE n",
        "MATCH (:Control)-[r]->() DELETE r",
        "MATCH (n) WHERE n.id = 1 DELETE n",
        "MATCH p = (:A)-[:B]->() DELETE p",
        "MATCH (n:A) WITH n AS m DELETE m",
        "MATCH (n:A) FOREACH (x IN [n] | DELETE x)",
        "MATCH (n:A), (m) DETACH DELETE n, m",
        "MATCH (n:A)\nCALL (n) { MATCH (n)-[r]-() DELETE r }",
        "CALL apoc.periodic.iterate('MATCH (n) RETURN n', 'DELETE n', {})",
        "CALL apoc . cypher.runMany('MATCH (n) DELETE n', {})",
        "CREATE INDEX i FOR (n:A) ON (n.id)",
        "DROP CONSTRAINT c",
        "CREATE FULLTEXT INDEX i FOR (n:A) ON EACH [n.t]",
        "MATCH (n:A) CALL (n) { SET n.x = 1 } IN TRANSACTIONS OF 10 ROWS",
        "DROP DATABASE neo4j",
        "",
        "this is not cypher at all",
        "MATCH (n:A) DETACH \\u0044ELETE n",
        "MATCH (n:A {x: '\\u0027}) DETACH DELETE n //'})",
        "CALL `apoc`.cypher.doIt('MATCH (n) DETACH DELETE n', {}) YIELD value RETURN value",
        "CALL`my`.purge()",
        "CALL dbms.killTransactions([]) YIELD message RETURN message",
        "MATCH (n:O) CALL apoc.create.setProperties(n, ['a'], [null]) YIELD node RETURN 1",
        "MATCH (n {}) DETACH DELETE n",
        "MATCH (n:%) DETACH DELETE n",
        "MATCH (n:!Nix) DETACH DELETE n",
        "MATCH (n:A|!A) DETACH DELETE n",
        "MATCH ()-[r:!Nix]->() DELETE r",
        "MATCH (n:$(x)) DETACH DELETE n",
        "MATCH (n) DETACH DELETE(n)",
        "MATCH (`n`) DETACH DELETE`n`",
        "MATCH (`a`:A), (`b`) DETACH DELETE `b`",
        "// note\rMATCH (n) DETACH DELETE n",
        "MATCH (n:A) WITH count(*) AS c MATCH (n) DETACH DELETE n",
        "MATCH (n:A) MATCH (m) WITH m AS n DETACH DELETE n",
        "MATCH (n) WHERE NOT EXISTS { (n:Nix) } DETACH DELETE n",
        "MATCH p = (:A)-[:B]->() FOREACH (x IN nodes(p) | DETACH DELETE x)",
        "MATCH (n:A) UNWIND [n] AS x DETACH DELETE x",
        "MATCH (n) SET n.x = 0",
        "MATCH (n:A), (m) SET n.x = COUNT { MATCH (a:B) }, m.x = null",
        "MATCH (n:A) SET n[$key] = 0",
        "MATCH (n) REMOVE n.x",
        "USE system DROP DATABASE neo4j",
        "CYPHER 5 DROP DATABASE neo4j",
        "MATCH (b:WatchdogFence) DETACH DELETE b",
        "MATCH (b:`WatchdogReceipt`) SET b.x = 1",
        "MATCH (b:MigrationBackup {id: 'b1'}) DETACH DELETE b",
        "MATCH (b:MigrationBackup {id: 'b1'}) SET b.id = 'b2'",
    ],
)
def test_a_script_that_reaches_too_far_is_refused(script: str) -> None:
    assert complaints(script), script


@pytest.mark.parametrize(
    "script",
    [
        "MATCH (:Control)-[r:MITIGATES]->(:Risk) DELETE r",
        "MATCH (m:MigrationLog {id: '2025-01-08-001'}) DETACH DELETE m",
        "MATCH ()-[r {run: 'x'}]->() DELETE r RETURN count(*)",
        "MATCH (c:Control) REMOVE c.mitigation_count",
        "MATCH (n:A), (m:B) DETACH DELETE n, m;\nMATCH (k:`DELETE n`) DELETE k",
        "MATCH (`my n`:A) DETACH DELETE `my n`",
        "MATCH (n:A&B {x: 1}) WHERE n.y > 1 AND id(n) > 5 DETACH DELETE n",
        "MATCH (:A)-[r:B|C]->() DELETE r",
        "MATCH (n:Order) SET n.discount = null",
        "MATCH (n:Order) SET n.on = 1, n:Marked",
        "MATCH (n:Order) SET n += {discount: 0}",
        "MERGE (n:A {id: 1}) ON MATCH SET n.x = 2",
        "MATCH (:MigrationBackup {id: 'b1'})-[:ARCHIVED]->(k:Kept) MATCH (c:C {id: k.id}) SET c.x = k.x, c.y = k.y",
    ],
)
def test_a_scoped_delete_needs_a_backup(script: str) -> None:
    assert complaints(script) == []
    assert complaints(script, backup=""), script


@pytest.mark.parametrize(
    "script",
    [
        "CREATE (n:A {x: 1, y: 'DELETE n'})",
        "MERGE (n:A {id: 1}) // DELETE n",
        "MERGE (n:A {id: 1}) ON CREATE SET n.x = 1",
        "MATCH (n:A) SET n:Marked",
        "CALL db.labels() YIELD label RETURN label",
        "MATCH (n:A) CALL (n) { CREATE (:B) }",
        "RETURN 'MATCH (n) DELETE n'",
    ],
)
def test_what_destroys_nothing_needs_none(script: str) -> None:
    assert complaints(script, backup="") == []


def test_a_file_of_windows_is_as_many_statements() -> None:
    script = "MATCH (n:A)\r\nDELETE n;\r\nMATCH (m)\r\nDELETE m;\r\n"
    assert [each.line for each in parse(script)] == [1, 3]
    [complaint] = complaints(script)
    assert complaint.startswith("line 3: DELETE m")


def test_rows_are_changed_in_batches_by_a_subquery() -> None:
    script = "MATCH (n:A) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 10 ROWS"
    assert complaints(script, transactional=False) == []


def test_a_replaced_node_needs_a_backup() -> None:
    assert complaints("MATCH (n:A) SET n = {id: 1}", backup="")


def test_schema_is_kept_apart_from_data() -> None:
    [complaint] = complaints("CREATE (:A);\nDROP INDEX i")
    assert complaint.startswith("line 2: Neo4j keeps schema and data apart")
    assert complaints("DROP INDEX i", transactional=False) == []
