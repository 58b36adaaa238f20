"""Each fault shows what it should, on the real stores."""

import asyncio
import dataclasses
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import psycopg
import pytest

from watchdog.demo import release
from watchdog.demo.before import Systems
from watchdog.demo.checks import stores_agree
from watchdog.demo.embedding import embed, literal
from watchdog.demo.release import Fault, ReleaseSteps
from watchdog.demo.service.context import SLOWER_S
from watchdog.demo.service.statements import recorded_writes_v1
from watchdog.demo.service.stores import Version
from watchdog.demo.stack import Stack
from watchdog.targets.neo4j import Neo4jTarget

Serve = Callable[[Stack, Version], AbstractAsyncContextManager[Any]]
ASSESSMENT = {"user_id": 1, "control_id": "C-0001", "score": 50, "note": "n"}


def _with(compliance: Stack, graph: Neo4jTarget, fault: Fault) -> tuple[Stack, ReleaseSteps]:
    faulty = dataclasses.replace(compliance, fault=fault)
    return faulty, dataclasses.replace(faulty.release(graph), pause_s=0.0, backfill_batch=150)


async def _rows(systems: Systems, query: str) -> list[tuple[Any, ...]]:
    async with await psycopg.AsyncConnection.connect(systems.database_url, autocommit=True) as connection:
        return await (await connection.execute(query)).fetchall()


async def test_the_healthy_release_fills_every_row_and_belongs_to_the_owner(
    compliance: Stack, graph: Neo4jTarget, systems: Systems
) -> None:
    _, steps = _with(compliance, graph, "none")
    await steps.apply_all()
    unfilled = "SELECT count(*) FROM assessments WHERE compliance_score <> (score * 9 + 50) / 10"
    assert await _rows(systems, unfilled) == [(0,)]
    versions = await _rows(systems, "SELECT version FROM schema_versions ORDER BY version")
    assert [version for (version,) in versions] == [
        "add_compliance_score",
        "add_user_preferences_v1",
        "initial",
    ]
    vectors = "SELECT count(*) FROM document_embeddings_v2"
    assert await _rows(systems, vectors) == await _rows(systems, "SELECT count(*) FROM documents")
    owners = "SELECT DISTINCT tableowner::text FROM pg_tables WHERE schemaname = 'public'"
    assert await _rows(systems, owners) == [("compliance_owner",)]


async def test_the_graph_migration_keeps_what_it_overwrites(
    compliance: Stack, graph: Neo4jTarget, systems: Systems
) -> None:
    _, steps = _with(compliance, graph, "none")
    count = "MATCH (c:Control {id: 'C-0009'}) RETURN c.mitigation_count AS n"
    before = (await systems.graph.execute_query(count)).records[0]["n"]
    await steps.migrate_graph()
    archived = await systems.graph.execute_query(
        "MATCH (c:Control {id: 'C-0009'}), (a:WatchdogArchive {element: elementId(c)}) "
        "RETURN a.`before.mitigation_count` AS n"
    )
    assert before == 4
    assert [record["n"] for record in archived.records] == [before]
    assert (await systems.graph.execute_query(count)).records[0]["n"] == 2
    links = await systems.graph.execute_query("MATCH ()-[m:MITIGATES]->() RETURN count(m) AS n")
    assert links.records[0]["n"] == 40
    log = await systems.graph.execute_query("MATCH (l:MigrationLog) RETURN l.id AS id")
    assert [record["id"] for record in log.records] == [release.GRAPH_MIGRATION]


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_without_a_default_inserts_fail_with_23502_in_old_and_new_code(
    compliance: Stack, graph: Neo4jTarget, systems: Systems, serve: Serve, version: Version
) -> None:
    faulty, steps = _with(compliance, graph, "schema")
    await steps.apply_all()
    async with serve(faulty, version) as send:
        assert (await send("POST", "/assessments", json=ASSESSMENT))[0] == 500
        assert (await send("GET", "/users/1"))[0] == 200
        _, page = await send("GET", "/metrics")
    assert f'db_errors_total{{sqlstate="23502",version="{version}"}} 1.0' in page


