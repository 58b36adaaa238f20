import json
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.migrations.graph.conftest import Graph
from tests.migrations.graph.test_zones import SAID, TIMES
from watchdog.migrations.graph import runs
from watchdog.migrations.graph.apply import apply_cypher
from watchdog.migrations.graph.copying import load, save
from watchdog.migrations.graph.copying.files import CopyFileError, manifest_path
from watchdog.migrations.graph.copying.load import load_graph
from watchdog.migrations.graph.copying.save import save_graph
from watchdog.migrations.session import RefusedError
from watchdog.ports.errors import WatchdogError
from watchdog.servers.neo4j import Neo4jServer

MORE = (
    f"CREATE (:Times {{{', '.join(f'{name}: {value}' for name, value in TIMES.items())}}})",
    "CREATE (:`We ird`:Other {`a b`: [point({x: 1, y: 2})], none: [], inf: 1.0 / 0.0})-[:`T o`]->({id: 1})",
    "MATCH (a:Anchor) CREATE (a)-[:SELF {at: date('2025-01-08')}]->(a), (a)-[:SELF {at: date('2025-01-08')}]->(a)",
)
TIMES_AS_TEXT = SAID.replace("t.", "toString(t.").replace(",", "),") + ")"
OUR_LEFTOVERS = "MATCH (n) WHERE n:WatchdogImport OR n:WatchdogCopy OR n.watchdog_import IS NOT NULL RETURN count(n)"


async def empty(graph: Graph) -> None:
    await graph.run("MATCH (n) DETACH DELETE n", "CALL apoc.schema.assert({}, {})")


@pytest.fixture
async def rich(graph: Graph) -> Graph:
    await graph.run(*MORE)
    return graph


async def test_a_graph_comes_back_from_its_copy(rich: Graph, tmp_path: Path) -> None:
    before, times = await rich.picture(), await rich.rows(TIMES_AS_TEXT)
    await apply_cypher(rich.target, "CREATE (:Fleeting);")
    file = tmp_path / "graph.jsonl"
    copied = await save_graph(rich.target, file)
    await empty(rich)
    manifest = await load_graph(rich.target, file)
    assert await rich.picture() - before == Counter({"['Fleeting'] []": 1})
    assert not before - await rich.picture()
    assert await rich.rows(TIMES_AS_TEXT) == times
    assert manifest == copied.manifest
    assert await rich.value(OUR_LEFTOVERS) == 0
    assert not await rich.rows("SHOW CONSTRAINTS YIELD name WHERE name STARTS WITH 'watchdog' RETURN name")


async def test_nobody_else_may_read_it_and_its_counts_are_beside(rich: Graph, tmp_path: Path) -> None:
    file = tmp_path / "graph.jsonl"
    copied = await save_graph(rich.target, file)
    assert {one.name for one in tmp_path.iterdir()} == {"graph.jsonl", "graph.jsonl.manifest"}
    assert {one.stat().st_mode & 0o777 for one in tmp_path.iterdir()} == {0o600}
    said = json.loads(manifest_path(file).read_text())
    assert said["kinds"]["nodes :Person"]["count"] == await rich.value("MATCH (p:Person) RETURN count(p)")
    assert said["lines"] == len(file.read_text().splitlines()) == said["nodes"] + said["relationships"]
    assert copied.bytes == file.stat().st_size


async def test_apoc_reads_the_same_file(rich: Graph, neo4j_server: Neo4jServer, tmp_path: Path) -> None:
    file = tmp_path / "graph.jsonl"
    copied = await save_graph(rich.target, file)
    await empty(rich)
    labels = {name for line in file.read_text().splitlines() for name in json.loads(line).get("labels", ())}
    for number, label in enumerate(sorted(labels)):
        await rich.run(f"CREATE CONSTRAINT c{number} FOR (n:`{label}`) REQUIRE n.neo4jImportId IS UNIQUE")
    there = neo4j_server.home / "import" / "graph.jsonl"
    there.write_bytes(file.read_bytes())
    try:
        await rich.run("CALL apoc.import.json('file:///graph.jsonl')")
    finally:
        there.unlink()
    tally = copied.manifest.tally
    assert await rich.value("MATCH (n) RETURN count(n)") == tally.nodes


