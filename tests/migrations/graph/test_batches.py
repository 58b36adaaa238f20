"""`CALL … IN TRANSACTIONS` over many rows; many are 10 here, except in the last test."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.migrations.graph.conftest import Graph
from watchdog.migrations.cypher import parse
from watchdog.migrations.graph import batches, runs
from watchdog.migrations.graph.apply import apply_cypher
from watchdog.migrations.graph.batches import split
from watchdog.migrations.graph.rollback import rollback_graph
from watchdog.migrations.graph.runs import runs_graph, settle_graph
from watchdog.migrations.session import RefusedError
from watchdog.ports.errors import TargetError, WatchdogError

ROWS = 95
SIZE = 10
MANY = (
    f"UNWIND range(1, {ROWS}) AS i CREATE (:Item {{n: i, name: 'I' + i, at: datetime()}})",
    "MATCH (a:Item), (b:Item {n: a.n + 1}) CREATE (a)-[:NEXT {x: a.n}]->(b)",
    "MATCH (a:Item), (p:Person {id: 1 + a.n % 5}) CREATE (a)-[:OF]->(p)",
)
SCRIPTS = {
    "set": "MATCH (i:Item) CALL (i) { SET i.name = 'x', i.fresh = 1 } IN TRANSACTIONS OF 10 ROWS;",
    "set what is there": "MATCH (i:Item) CALL (i) { SET i.n = i.n } IN TRANSACTIONS OF 10 ROWS;",
    "labels": "MATCH (i:Item) CALL (i) { SET i:Thing REMOVE i:Item REMOVE i.at } IN TRANSACTIONS OF 10 ROWS;",
    "delete": "MATCH (i:Item) CALL (i) { DETACH DELETE i } IN TRANSACTIONS OF 10 ROWS;",
    "delete relationships": "MATCH (i:Item)-[t:NEXT]->() CALL (t) { DELETE t } IN TRANSACTIONS OF 10 ROWS;",
    "old form": "MATCH (i:Item) CALL { WITH i SET i.name = 'x' } IN TRANSACTIONS OF 10 ROWS;",
    "concurrent": "MATCH (i:Item) CALL (i) { SET i.name = 'x' } IN 2 CONCURRENT TRANSACTIONS OF 10 ROWS ON ERROR FAIL;",
    "create beside": "MATCH (i:Item) CALL (i) { CREATE (i)-[:HAS]->(:Part {of: i.n}) } IN TRANSACTIONS OF 10 ROWS;",
    "create apart": "UNWIND range(1, 60) AS k CALL (k) { CREATE (:Alone {k: k}) } IN TRANSACTIONS OF 10 ROWS;",
    "change at the other end": "MATCH (i:Item) CALL (i) { MATCH (i)-[:OF]->(p:Person) SET p.items = i.n }"
    " IN TRANSACTIONS OF 10 ROWS;",
    "relationship to node": "MATCH (i:Item)-[t:NEXT]->(j) CALL (i, t, j) { CREATE (i)-[:A]->(:Hop {x: t.x})-[:B]->(j)"
    " DELETE t } IN TRANSACTIONS OF 10 ROWS;",
    "rows with values": "MATCH (i:Item) WITH i, i.n * 2 AS twice, date('2025-01-08') AS day"
    " CALL (i, twice, day) { SET i.n = twice, i.at = day } IN TRANSACTIONS OF 10 ROWS;",
    "some are null": "MATCH (i:Item) OPTIONAL MATCH (i)-[:NEXT]->(j) CALL (i, j) { SET j.name = i.name }"
    " IN TRANSACTIONS OF 10 ROWS;",
    "with schema and more": "CREATE INDEX item_name FOR (i:Item) ON (i.name);\nMATCH (p:Person) SET p.seen = 1;\n"
    "MATCH (i:Item) CALL (i) { SET i.name = 'x' } IN TRANSACTIONS OF 10 ROWS;\n"
    "MATCH (i:Item) CALL (i) { DETACH DELETE i } IN TRANSACTIONS OF 10 ROWS;\nMATCH (p:Person) REMOVE p.age;",
}


@pytest.fixture
async def items(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> Graph:
    monkeypatch.setattr(batches, "MANY", SIZE)
    await graph.run(*MANY)
    return graph


class Stopping:
    """Lets some transactions through and then ends the process, as far as it can be told from inside."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
        self._left = after
        self._really = runs.retried
        monkeypatch.setattr(runs, "retried", self)

    async def __call__(self, work: Callable[[], Awaitable[Any]]) -> Any:
        if getattr(work, "func", None) is runs.prepare:
            return await self._really(work)
        if self._left == 0:
            raise KeyboardInterrupt
        self._left -= 1
        return await self._really(work)


