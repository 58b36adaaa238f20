"""Both versions of the service against the schema they were made for, and against each other's."""

import dataclasses
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import SimpleNamespace
from typing import Any, cast

import psycopg

from watchdog.demo import data
from watchdog.demo.before import Systems
from watchdog.demo.service.stores import Version
from watchdog.demo.stack import Stack
from watchdog.servers.neo4j import Neo4jServer
from watchdog.targets.neo4j import Neo4jTarget

Serve = Callable[[Stack, Version], AbstractAsyncContextManager[Any]]
ASSESSMENT = {"user_id": 1, "control_id": "C-0001", "score": 50, "note": "n"}
DOCUMENT = {"title": "Vault rotation", "body": "secret vault rotation", "owner_id": 1, "control_id": "C-0001"}


async def _admin(compliance: Stack, statement: str) -> None:
    async with await psycopg.AsyncConnection.connect(compliance.admin_url, autocommit=True) as connection:
        await connection.execute(statement)


async def test_a_user_is_written_and_read(compliance: Stack, serve: Serve) -> None:
    async with serve(compliance, "v1") as send:
        status, made = await send("POST", "/users", json={"email": "a@example.org", "name": "A"})
        assert status == 201
        assert await send("GET", f"/users/{made['id']}") == (
            200,
            {"id": made["id"], "email": "a@example.org", "name": "A"},
        )
        assert (await send("GET", "/users/999999"))[0] == 404


async def test_an_assessment_is_read_through_the_cache_and_a_change_is_seen(
    compliance: Stack, serve: Serve, systems: Systems
) -> None:
    async with serve(compliance, "v1") as send:
        _, made = await send("POST", "/assessments", json=ASSESSMENT)
        path = f"/assessments/{made['id']}"
        assert (await send("GET", path))[1]["status"] == "open"
        assert await systems.redis.exists(f"compliance:cache:assessment:{made['id']}")
        change = {"status": "closed", "score": 60, "note": "m"}
        assert (await send("PATCH", path, json=change))[0] == 200
        read = (await send("GET", path))[1]
    assert read == {"id": made["id"], "user_id": 1, "control_id": "C-0001"} | change


async def test_a_document_has_a_row_a_vector_and_a_node_and_is_found(
    compliance: Stack, serve: Serve, systems: Systems
) -> None:
    async with serve(compliance, "v1") as send:
        status, made = await send("POST", "/documents", json=DOCUMENT)
        assert status == 201
        found = (await send("GET", "/search", params={"q": "vault rotation secret"}))[1]["results"]
    assert found[0]["id"] == made["id"]
    assert [row["distance"] for row in found] == sorted(row["distance"] for row in found)
    nodes = await systems.graph.execute_query(
        "MATCH (d:Document {id: $id})-[:EVIDENCES]->(c) RETURN c.id AS id", {"id": made["id"]}
    )
    assert [record["id"] for record in nodes.records] == ["C-0001"]


async def test_a_document_without_its_control_leaves_no_row_behind(compliance: Stack, serve: Serve) -> None:
    async with serve(compliance, "v1") as send:
        assert (await send("POST", "/documents", json=DOCUMENT | {"control_id": "C-9999"}))[0] == 404
    await _no_new_documents(compliance)


async def test_a_document_that_the_graph_does_not_take_leaves_no_row_behind(compliance: Stack, serve: Serve) -> None:
    dead = SimpleNamespace(url=f"bolt://127.0.0.1:{compliance.port}", auth=compliance.neo4j.auth)
    without_graph = dataclasses.replace(compliance, neo4j=cast("Neo4jServer", dead))
    async with serve(without_graph, "v1") as send:
        assert (await send("POST", "/documents", json=DOCUMENT))[0] == 503
        assert (await send("GET", "/health"))[1]["stores"] == ["neo4j"]
    await _no_new_documents(compliance)


async def _no_new_documents(compliance: Stack) -> None:
    async with await psycopg.AsyncConnection.connect(compliance.admin_url) as connection:
        rows = await connection.execute(
            "SELECT (SELECT count(*) FROM documents), (SELECT count(*) FROM document_embeddings)"
        )
        assert await rows.fetchone() == (data.SMALL.documents, data.SMALL.documents)


async def test_risks_of_a_control_come_from_the_graph(compliance: Stack, serve: Serve) -> None:
    async with serve(compliance, "v1") as send:
        _, answer = await send("GET", "/controls/C-0003/risks")
    expected = sorted(str(link["to"]) for link in data.addresses(data.SMALL) if link["from"] == "C-0003")
    assert [risk["id"] for risk in answer["risks"]] == expected


async def test_a_session_is_opened_and_found(compliance: Stack, serve: Serve) -> None:
    async with serve(compliance, "v1") as send:
        _, made = await send("POST", "/sessions", json={"user_id": 7})
        assert await send("GET", f"/sessions/{made['id']}") == (200, {"id": made["id"], "user_id": 7})
        assert (await send("GET", "/sessions/none"))[0] == 404


