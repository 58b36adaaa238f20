import pytest

from watchdog.ports.kinds import Script
from watchdog.probes.metrics import KIND, MetricRead
from watchdog.probes.queries import cypher_complaints, sql_complaints


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1",
        "WITH found AS (SELECT 1) SELECT * FROM found;",
        "VALUES (1), (2)",
        "  \n-- violations\nSELECT 'a' LIKE '%' -- why;\n;\n",
    ],
)
def test_a_select_has_no_complaint(query: str) -> None:
    assert list(sql_complaints(Script(query), "query")) == []


@pytest.mark.parametrize(
    "query",
    [
        "MATCH (n:Thing) RETURN n.id",
        "match (n) where n.delete = 1 return n.set as set order by set;",
        "MATCH (n:Create)-[:SET]->(m) RETURN count(*)",
        "MATCH (n) WHERE n.note = 'DELETE (me' RETURN n // SET this",
        "OPTIONAL  MATCH (n:`DELETE me`) RETURN {merge: 1}",
        "CALL db.labels()",
        "SHOW INDEXES",
        "UNWIND [1, 2] AS x WITH x WHERE x > $set RETURN x",
        "MATCH (d:Document) CALL (d) { MATCH (d)--(e) RETURN count(e) AS links } RETURN d, links",
    ],
)
def test_a_reading_query_has_no_complaint(query: str) -> None:
    assert list(cypher_complaints(Script(query), "query")) == []


def test_a_complaint_names_the_option_the_line_and_what_to_write() -> None:
    assert list(sql_complaints(Script("SELECT 1\nFRM t x"), "rows")) == [
        'rows line 2: syntax error at or near "t"; write one SELECT that only reads'
    ]
    assert list(cypher_complaints(Script("\nMATCH (n) DELETE n"), "nodes")) == [
        "nodes line 2: DELETE writes, and a check must only read; write one query such as MATCH … RETURN …"
    ]


def test_the_labels_of_a_metric_are_those_it_is_split_by() -> None:
    assert KIND.labels(MetricRead(metric="errors", split=("sqlstate",))) == ("sqlstate",)