async def test_the_wrong_flagged_path_fails_and_is_fine_with_the_flag_off(
    compliance: Stack, graph: Neo4jTarget, systems: Systems, serve: Serve
) -> None:
    faulty, steps = _with(compliance, graph, "flag")
    await steps.apply_all()
    await steps.enable_flag()
    async with serve(faulty, "v2") as send:
        assert (await send("GET", "/search", params={"q": "vault"}))[0] == 500
        assert (await send("POST", "/assessments", json=ASSESSMENT))[0] == 201
        await _disable_flag(systems)
        async with asyncio.timeout(10):
            while (await send("GET", "/flags"))[1]["migration_reembed_documents_enabled"]:
                pass
        assert (await send("GET", "/search", params={"q": "vault"}))[0] == 200


async def _disable_flag(systems: Systems) -> None:
    async with await psycopg.AsyncConnection.connect(systems.database_url, autocommit=True) as connection:
        await connection.execute("UPDATE feature_flags SET enabled = false")


async def test_the_deduplication_orphans_vectors_and_nodes_but_its_rows_are_archived(
    compliance: Stack, graph: Neo4jTarget, systems: Systems
) -> None:
    _, steps = _with(compliance, graph, "integrity")
    lost = "SELECT id, title, body, owner_id FROM documents WHERE id % 500 = 7"
    rows = await _rows(systems, lost)
    await steps.apply_all()
    assert await _rows(systems, lost) == []
    archive = "SELECT rows FROM watchdog.migration_archives WHERE \"table\" LIKE '%documents%' AND name LIKE '%before'"
    left = await _rows(systems, "SELECT count(*) FROM documents")
    assert await _rows(systems, archive) == [(left[0][0] + len(rows),)]
    async with await psycopg.AsyncConnection.connect(systems.database_url, autocommit=True) as connection:
        check = await stores_agree(connection, systems)
    assert (check.ok, check.detail) == (False, "document 7 has no row")


async def test_the_locking_transaction_waits_its_turn_and_is_tried_again(
    compliance: Stack, graph: Neo4jTarget, systems: Systems
) -> None:
    _, steps = _with(compliance, graph, "none")
    await steps.add_compliance_score()
    async with await psycopg.AsyncConnection.connect(systems.database_url) as reader:
        await reader.execute("SELECT count(*) FROM assessments")
        work = asyncio.create_task(steps.require_compliance_score())
        done, _ = await asyncio.wait({work}, timeout=2.5)
        assert not done
        await reader.commit()
        await work
    nullable = "SELECT attnotnull FROM pg_attribute WHERE attname = 'compliance_score'"
    assert await _rows(systems, nullable) == [(True,)]


@pytest.mark.parametrize(("fault", "refused"), [("none", []), ("schema", ["POST /assessments"])])
async def test_the_old_versions_recorded_writes_tell_whether_it_is_compatible(
    compliance: Stack, graph: Neo4jTarget, systems: Systems, fault: Fault, refused: list[str]
) -> None:
    _, steps = _with(compliance, graph, fault)
    await steps.apply_all()
    failed = []
    async with await psycopg.AsyncConnection.connect(compliance.url("compliance_app"), autocommit=True) as connection:
        for write in recorded_writes_v1(literal(embed("recorded"))):
            try:
                await connection.execute(write.statement, write.values)
            except psycopg.errors.NotNullViolation:
                failed.append(write.name)
    assert failed == refused


async def test_what_the_new_version_does_wrong_is_seen_in_its_answers(
    compliance: Stack, graph: Neo4jTarget, serve: Serve
) -> None:
    slow, steps = _with(compliance, graph, "latency")
    await steps.apply_all()
    await steps.enable_flag()
    async with serve(slow, "v2") as send:
        began = time.monotonic()
        assert (await send("GET", "/search", params={"q": "vault"}))[0] == 200
        assert time.monotonic() - began >= SLOWER_S
    leaking, _ = _with(compliance, graph, "connections")
    async with serve(leaking, "v2") as send:
        statuses = [(await send("GET", "/search", params={"q": "vault"}))[0] for _ in range(12)]
        assert statuses[0] == 200
        assert statuses[-1] == 503
    canary, _ = _with(compliance, graph, "canary")
    async with serve(canary, "v2") as send:
        assert (await send("GET", "/search", params={"q": "vault"}))[0] == 500
    async with serve(canary, "v1") as send:
        assert (await send("GET", "/search", params={"q": "vault"}))[0] == 200
