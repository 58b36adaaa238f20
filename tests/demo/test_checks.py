"""Every check passes when all is well, and finds the damage that it is there for."""

import dataclasses
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest_asyncio

from watchdog.demo import before, checks, data
from watchdog.demo.before import Before, Systems
from watchdog.demo.checks import Check, Evidence
from watchdog.demo.ledger import Entry, fingerprint
from watchdog.demo.stack import Stack
from watchdog.targets.neo4j import Neo4jTarget

SUMMARY = {"requests": 1_000, "errors": 3, "longest_stall_s": 1.5}
EVIDENCE = Evidence({}, SUMMARY)
Connection = psycopg.AsyncConnection[tuple[Any, ...]]


@pytest_asyncio.fixture
async def taken(systems: Systems) -> Before:
    return await before.take(systems, 0)


@pytest_asyncio.fixture
async def admin(systems: Systems) -> AsyncIterator[Connection]:
    async with await psycopg.AsyncConnection.connect(systems.database_url, autocommit=True) as connection:
        yield connection


async def _failing(systems: Systems, taken: Before, evidence: Evidence = EVIDENCE) -> list[tuple[str, str]]:
    results = await checks.run_all(systems, taken, evidence)
    return [(check.name, check.detail) for check in results if not check.ok]


async def test_all_is_well_when_nothing_happened(systems: Systems, taken: Before) -> None:
    assert await _failing(systems, taken) == []


async def test_a_snapshot_survives_its_file(taken: Before, tmp_path: Path) -> None:
    taken.save(tmp_path / "before.json")
    assert Before.load(tmp_path / "before.json") == taken


async def test_a_column_left_behind_is_shown_as_a_difference(
    systems: Systems, taken: Before, admin: Connection
) -> None:
    await admin.execute("ALTER TABLE assessments ADD COLUMN compliance_score int")
    ((name, detail),) = await _failing(systems, taken)
    assert name == "schema as before"
    assert "+    compliance_score integer" in detail


async def test_the_daemons_own_schema_is_no_difference(systems: Systems, taken: Before, admin: Connection) -> None:
    await admin.execute("CREATE TABLE watchdog.fence (guard text)")
    assert await _failing(systems, taken) == []


async def test_a_row_of_schema_versions_left_behind_is_found(
    systems: Systems, taken: Before, admin: Connection
) -> None:
    await admin.execute("INSERT INTO schema_versions (version, description) VALUES ('later', '')")
    assert await _failing(systems, taken) == [("schema versions as before", "extra: later")]


async def test_a_changed_row_is_found(systems: Systems, taken: Before, admin: Connection) -> None:
    await admin.execute("UPDATE users SET name = 'somebody else' WHERE id = 3")
    assert await _failing(systems, taken) == [("rows from before", "users 3 changed")]


async def test_a_lost_row_is_found(systems: Systems, taken: Before, admin: Connection) -> None:
    key = data.assessment_id(5)
    await admin.execute("DELETE FROM assessments WHERE id = %s", (key,))
    assert await _failing(systems, taken) == [("rows from before", f"assessments {key} lost")]


async def test_a_lost_table_is_found(systems: Systems, taken: Before, admin: Connection) -> None:
    await admin.execute("DROP TABLE feature_flags")
    failing = dict(await _failing(systems, taken))
    assert failing["rows from before"] == 'feature_flags: relation "public.feature_flags" does not exist'


async def test_a_lost_row_in_quarantine_is_kept(systems: Systems, taken: Before, admin: Connection) -> None:
    key = data.assessment_id(5)
    await admin.execute("CREATE SCHEMA IF NOT EXISTS watchdog")
    await admin.execute("CREATE TABLE watchdog.q AS SELECT * FROM assessments WHERE id = %s", (key,))
    await admin.execute("DELETE FROM assessments WHERE id = %s", (key,))
    query = "SELECT id::text, to_jsonb(q) FROM watchdog.q"
    evidence = dataclasses.replace(EVIDENCE, quarantines={"assessments": query})
    assert await _failing(systems, taken, evidence) == []


async def test_a_row_changed_by_its_user_is_no_damage_but_its_value_must_be_theirs(
    systems: Systems, taken: Before, admin: Connection
) -> None:
    key, user, control, status, score, _ = data.assessment(5, data.SMALL)
    await admin.execute("UPDATE assessments SET note = 'mine' WHERE id = %s", (key,))
    value = {"user_id": user, "control_id": control, "status": status, "score": score, "note": "mine"}
    good = Evidence({("assessments", key): Entry({fingerprint(value)}, acknowledged=True)}, SUMMARY)
    assert await _failing(systems, taken, good) == []
    bad = Evidence({("assessments", key): Entry({"other"}, acknowledged=True)}, SUMMARY)
    assert await _failing(systems, taken, bad) == [("writes since T-0 kept", f"assessments {key} has another value")]


async def test_a_missing_write_is_found_and_an_uncertain_one_is_not_missed(systems: Systems, taken: Before) -> None:
    entries = {
        ("users", "999"): Entry({"x"}, acknowledged=True),
        ("users", "998"): Entry({"x"}, acknowledged=False),
        ("preferences", "1"): Entry({"x"}, acknowledged=True),
    }
    assert await _failing(systems, taken, Evidence(entries, SUMMARY)) == [  # type: ignore[arg-type]
        ("writes since T-0 kept", "preferences 1 is missing; users 999 is missing")
    ]


