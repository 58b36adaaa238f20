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
    ],
)
def test_a_scoped_delete_needs_a_backup(script: str) -> None:
    assert complaints(script) == []
    assert complaints(script, backup=""), script


@pytest.mark.parametrize(
    "script",
    ["MATCH (n:A) SET n.x = 1, n.y = 'DELETE n'", "MERGE (n:A {id: 1}) // DELETE n", "RETURN 'MATCH (n) DELETE n'"],
)
def test_what_destroys_nothing_needs_none(script: str) -> None:
    assert complaints(script, backup="") == []


def test_a_replaced_node_needs_a_backup() -> None:
    assert complaints("MATCH (n:A) SET n = {id: 1}", backup="")


def test_schema_is_kept_apart_from_data() -> None:
    [complaint] = complaints("MATCH (n:A) SET n.x = 1;\nDROP INDEX i")
    assert complaint.startswith("line 2: Neo4j keeps schema and data apart")
    assert complaints("DROP INDEX i", transactional=False) == []
