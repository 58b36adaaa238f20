from collections.abc import Callable
from typing import Any, Literal

import pytest

from watchdog.model.signals import Cause, Missing, SignalKind
from watchdog.model.time import SECOND
from watchdog.ports.errors import ProbeError
from watchdog.ports.kinds import Duration, Script
from watchdog.ports.probes import Probe
from watchdog.probes.cypher_check import KIND, CypherCheckRead
from watchdog.targets.neo4j import Neo4jOptions, Neo4jTarget

Build = Callable[..., Probe]
Cypher = Callable[[str], Any]


def check(text: str, expect: Literal["no_rows", "value"] = "no_rows") -> CypherCheckRead:
    return CypherCheckRead(query=Script(text, "graph.cypher"), expect=expect)


@pytest.mark.parametrize(
    ("text", "expect", "value"),
    [
        ("MATCH (n:Nothing) RETURN n", "no_rows", 0.0),
        ("UNWIND range(1, 7) AS id RETURN id, id + 1 AS other;", "no_rows", 7.0),
        ("UNWIND range(1, 50000) AS id RETURN id", "no_rows", 10_000.0),
        ("RETURN 41.5", "value", 41.5),
        ("MATCH (n:Nothing) RETURN count(n)", "value", 0.0),
    ],
)
async def test_a_check_counts_rows_or_answers_with_its_number(
    build: Build, graph_target: Neo4jTarget, text: str, expect: Any, value: float
) -> None:
    reads = {"check": check(text, expect), "again": check(text, expect)}
    assert await build(KIND, graph_target, reads).read() == {"check": {(): value}, "again": {(): value}}


@pytest.mark.parametrize(
    ("text", "expect", "detail"),
    [
        ("MATCH (n RETURN n", "no_rows", "Invalid input"),
        ("MATCH (n) FINISH", "no_rows", "must RETURN the violations"),
        ("CREATE (n:Written) RETURN n", "no_rows", "writes; a probe must only read"),
        ("RETURN null", "value", "coalesce"),
        ("RETURN 'seven'", "value", "other than a finite number"),
        ("RETURN 1, 2", "value", "exactly one column"),
        ("UNWIND [1, 2] AS x RETURN x", "value", "exactly one row"),
        ("RETURN date('anna@example.org')", "value", "Neo.ClientError"),
    ],
)
async def test_a_check_that_makes_no_sense_says_why_and_hides_no_other(
    build: Build, graph_target: Neo4jTarget, cypher: Cypher, text: str, expect: Any, detail: str
) -> None:
    reads = {"bad": check(text, expect), "good": check("MATCH (n:Nothing) RETURN n")}
    readings = await build(KIND, graph_target, reads).read()
    bad = readings["bad"][()]
    assert isinstance(bad, Missing)
    assert bad.cause is Cause.PROBE_BROKEN
    assert detail in bad.detail
    assert "graph.cypher" in bad.detail
    assert "anna" not in bad.detail
    assert readings["good"] == {(): 0.0}
    assert await cypher("MATCH (n:Written) RETURN count(n)") == [[0]]


async def test_a_check_that_takes_too_long_does_not_answer(build: Build, graph_target: Neo4jTarget) -> None:
    text = "UNWIND range(1, 100000) AS a UNWIND range(1, 100000) AS b RETURN count(a * b)"
    probe = build(KIND, graph_target, {"slow": check(text, "value")}, query_timeout=Duration(SECOND // 2))
    slow = (await probe.read())["slow"][()]
    assert isinstance(slow, Missing)
    assert slow.cause is Cause.UNREACHABLE
    assert "longer than its query_timeout" in slow.detail


async def test_a_server_that_is_not_there_fails_the_whole_reading(
    build: Build, secret: Any, unused_tcp_port: int
) -> None:
    url = f"bolt://127.0.0.1:{unused_tcp_port}"
    target = Neo4jTarget("graph", Neo4jOptions(url=url, user="neo4j", password=secret("hush-hush")))
    with pytest.raises(ProbeError, match=r"graph \(127.0.0.1") as caught:
        await build(KIND, target, {"check": check("RETURN 1")}).read()
    assert caught.value.cause is Cause.UNREACHABLE
    await target.close()


def test_an_empty_query_is_refused() -> None:
    with pytest.raises(ValueError, match="query is empty"):
        check(";")
    assert KIND.signal_kind(check("RETURN 1")) is SignalKind.CHECK
