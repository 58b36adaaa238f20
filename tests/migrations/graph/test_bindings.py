"""A statement is only believed to write what it names when it is plain."""

import pytest

from watchdog.migrations.graph.bindings import writes_what_it_names


@pytest.mark.parametrize(
    "statement",
    [
        "MATCH (c:Control) WHERE c.n = 1 SET c.count = COUNT { (c)-[:MITIGATES]->(:Risk) }",
        "MATCH (c:Control)-[a:ADDRESSES]->(r:Risk) SET a.seen = true, r.score = toInteger(r.score), c:Old",
        "MATCH (c:Control)-[:ADDRESSES]->(r:Risk) MERGE (c)-[m:MITIGATES]->(r) ON CREATE SET m.migration = ''",
        "CREATE (:MigrationLog {id: ''})",
        "MATCH (n:Person) REMOVE n.name, n:Old RETURN count(*)",
    ],
)
def test_plain_statements_write_what_they_name(statement: str) -> None:
    assert writes_what_it_names(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "MATCH (n) SET n.x = 1",
        "MATCH (c:Control)-->(d) SET d.x = 1",
        "MATCH (c:Control) WITH count(*) AS n MATCH (c) SET c.x = 1",
        "MATCH p = (:A)--() FOREACH (n IN nodes(p) | SET n.x = 1)",
        "MATCH (c:A) SET c.x = 1 UNION MATCH (c) SET c.x = 1",
        "MATCH (c:A) SET (CASE WHEN true THEN c END).x = 1",
        "CALL { MATCH (c:A) RETURN c } SET c.x = 1",
        "MATCH (c:A) DETACH DELETE c",
        "MATCH (c) WHERE NOT (c:Control)--() SET c.x = 1",
        "MATCH (c:!Control) SET c.x = 1",
        "MATCH (c:Control|!Old) SET c.x = 1",
    ],
)
def test_anything_else_is_looked_for_in_the_whole_graph(statement: str) -> None:
    assert not writes_what_it_names(statement)
