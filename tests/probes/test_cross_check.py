from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest

from watchdog.model.signals import Cause, Missing, SignalKind
from watchdog.model.time import SECOND
from watchdog.ports.kinds import Duration, Role, Script
from watchdog.ports.probes import Probe
from watchdog.probes.cross_check import KIND, CrossCheckOptions, CrossCheckRead, Pair
from watchdog.targets.neo4j import Neo4jOptions, Neo4jTarget
from watchdog.targets.postgres import PostgresTarget

Build = Callable[..., Probe]
Cypher = Callable[[str], Any]
Connection = psycopg.AsyncConnection[Any]

ROWS = Script("SELECT id FROM documents;", "documents.sql")
NODES = Script("MATCH (d:Document) RETURN d.id;", "documents.cypher")
READS = {
    "both": CrossCheckRead(rows=ROWS, nodes=NODES),
    "rows": CrossCheckRead(rows=ROWS, nodes=NODES, direction="rows_without_node"),
    "nodes": CrossCheckRead(rows=ROWS, nodes=NODES, direction="nodes_without_row"),
}


class Meanwhile:
    """A clock on which something happens while somebody sleeps."""

    def __init__(self, happens: Callable[[], Awaitable[object]] | None = None) -> None:
        self.slept: list[int] = []
        self._happens = happens

    def now(self) -> int:
        return 0

    def wall_offset(self) -> int:
        return 0

    async def sleep(self, length: int) -> None:
        self.slept.append(length)
        if self._happens:
            await self._happens()


@pytest.fixture
async def stores(admin: Connection, cypher: Cypher) -> None:
    await admin.execute("CREATE TABLE documents (id bigint)")
    await admin.execute("INSERT INTO documents SELECT generate_series(1, 10)")
    await cypher("UNWIND range(1, 10) AS id CREATE (:Document {id: id})")


@pytest.fixture
def probe(build: Build, pg_target: PostgresTarget, graph_target: Neo4jTarget) -> Callable[..., Probe]:
    def make(clock: Meanwhile, reads: Any = READS, **options: Any) -> Probe:
        return build(KIND, pg_target, reads, clock=clock, others={"net": graph_target}, graph=Role("net"), **options)

    return make


@pytest.mark.usefixtures("stores")
async def test_stores_that_agree_are_read_once(probe: Callable[..., Probe]) -> None:
    clock = Meanwhile()
    assert await probe(clock).read() == {"both": {(): 0.0}, "rows": {(): 0.0}, "nodes": {(): 0.0}}
    assert clock.slept == []


@pytest.mark.usefixtures("stores")
async def test_ids_in_one_store_only_are_counted_by_direction(
    probe: Callable[..., Probe], admin: Connection, cypher: Cypher
) -> None:
    await admin.execute("DELETE FROM documents WHERE id <= 2")
    await cypher("MATCH (d:Document {id: 10}) DELETE d")
    clock = Meanwhile()
    assert await probe(clock, settle=Duration(3 * SECOND)).read() == {
        "both": {(): 3.0},
        "rows": {(): 1.0},
        "nodes": {(): 2.0},
    }
    assert clock.slept == [3 * SECOND]


@pytest.mark.usefixtures("stores")
async def test_what_writers_finish_or_begin_meanwhile_does_not_count(
    probe: Callable[..., Probe], admin: Connection, cypher: Cypher
) -> None:
    await admin.execute("INSERT INTO documents VALUES (11), (12)")

    async def writers_go_on() -> None:
        await cypher("CREATE (:Document {id: 11})")
        await admin.execute("INSERT INTO documents VALUES (13)")

    readings = await probe(Meanwhile(writers_go_on)).read()
    assert readings == {"both": {(): 1.0}, "rows": {(): 1.0}, "nodes": {(): 0.0}}


@pytest.mark.usefixtures("stores")
async def test_text_and_number_are_the_same_id_and_nulls_are_none(
    probe: Callable[..., Probe], admin: Connection, cypher: Cypher
) -> None:
    await admin.execute("INSERT INTO documents VALUES (NULL)")
    await cypher("MATCH (d:Document) SET d.id = toString(d.id)")
    await cypher("CREATE (:Document)")
    assert (await probe(Meanwhile()).read())["both"] == {(): 0.0}


@pytest.mark.usefixtures("stores")
@pytest.mark.parametrize(
    ("rows", "nodes", "detail"),
    [
        ("SELECT id FROM nowhere", NODES.text, 'relation "nowhere" does not exist'),
        ("SELECT id, id FROM documents", NODES.text, "must return one column of ids"),
        (ROWS.text, "MATCH (d:Document) RETURN d.id, d.id AS other", "exactly one column"),
        (ROWS.text, "MATCH (d:Document RETURN d.id", "Invalid input"),
        ("SELECT generate_series(1, 101)", NODES.text, "more than max_ids (100)"),
        (ROWS.text, "UNWIND range(1, 101) AS id RETURN id", "more than max_ids (100)"),
    ],
)
async def test_a_comparison_that_makes_no_sense_says_why_and_hides_no_other(
    probe: Callable[..., Probe], rows: str, nodes: str, detail: str
) -> None:
    bad = CrossCheckRead(rows=Script(rows, "a.sql"), nodes=Script(nodes, "b.cypher"))
    readings = await probe(Meanwhile(), {"bad": bad, "good": READS["both"]}, max_ids=100).read()
    answer = readings["bad"][()]
    assert isinstance(answer, Missing)
    assert answer.cause is Cause.PROBE_BROKEN
    assert detail in answer.detail
    assert readings["good"] == {(): 0.0}


@pytest.mark.usefixtures("stores")
async def test_a_graph_that_is_not_there_leaves_no_value(
    build: Build, pg_target: PostgresTarget, secret: Any, unused_tcp_port: int
) -> None:
    url = f"bolt://127.0.0.1:{unused_tcp_port}"
    gone = Neo4jTarget("graph", Neo4jOptions(url=url, user="neo4j", password=secret("hush-hush")))
    readings = await build(KIND, pg_target, READS, others={"net": gone}, graph=Role("net")).read()
    answer = readings["both"][()]
    assert isinstance(answer, Missing)
    assert answer.cause is Cause.UNREACHABLE
    await gone.close()


async def test_a_database_that_ends_the_session_leaves_no_value(probe: Callable[..., Probe]) -> None:
    dies = CrossCheckRead(rows=Script("SELECT pg_terminate_backend(pg_backend_pid())"), nodes=NODES)
    answer = (await probe(Meanwhile(), {"dies": dies}).read())["dies"][()]
    assert isinstance(answer, Missing)
    assert answer.cause is Cause.UNREACHABLE


def test_an_id_that_changed_sides_is_not_the_same_difference() -> None:
    before = Pair(frozenset({"1"}), frozenset()).unmatched("both")
    after = Pair(frozenset(), frozenset({"1"})).unmatched("both")
    assert before & after == frozenset()


def test_options_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="nodes is empty"):
        CrossCheckRead(rows=ROWS, nodes=Script(""))
    with pytest.raises(ValueError, match="max_ids must be"):
        CrossCheckOptions(graph=Role("net"), max_ids=0)
    assert KIND.signal_kind(READS["both"]) is SignalKind.CHECK