async def test_the_old_version_knows_no_preferences(compliance: Stack, serve: Serve) -> None:
    async with serve(compliance, "v1") as send:
        assert (await send("GET", "/users/1/preferences"))[0] == 404
        assert (await send("GET", "/version"))[1] == {"version": "v1"}


async def test_the_new_version_works_on_the_new_schema(
    compliance: Stack, graph: Neo4jTarget, serve: Serve, systems: Systems
) -> None:
    steps = compliance.release(graph)
    await steps.apply_all()
    await steps.enable_flag()
    async with serve(compliance, "v2") as send:
        assert (await send("PUT", "/users/1/preferences", json={"theme": "dark"}))[0] == 200
        assert (await send("GET", "/users/1/preferences"))[1] == {"theme": "dark"}
        assert (await send("GET", "/users/2/preferences"))[1] == {}
        _, made = await send("POST", "/assessments", json=ASSESSMENT)
        assert (await send("GET", f"/assessments/{made['id']}"))[1]["compliance_score"] == 50
        assert (await send("POST", "/documents", json=DOCUMENT))[0] == 201
        found = (await send("GET", "/search", params={"q": "vault rotation secret"}))[1]["results"]
        assert found[0]["title"] == "Vault rotation"
        _, answer = await send("GET", "/controls/C-0003/risks")
        assert all(risk["by"] == ["ADDRESSES", "MITIGATES"] for risk in answer["risks"])


async def test_the_old_version_goes_on_working_on_the_healthy_new_schema(
    compliance: Stack, graph: Neo4jTarget, serve: Serve, systems: Systems
) -> None:
    await compliance.release(graph).apply_all()
    async with serve(compliance, "v1") as send:
        assert (await send("POST", "/assessments", json=ASSESSMENT))[0] == 201
        assert (await send("POST", "/documents", json=DOCUMENT))[0] == 201


async def test_a_failing_rating_service_is_a_502_and_counted(compliance: Stack, serve: Serve) -> None:
    compliance.rating.failing = 1.0
    async with serve(compliance, "v1") as send:
        assert (await send("POST", "/assessments", json=ASSESSMENT))[0] == 502
        _, page = await send("GET", "/metrics")
    assert 'dependency_errors_total{dependency="rating",version="v1"} 1.0' in page
    assert 'http_requests_total{endpoint="/assessments",method="POST",status="502",version="v1"} 1.0' in page


async def test_fenced_writers_get_a_503(compliance: Stack, serve: Serve) -> None:
    await _admin(compliance, "REVOKE INSERT ON assessments FROM compliance_app")
    async with serve(compliance, "v1") as send:
        assert (await send("POST", "/assessments", json=ASSESSMENT))[0] == 503


async def test_a_body_that_makes_no_sense_is_a_400(compliance: Stack, serve: Serve) -> None:
    async with serve(compliance, "v1") as send:
        assert (await send("POST", "/assessments", data=b"{"))[0] == 400
        assert (await send("POST", "/users", json={}))[0] == 400
        assert (await send("GET", "/users/abc"))[0] == 400


async def test_error_counters_are_there_from_the_start(compliance: Stack, serve: Serve) -> None:
    async with serve(compliance, "v1") as send:
        _, page = await send("GET", "/metrics")
    for sqlstate in ("23502", "42703", "42P01", "22P02", "53300", "57P03", "08006"):
        assert f'db_errors_total{{sqlstate="{sqlstate}",version="v1"}} 0.0' in page
    assert 'db_connection_errors_total{version="v1"} 0.0' in page
    assert "_created" not in page


async def test_health_names_the_store_that_fails_and_connection_errors_are_counted(
    compliance: Stack, serve: Serve
) -> None:
    async with serve(compliance, "v1") as send:
        assert await send("GET", "/health") == (200, {"status": "ok", "version": "v1"})
    elsewhere = dataclasses.replace(compliance, passwords=compliance.passwords | {"compliance_app": "wrong"})
    async with serve(elsewhere, "v1") as send:
        assert await send("GET", "/health") == (
            503,
            {"status": "failing", "stores": ["postgres"], "version": "v1"},
        )
        assert (await send("GET", "/users/1"))[0] == 503
        _, page = await send("GET", "/metrics")
    assert 'db_connection_errors_total{version="v1"} 0.0' not in page


async def test_the_flags_are_shown_as_the_service_sees_them(
    compliance: Stack, graph: Neo4jTarget, serve: Serve, systems: Systems
) -> None:
    steps = compliance.release(graph)
    await steps.apply_all()
    async with serve(compliance, "v2") as send:
        assert (await send("GET", "/flags"))[1] == {"migration_reembed_documents_enabled": False}
    await steps.enable_flag()
    async with serve(compliance, "v2") as send:
        assert (await send("GET", "/flags"))[1] == {"migration_reembed_documents_enabled": True}