@pytest.mark.parametrize("name", SCRIPTS)
async def test_what_was_done_in_batches_is_taken_back(items: Graph, name: str) -> None:
    before = await items.picture()
    applied = await apply_cypher(items.target, SCRIPTS[name])
    done = await items.value("MATCH (b:WatchdogBatch) WHERE b.done_at IS NOT NULL AND b.rows IS NULL RETURN count(b)")
    assert done >= 6
    assert (await items.picture() == before) == (name == "set what is there")
    report = await rollback_graph(items.target, applied.run)
    assert await items.picture() == before
    assert (report.kept, report.archived, report.gone) == (0, 0, 0)
    again = await apply_cypher(items.target, SCRIPTS[name])
    assert again.archived == applied.archived


@pytest.mark.parametrize("name", ["set", "delete", "create beside", "rows with values"])
async def test_the_batches_do_what_the_server_does(items: Graph, name: str) -> None:
    applied = await apply_cypher(items.target, SCRIPTS[name])
    ours = await items.picture()
    await rollback_graph(items.target, applied.run)
    await items.run(SCRIPTS[name].rstrip(";"))
    assert await items.picture() == ours


async def test_few_rows_are_one_transaction(items: Graph) -> None:
    await apply_cypher(items.target, "MATCH (c:Company) CALL (c) { SET c.x = 1 } IN TRANSACTIONS OF 1 ROW;")
    assert await items.value("MATCH (b:WatchdogBatch) RETURN count(b)") == 0
    assert await items.value("MATCH (r:WatchdogMigrationRun) RETURN r.done") == 1


@pytest.mark.parametrize(("name", "after"), [("delete", 0), ("delete", 4), ("create beside", 1), ("create beside", 9)])
async def test_apply_goes_on_where_it_was_stopped(
    items: Graph, monkeypatch: pytest.MonkeyPatch, name: str, after: int
) -> None:
    before = await items.picture()
    with monkeypatch.context() as patched:
        Stopping(patched, after)
        with pytest.raises(KeyboardInterrupt):
            await apply_cypher(items.target, SCRIPTS[name])
    assert (await runs_graph(items.target))[0].state == "applying"
    with pytest.raises(RefusedError, match="still applying"):
        await apply_cypher(items.target, "CREATE (:Other);")
    applied = await apply_cypher(items.target, SCRIPTS[name])
    (run,) = await runs_graph(items.target)
    assert (run.run, run.state) == (applied.run, "applied")
    left = await items.value("MATCH (i:Item) RETURN count(i)")
    parts = await items.value("MATCH (:Item)-[:HAS]->(p:Part) RETURN count(DISTINCT p)")
    assert (left, parts) == ((0, 0) if name == "delete" else (ROWS, ROWS))
    await rollback_graph(items.target, run.run)
    assert await items.picture() == before


