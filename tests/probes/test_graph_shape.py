from collections.abc import Callable
from typing import Any

import pytest

from watchdog.model.signals import Cause, Missing, SignalKind
from watchdog.ports.errors import ProbeError
from watchdog.ports.probes import Probe
from watchdog.probes.graph_shape import KIND, GraphShapeRead, statement
from watchdog.targets.neo4j import Neo4jOptions, Neo4jTarget

Build = Callable[..., Probe]

READS = {
    "missing": GraphShapeRead(of="missing_relationships", label="Control", type="ADDRESSES", to="Risk"),
    "unaddressed": GraphShapeRead(of="missing_relationships", label="Risk", type="ADDRESSES", direction="in"),
    "wrong": GraphShapeRead(of="wrong_cardinality", label="Control", type="ADDRESSES", least=1, most=2),
    "twice": GraphShapeRead(of="duplicate_relationships", label="Control", type="ADDRESSES", to="Risk"),
    "mean": GraphShapeRead(of="per_node", label="Control", type="ADDRESSES"),
}


async def test_what_a_migration_leaves_out_or_makes_twice_is_counted(
    build: Build, graph_target: Neo4jTarget, cypher: Any
) -> None:
    await cypher("UNWIND range(1, 4) AS id CREATE (:Control {id: id})-[:ADDRESSES]->(:Risk {id: id})")
    probe = build(KIND, graph_target, READS)
    assert await probe.read() == {
        "missing": {(): 0.0},
        "unaddressed": {(): 0.0},
        "wrong": {(): 0.0},
        "twice": {(): 0.0},
        "mean": {(): 1.0},
    }
    await cypher("MATCH (:Control {id: 1})-[held]->() DELETE held")
    await cypher("MATCH (c:Control {id: 2}), (r:Risk {id: 2}) CREATE (c)-[:ADDRESSES]->(r)")
    await cypher("MATCH (c:Control {id: 3}), (r:Risk) CREATE (c)-[:ADDRESSES]->(r)")
    await cypher("MATCH (c:Control {id: 4}) CREATE (c)-[:ADDRESSES]->(:Note)")
    assert await probe.read() == {
        "missing": {(): 1.0},
        "unaddressed": {(): 0.0},
        "wrong": {(): 2.0},
        "twice": {(): 2.0},
        "mean": {(): 9 / 4},
    }


async def test_without_nodes_there_is_no_mean_and_no_violation(build: Build, graph_target: Neo4jTarget) -> None:
    readings = await build(KIND, graph_target, READS).read()
    mean = readings["mean"][()]
    assert isinstance(mean, Missing)
    assert mean.cause is Cause.NO_TRAFFIC
    assert "no node :Control" in mean.detail
    assert readings["missing"] == readings["wrong"] == {(): 0.0}


async def test_a_server_that_is_not_there_fails_the_reading(build: Build, secret: Any, unused_tcp_port: int) -> None:
    url = f"bolt://127.0.0.1:{unused_tcp_port}"
    target = Neo4jTarget("graph", Neo4jOptions(url=url, user="neo4j", password=secret("hush-hush")))
    with pytest.raises(ProbeError, match="does not answer") as caught:
        await build(KIND, target, READS).read()
    assert caught.value.cause is Cause.UNREACHABLE
    await target.close()


def test_names_are_quoted_and_what_cannot_work_is_refused() -> None:
    odd = GraphShapeRead(of="missing_relationships", label="a`b", type="c", direction="both")
    assert statement(odd).startswith("MATCH (n:`a``b`) WHERE NOT EXISTS { (n)-[:`c`]-() }")
    with pytest.raises(ValueError, match="needs least or most"):
        GraphShapeRead(of="wrong_cardinality", label="a", type="b")
    with pytest.raises(ValueError, match="least must be from 0 to most"):
        GraphShapeRead(of="wrong_cardinality", label="a", type="b", least=3, most=2)
    with pytest.raises(ValueError, match="no meaning for per_node"):
        GraphShapeRead(of="per_node", label="a", type="b", least=1)
    with pytest.raises(ValueError, match="must name the nodes"):
        GraphShapeRead(of="per_node", label="", type="b")
    assert KIND.signal_kind(READS["mean"]) is SignalKind.GAUGE
    assert KIND.signal_kind(READS["twice"]) is SignalKind.CHECK
