from collections.abc import Callable
from typing import Any

import pytest

from watchdog.model.signals import Cause, Missing, SignalKind
from watchdog.ports.errors import ProbeError
from watchdog.ports.probes import Probe
from watchdog.probes.neo4j import KIND, Neo4jRead, statement
from watchdog.targets.neo4j import Neo4jOptions, Neo4jTarget

Build = Callable[..., Probe]
Cypher = Callable[[str], Any]

READS = {
    "up": Neo4jRead(of="reachable"),
    "all": Neo4jRead(of="nodes"),
    "controls": Neo4jRead(of="nodes", label="Control"),
    "links": Neo4jRead(of="relationships"),
    "mitigates": Neo4jRead(of="relationships", type="MITIGATES"),
    "orphans": Neo4jRead(of="orphan_nodes", label="Control"),
}


async def test_nodes_relationships_and_orphans_are_counted(
    build: Build, graph_target: Neo4jTarget, cypher: Cypher
) -> None:
    await cypher("UNWIND range(1, 5) AS id CREATE (:Control {id: id})")
    await cypher("MATCH (c:Control) WHERE c.id < 4 CREATE (c)-[:ADDRESSES]->(:Risk)")
    await cypher("MATCH (c:Control {id: 4}) CREATE (:Risk)-[:MITIGATES]->(c)")
    assert await build(KIND, graph_target, READS).read() == {
        "up": {(): 1.0},
        "all": {(): 9.0},
        "controls": {(): 5.0},
        "links": {(): 4.0},
        "mitigates": {(): 1.0},
        "orphans": {(): 1.0},
    }


async def test_a_server_that_is_not_there_is_a_fact_for_reachable_and_no_value_for_the_rest(
    build: Build, secret: Any, unused_tcp_port: int
) -> None:
    url = f"bolt://127.0.0.1:{unused_tcp_port}"
    target = Neo4jTarget("graph", Neo4jOptions(url=url, user="neo4j", password=secret("hush-hush")))
    readings = await build(KIND, target, READS).read()
    assert readings["up"] == {(): 0.0}
    nodes = readings["all"][()]
    assert isinstance(nodes, Missing)
    assert nodes.cause is Cause.UNREACHABLE
    assert "graph (127.0.0.1" in nodes.detail
    with pytest.raises(ProbeError, match="does not answer"):
        await build(KIND, target, {"all": READS["all"]}).read()
    await target.close()


async def test_a_wrong_password_is_a_broken_probe(build: Build, neo4j_server: Any, secret: Any) -> None:
    options = Neo4jOptions(url=neo4j_server.url, user="somebody", password=secret("hush-hush"))
    target = Neo4jTarget("graph", options)
    with pytest.raises(ProbeError, match="user and password") as caught:
        await build(KIND, target, READS).read()
    assert caught.value.cause is Cause.PROBE_BROKEN
    assert "hush-hush" not in str(caught.value)
    await target.close()


def test_names_are_quoted() -> None:
    assert statement(Neo4jRead(of="nodes", label="a`b")) == "MATCH (n:`a``b`) RETURN count(n)"


def test_options_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="orphan_nodes needs label"):
        Neo4jRead(of="orphan_nodes")
    with pytest.raises(ValueError, match="label has no meaning for relationships"):
        Neo4jRead(of="relationships", label="Control")
    with pytest.raises(ValueError, match="type has no meaning for nodes"):
        Neo4jRead(of="nodes", type="MITIGATES")
    assert KIND.signal_kind(READS["orphans"]) is SignalKind.CHECK
    assert KIND.signal_kind(READS["all"]) is SignalKind.GAUGE