@pytest.mark.parametrize("after", [0, 8])
async def test_a_run_that_was_stopped_between_batches_is_taken_back(
    items: Graph, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    before = await items.picture()
    with monkeypatch.context() as patched:
        Stopping(patched, after)
        with pytest.raises(KeyboardInterrupt):
            await apply_cypher(items.target, SCRIPTS["delete"])
    await rollback_graph(items.target, 1)
    assert await items.picture() == before


@pytest.mark.parametrize("name", ["delete", "with schema and more"])
async def test_a_rollback_goes_on_where_it_was_stopped(
    items: Graph, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    before = await items.picture()
    applied = await apply_cypher(items.target, SCRIPTS[name])
    for after in (1, 4, 2):
        with monkeypatch.context() as patched:
            Stopping(patched, after)
            with pytest.raises(KeyboardInterrupt):
                await rollback_graph(items.target, applied.run)
        assert (await runs_graph(items.target))[0].state == "rolling back"
    await rollback_graph(items.target, applied.run)
    assert await items.picture() == before
    assert (await runs_graph(items.target))[0].state == "rolled back"


async def test_a_batch_that_fails_takes_all_of_them_back(items: Graph) -> None:
    before = await items.picture()
    script = "MATCH (i:Item) CALL (i) { SET i.x = 1 / (i.n - 60) } IN TRANSACTIONS OF 10 ROWS;"
    with pytest.raises(WatchdogError, match="line 1"):
        await apply_cypher(items.target, script)
    assert await items.picture() == before
    assert await runs_graph(items.target) == ()
    assert await items.value("MATCH (n:WatchdogBatch|WatchdogArchive) RETURN count(n)") == 0


async def test_what_users_delete_between_batches_stays_away(items: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        Stopping(patched, 2)
        with pytest.raises(KeyboardInterrupt):
            await apply_cypher(items.target, SCRIPTS["set"])
    await items.run("MATCH (i:Item {n: 95}) DETACH DELETE i", "MATCH (i:Item {n: 1}) SET i.name = 'by a user'")
    applied = await apply_cypher(items.target, SCRIPTS["set"])
    assert await items.value("MATCH (i:Item {fresh: 1}) RETURN count(i)") == ROWS - 1
    report = await rollback_graph(items.target, applied.run)
    assert report.kept == 1
    assert await items.rows("MATCH (i:Item) WHERE i.n IN [1, 2, 95] RETURN i.name ORDER BY i.n") == [
        ["by a user"],
        ["I2"],
    ]


async def test_what_does_not_fit_is_refused_with_a_way_to_write_it(graph: Graph) -> None:
    before = await graph.picture()
    with pytest.raises(TargetError, match=r"nothing was changed; write MATCH … CALL \(n\) \{ … \} IN TRANSACTIONS"):
        await apply_cypher(graph.target, "UNWIND range(1, 2000000) AS i CREATE (:Huge {i: i});")
    assert await graph.picture() == before


async def test_a_node_whose_id_is_given_to_another_keeps_what_was_tied_to_it(items: Graph) -> None:
    before = await items.picture()
    applied = await apply_cypher(items.target, SCRIPTS["delete"])
    named = "MATCH (a:WatchdogArchive {kind: 'deleted'}) WHERE a.element STARTS WITH 'gone' RETURN count(a)"
    assert await items.value(named) == applied.archived
    # Users take the ids that are free now.
    await items.run("UNWIND range(1, 200) AS i CREATE (:Fresh {i: i})-[:F]->(:Fresh)")
    await rollback_graph(items.target, applied.run)
    await items.run("MATCH (f:Fresh) DETACH DELETE f")
    assert await items.picture() == before


async def test_settling_drops_batches_and_archive(items: Graph) -> None:
    applied = await apply_cypher(items.target, SCRIPTS["delete"])
    assert await settle_graph(items.target, applied.run) == applied.archived
    assert await items.value("MATCH (n:WatchdogBatch|WatchdogArchive) RETURN count(n)") == 0


@pytest.mark.parametrize(
    ("text", "names", "size", "closed"),
    [
        ("MATCH (n) CALL (n) { SET n.x = 1 } IN TRANSACTIONS", ("n",), 1000, True),
        ("MATCH (n) CALL { WITH n SET n.x = 1 } IN TRANSACTIONS OF 7 ROWS", ("n",), 7, True),
        ("MATCH (n)-[r]-() CALL (n, r) { DELETE r SET n.y = {a: 1}.a, n:L } IN TRANSACTIONS", ("n", "r"), 1000, True),
        ("MATCH (n) CALL (n) { SET n.x = 1 DETACH DELETE n } IN TRANSACTIONS OF 900000 ROWS", ("n",), 5000, True),
        ("MATCH (n) CALL (n) { MATCH (n)--(m) SET m.x = 1 } IN TRANSACTIONS", ("n",), 1000, False),
        ("MATCH (n) CALL (n) { SET m.x = 1 } IN TRANSACTIONS", ("n",), 1000, False),
        ("MATCH (n) CALL (n) { SET startNode(n).x = 1 } IN TRANSACTIONS", ("n",), 1000, False),
    ],
)
def test_the_parts_of_a_statement(text: str, names: tuple[str, ...], size: int, closed: bool) -> None:  # noqa: FBT001 - expected
    (statement,) = parse(f"{text};")
    found = split(statement)
    assert found is not None
    assert (found.names, found.size, found.closed) == (names, size, closed)
    assert found.call.startswith("CALL")
    assert found.call.endswith("}")


@pytest.mark.parametrize(
    "text",
    [
        "CALL (*) { MATCH (n) SET n.x = 1 } IN TRANSACTIONS",
        "MATCH (n) CALL (*) { SET n.x = 1 } IN TRANSACTIONS",
        "MATCH (n) CALL () { CREATE (:A) } IN TRANSACTIONS",
        "MATCH (n) CALL (n) { SET n.x = 1 RETURN n AS m } IN TRANSACTIONS RETURN m",
        "MATCH (n) CALL (n) { SET n.x = 1 }",
        "MATCH (n) SET n.x = 'CALL (n) { } IN TRANSACTIONS'",
    ],
)
def test_other_forms_are_left_as_they_are(text: str) -> None:
    (statement,) = parse(f"{text};")
    assert split(statement) is None