@pytest.mark.parametrize("stopped_at", [1, 3, 6])
async def test_a_restore_that_was_stopped_goes_on(
    rich: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped_at: int
) -> None:
    before = await rich.picture()
    file = tmp_path / "graph.jsonl"
    await save_graph(rich.target, file)
    await empty(rich)
    monkeypatch.setattr(load, "_BATCH", 5)
    calls = 0
    really = runs.retried

    async def stopping(work: Callable[[], Awaitable[Any]]) -> Any:
        nonlocal calls
        calls += 1
        if calls > stopped_at:
            raise KeyboardInterrupt
        return await really(work)

    with monkeypatch.context() as patched:
        patched.setattr(runs, "retried", stopping)
        with pytest.raises(KeyboardInterrupt):
            await load_graph(rich.target, file)
    assert await rich.value("MATCH (c:WatchdogCopy) RETURN c.lines") == 5 * stopped_at
    await load_graph(rich.target, file)
    assert await rich.picture() == before
    assert await rich.value(OUR_LEFTOVERS) == 0


async def test_a_graph_with_something_in_it_is_left_alone(rich: Graph, tmp_path: Path) -> None:
    file = tmp_path / "graph.jsonl"
    await save_graph(rich.target, file)
    before = await rich.picture()
    with pytest.raises(RefusedError, match="the graph is not empty"):
        await load_graph(rich.target, file)
    assert await rich.picture() == before


async def test_a_schema_of_its_own_is_not_mixed_with_that_of_the_copy(rich: Graph, tmp_path: Path) -> None:
    file = tmp_path / "graph.jsonl"
    await save_graph(rich.target, file)
    await empty(rich)
    await rich.run("CREATE INDEX other FOR (x:X) ON (x.y)")
    with pytest.raises(RefusedError, match="INDEX other"):
        await load_graph(rich.target, file)


async def test_a_damaged_copy_is_named_before_anything_is_changed(rich: Graph, tmp_path: Path) -> None:
    file = tmp_path / "graph.jsonl"
    await save_graph(rich.target, file)
    await empty(rich)
    file.write_text(file.read_text().replace("Oslo", "Bari", 1))
    with pytest.raises(CopyFileError, match=r"graph\.jsonl is not as it was written"):
        await load_graph(rich.target, file)
    manifest_path(file).write_text("{}")
    with pytest.raises(CopyFileError, match="is no manifest of a copy"):
        await load_graph(rich.target, file)
    manifest_path(file).unlink()
    with pytest.raises(CopyFileError, match="cannot be read"):
        await load_graph(rich.target, file)
    assert await rich.value("MATCH (n) RETURN count(n)") == 0


async def test_what_differs_after_a_restore_is_named(
    rich: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "graph.jsonl"
    await save_graph(rich.target, file)
    await empty(rich)
    really = load._compared

    async def meddled(*arguments: Any) -> None:
        await rich.run("MATCH (p:Person {id: 1}) SET p.name = 'by a user'", "CREATE (:Late)", "DROP INDEX company_name")
        await really(*arguments)

    monkeypatch.setattr(load, "_compared", meddled)
    with pytest.raises(WatchdogError) as wrong:
        await load_graph(rich.target, file)
    assert "nodes :Late: 1 instead of 0" in str(wrong.value)
    assert "nodes :Person: 12 as in the copy, but not all with the same properties" in str(wrong.value)
    assert "INDEX company_name is missing" in str(wrong.value)
    assert "by a user" not in str(wrong.value)


async def test_an_existing_file_is_not_written_over(rich: Graph, tmp_path: Path) -> None:
    file = tmp_path / "graph.jsonl"
    file.write_text("mine")
    with pytest.raises(CopyFileError, match="is there already"):
        await save_graph(rich.target, file)
    assert file.read_text() == "mine"


async def test_a_copy_that_fails_leaves_no_file(rich: Graph, tmp_path: Path) -> None:
    await rich.run("CREATE (:Old {on: date('-5000-01-01')})")
    with pytest.raises(RefusedError, match="cannot be kept"):
        await save_graph(rich.target, tmp_path / "graph.jsonl")
    assert list(tmp_path.iterdir()) == []


async def test_a_node_that_came_while_nodes_were_read_is_there_with_what_ties_it(
    rich: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    relationships = save._relationships

    async def late(session: Any, copying: Any) -> None:
        await rich.run("MATCH (a:Anchor) CREATE (a)-[:LATE]->(:Late)-[:LATER]->(:Late)")
        await relationships(session, copying)

    monkeypatch.setattr(save, "_relationships", late)
    file = tmp_path / "graph.jsonl"
    await save_graph(rich.target, file)
    before = await rich.picture()
    await empty(rich)
    await load_graph(rich.target, file)
    assert await rich.picture() == before