async def test_a_write_in_quarantine_counts_as_kept(systems: Systems, taken: Before, admin: Connection) -> None:
    await admin.execute("CREATE SCHEMA IF NOT EXISTS watchdog")
    await admin.execute("CREATE TABLE watchdog.prefs AS SELECT '1' AS user_id, jsonb '{\"theme\": \"dark\"}' AS prefs")
    entry = Entry({fingerprint({"prefs": {"theme": "dark"}})}, acknowledged=True)
    query = "SELECT user_id, to_jsonb(p) FROM watchdog.prefs p"
    evidence = Evidence({("preferences", "1"): entry}, SUMMARY, {"preferences": query})
    async with await psycopg.AsyncConnection.connect(systems.database_url, autocommit=True) as connection:
        assert await checks.ledger_kept(connection, evidence) == Check(
            "writes since T-0 kept", ok=True, detail="1 writes: 0 in place, 1 in quarantine"
        )


async def test_a_changed_graph_is_found(systems: Systems, taken: Before) -> None:
    await systems.graph.execute_query("MATCH (c:Control {id: 'C-0003'}) SET c.mitigation_count = 77")
    await systems.graph.execute_query("MATCH (:Control {id: 'C-0001'})-[r:ADDRESSES]->() DELETE r")
    await systems.graph.execute_query("CREATE (:MigrationLog {id: 'left behind'})")
    ((name, detail),) = await _failing(systems, taken)
    assert name == "graph as before"
    assert "Control C-0001 -ADDRESSES-> Risk " in detail
    assert "Control C-0003 changed" in detail
    assert detail.endswith("and 1 more")


async def test_a_second_relationship_between_the_same_nodes_is_found(systems: Systems, taken: Before) -> None:
    await systems.graph.execute_query(
        "MATCH (c:Control {id: 'C-0001'})-[:ADDRESSES]->(r:Risk) WITH c, r LIMIT 1 CREATE (c)-[:ADDRESSES]->(r)"
    )
    ((name, detail),) = await _failing(systems, taken)
    assert (name, detail.endswith("#2 is new")) == ("graph as before", True)


async def test_nodes_that_keep_the_books_are_no_difference(systems: Systems, taken: Before) -> None:
    await systems.graph.execute_query("CREATE (:WatchdogFence {guard: 'g'})-[:OF]->(:WatchdogReceipt)")
    evidence = dataclasses.replace(EVIDENCE, bookkeeping=("WatchdogFence", "WatchdogReceipt"))
    assert await _failing(systems, taken, evidence) == []


async def test_another_order_of_search_results_is_found(systems: Systems, taken: Before, admin: Connection) -> None:
    first, last = taken.answers[0][0], taken.answers[0][-1]
    await admin.execute(
        "UPDATE document_embeddings e SET embedding = o.embedding FROM document_embeddings o "
        "WHERE (e.document_id, o.document_id) IN ((%s, %s), (%s, %s))",
        (first, last, last, first),
    )
    failing = dict(await _failing(systems, taken))
    assert failing.keys() == {"rows from before", "vector answers as before"}
    assert failing["vector answers as before"].startswith(f"search 1: [{last}, ")


async def test_orphans_between_the_stores_are_found(systems: Systems, taken: Before, admin: Connection) -> None:
    await admin.execute("DELETE FROM document_embeddings WHERE document_id = 4")
    async with await psycopg.AsyncConnection.connect(systems.database_url, autocommit=True) as connection:
        check = await checks.stores_agree(connection, systems)
    assert (check.ok, check.detail) == (False, "document 4 has no vector")


async def test_a_cached_value_from_before_the_rollback_is_found(systems: Systems, taken: Before) -> None:
    await systems.redis.set("compliance:cache:assessment:1", json.dumps({"id": "1"}), ex=60)
    seconds, micros = await systems.redis.time()
    now = seconds * 1_000_000_000 + micros * 1_000
    assert (await checks.cache_clean(systems.redis, now - 1_000_000_000)).ok
    later = await checks.cache_clean(systems.redis, now + 1_000_000_000)
    assert later.detail == "compliance:cache:assessment:1 is older than the rollback"


async def test_a_cached_value_of_the_new_version_is_found(systems: Systems, taken: Before) -> None:
    await systems.redis.set("compliance:cache:assessment:1", json.dumps({"compliance_score": 1}), ex=60)
    check = await checks.cache_clean(systems.redis, 0)
    assert check.detail == "compliance:cache:assessment:1 has the shape of the new version"


async def test_a_lost_session_is_found(systems: Systems, taken: Before) -> None:
    await systems.redis.delete(f"compliance:session:{next(iter(taken.sessions))}")
    ((name, _),) = await _failing(systems, taken)
    assert name == "sessions kept"


async def test_a_lost_session_of_the_ledger_is_found(systems: Systems, taken: Before) -> None:
    entry = Entry({fingerprint({"user_id": 1})}, acknowledged=True)
    failing = await _failing(systems, taken, Evidence({("sessions", "abcdefghij"): entry}, SUMMARY))
    assert failing == [("sessions kept", "session abcdefgh… lost")]


async def test_keys_of_another_application_are_watched(systems: Systems, taken: Before) -> None:
    await systems.redis.delete("billing:invoice:1")
    assert await _failing(systems, taken) == [("other keys in Redis untouched", "billing:invoice:1")]


def test_a_stall_beyond_the_limit_is_a_failure() -> None:
    assert checks.client_view(SUMMARY, 2.0).ok
    assert not checks.client_view(SUMMARY, 1.0).ok


async def test_a_whole_release_shows_in_every_check_that_it_touches(
    systems: Systems, taken: Before, compliance: Stack, graph: Neo4jTarget
) -> None:
    await compliance.release(graph).apply_all()
    assert {name for name, _ in await _failing(systems, taken)} == {
        "schema as before",
        "schema versions as before",
        "graph as before",
    }
