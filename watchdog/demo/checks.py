"""The table at the end of the demo: each line computed from the systems, none from what the daemon says."""

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import psycopg
import redis.asyncio
from psycopg import sql
from psycopg.rows import TupleRow

from watchdog.demo import before as snapshot
from watchdog.demo.before import Before, Systems
from watchdog.demo.ledger import FIELDS, Entry, Ledger, Store, acknowledged, fingerprint

Connection = psycopg.AsyncConnection[TupleRow]

CACHE_TTL_S = 60
SHOWN = 3
TABLES: Mapping[Store, tuple[str, str]] = {
    "users": ("users", "id"),
    "assessments": ("assessments", "id"),
    "documents": ("documents", "id"),
    "preferences": ("user_preferences", "user_id"),
}
_STORES: Mapping[str, Store] = {table: store for store, (table, _) in TABLES.items()}


@dataclass(frozen=True)
class Check:
    """One line of the table."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True)
class Evidence:
    """What the checks are given besides the systems and the snapshot.

    Attributes:
        ledger: writes since the snapshot was begun.
        summary: the load generator's summary.
        quarantines: by store, a query that gives (key as text, row as jsonb) of what was put aside.
        cleared_at: when the caches were cleared, nanoseconds UTC; None when nothing was rolled back.
        bookkeeping: labels of nodes that are neither the service's nor the migration's: fences, receipts, archives.
        stall_limit_s: the longest stall that is still all right.
    """

    ledger: Ledger
    summary: Mapping[str, Any]
    quarantines: Mapping[Store, str] = field(default_factory=dict)
    cleared_at: int | None = None
    bookkeeping: Collection[str] = ()
    stall_limit_s: float = 300.0


async def run_all(systems: Systems, before: Before, evidence: Evidence) -> list[Check]:
    """Every check, for a release that was rolled back. The load generator has stopped already."""
    async with await psycopg.AsyncConnection.connect(systems.database_url, autocommit=True) as connection:
        return [
            await schema_as_before(systems.database_url, before),
            await versions_as_before(connection, before),
            await rows_from_before(connection, before, evidence),
            await ledger_kept(connection, evidence),
            await graph_as_before(systems, before, evidence),
            await vectors_as_before(connection, before),
            await stores_agree(connection, systems),
            await cache_clean(systems.redis, evidence.cleared_at),
            await sessions_kept(systems.redis, before, evidence.ledger),
            await billing_untouched(systems.redis, before),
            client_view(evidence.summary, evidence.stall_limit_s),
        ]


async def run_kept(systems: Systems, before: Before, evidence: Evidence) -> list[Check]:
    """The checks that hold also when the release stays: nothing lost, stores agree, users unharmed."""
    async with await psycopg.AsyncConnection.connect(systems.database_url, autocommit=True) as connection:
        return [
            await rows_from_before(connection, before, evidence),
            await ledger_kept(connection, evidence),
            await vectors_as_before(connection, before),
            await stores_agree(connection, systems),
            await sessions_kept(systems.redis, before, evidence.ledger),
            await billing_untouched(systems.redis, before),
            client_view(evidence.summary, evidence.stall_limit_s),
        ]


async def schema_as_before(database_url: str, before: Before) -> Check:
    """pg_dump -s now and then; the detail is the difference."""
    now = await snapshot.schema_dump(database_url)
    difference = [
        line
        for line in difflib.unified_diff(before.schema.splitlines(), now.splitlines(), lineterm="", n=0)
        if not line.startswith(("---", "+++", "@@"))
    ]
    return Check("schema as before", not difference, "\n".join(difference) or "no difference")


async def versions_as_before(connection: Connection, before: Before) -> Check:
    """The rows of schema_versions, exactly."""
    rows = await (await connection.execute("SELECT version FROM schema_versions")).fetchall()
    now, then = {version for (version,) in rows}, set(before.tables["schema_versions"].rows)
    detail = ", ".join(sorted(now)) if now == then else f"{_list('missing', then - now)} {_list('extra', now - then)}"
    return Check("schema versions as before", now == then, detail.strip())


async def rows_from_before(connection: Connection, before: Before, evidence: Evidence) -> Check:
    """Every row of every table, by hash: there, or changed by its user since, or in quarantine."""
    total = changed_by_users = quarantined = 0
    damage: list[str] = []
    for name, table in before.tables.items():
        store = _STORES.get(name)
        try:
            now = await snapshot.row_hashes(connection, name, table)
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
            damage.append(f"{name}: {error.diag.message_primary}")
            continue
        total += len(table.rows)
        aside = await _quarantined(connection, store, evidence) if store is not None else {}
        for key, value in table.rows.items():
            if now.get(key) == value:
                continue
            if key in now and (store, key) in evidence.ledger:
                changed_by_users += 1
            elif key not in now and key in aside:
                quarantined += 1
            else:
                damage.append(f"{name} {key} {'changed' if key in now else 'lost'}")
    kept = f"{total:,} rows, {changed_by_users:,} of them changed by their users, {quarantined:,} in quarantine"
    return Check("rows from before", not damage, _damage(damage) or kept)


async def ledger_kept(connection: Connection, evidence: Evidence) -> Check:
    """Every acknowledged write, key and value: in its table or in quarantine."""
    in_place = in_quarantine = 0
    damage: list[str] = []
    for store in TABLES:
        wanted = acknowledged(evidence.ledger, store)
        found = await _current(connection, store, wanted)
        aside = await _quarantined(connection, store, evidence)
        for key, entry in wanted.items():
            if _holds(found, store, key, entry):
                in_place += 1
            elif _holds(aside, store, key, entry):
                in_quarantine += 1
            else:
                damage.append(f"{store} {key} {'has another value' if key in found else 'is missing'}")
    kept = f"{in_place + in_quarantine:,} writes: {in_place:,} in place, {in_quarantine:,} in quarantine"
    return Check("writes since T-0 kept", not damage, _damage(damage) or kept)


def _holds(rows: Mapping[str, dict[str, object]], store: Store, key: str, entry: Entry) -> bool:
    row = rows.get(key)
    return row is not None and fingerprint({name: row.get(name) for name in FIELDS[store]}) in entry.accepted


async def _current(connection: Connection, store: Store, wanted: Collection[str]) -> dict[str, dict[str, object]]:
    table, key = TABLES[store]
    there = await connection.execute("SELECT to_regclass('public.' || quote_ident(%s)) IS NOT NULL", (table,))
    if (await there.fetchone()) != (True,):
        return {}
    query = sql.SQL("SELECT {0}::text, to_jsonb(t) FROM public.{1} t WHERE {0}::text = ANY(%s)").format(
        sql.Identifier(key), sql.Identifier(table)
    )
    return dict(await (await connection.execute(query, (list(wanted),))).fetchall())


async def _quarantined(connection: Connection, store: Store, evidence: Evidence) -> dict[str, dict[str, object]]:
    query = evidence.quarantines.get(store)
    return dict(await (await connection.execute(query)).fetchall()) if query is not None else {}


async def graph_as_before(systems: Systems, before: Before, evidence: Evidence) -> Check:
    """Every node and relationship with its properties; only documents of users may be new."""
    now = await snapshot.graph_elements(systems.graph)
    damage = [f"{name} is gone" for name in before.graph.keys() - now.keys()]
    damage += [f"{name} changed" for name, value in before.graph.items() if name in now and now[name] != value]
    new = now.keys() - before.graph.keys()
    by_users = {name for name in new if name.startswith("Document ")}
    damage += [f"{name} is new" for name in new - by_users if not _bookkeeping(name, evidence.bookkeeping)]
    kept = f"{len(before.graph):,} nodes and relationships, {len(by_users):,} by users since"
    return Check("graph as before", not damage, _damage(damage) or kept)


def _bookkeeping(name: str, labels: Collection[str]) -> bool:
    return any(label in labels for label in name.partition(" ")[0].split(":"))


async def vectors_as_before(connection: Connection, before: Before) -> Check:
    """The fixed searches give the same documents in the same order."""
    documents = map(int, before.tables["document_embeddings"].rows)
    now = await snapshot.search_answers(connection, documents)
    pairs = enumerate(zip(before.answers, now, strict=True), start=1)
    damage = [f"search {i}: {new} instead of {old}" for i, (old, new) in pairs if old != new]
    return Check("vector answers as before", not damage, _damage(damage) or f"{len(now)} searches")


async def stores_agree(connection: Connection, systems: Systems) -> Check:
    """Each document has its row, its vector and its node, and none of them stands alone."""
    rows = await _ids(connection, "SELECT id FROM documents")
    vectors = await _ids(connection, "SELECT document_id FROM document_embeddings")
    answer = await systems.graph.execute_query("MATCH (d:Document) RETURN d.id AS id", database_="neo4j")
    nodes = {record["id"] for record in answer.records}
    damage = [f"document {i} has no row" for i in (vectors | nodes) - rows]
    damage += [f"document {i} has no vector" for i in rows - vectors]
    damage += [f"document {i} has no node" for i in rows - nodes]
    return Check("rows, vectors and graph agree", not damage, _damage(damage) or f"{len(rows):,} documents")


async def _ids(connection: Connection, query: str) -> set[int]:
    return {identifier for (identifier,) in await (await connection.execute(query)).fetchall()}


async def cache_clean(client: redis.asyncio.Redis, cleared_at: int | None) -> Check:
    """No cached value is older than the clearing, and none has the shape of the new version."""
    if cleared_at is None:
        return Check("cache clean", ok=True, detail="nothing was rolled back")
    damage: list[str] = []
    count = 0
    async for key in client.scan_iter("compliance:cache:*", count=1_000):
        value, left_ms, (seconds, micros) = await client.get(key), await client.pttl(key), await client.time()
        if value is None:
            continue
        count += 1
        written_ms = seconds * 1_000 + micros // 1_000 - (CACHE_TTL_S * 1_000 - left_ms)
        if written_ms < cleared_at // 1_000_000:
            damage.append(f"{key} is older than the rollback")
        elif "compliance_score" in str(value):
            damage.append(f"{key} has the shape of the new version")
    return Check("cache clean", not damage, _damage(damage) or f"{count:,} keys, all written since")


async def sessions_kept(client: redis.asyncio.Redis, before: Before, ledger: Ledger) -> Check:
    """Everybody who was or has since logged in still is."""
    now = await snapshot.session_users(client)
    damage = [f"session {key[:8]}… lost" for key, user in before.sessions.items() if now.get(key) != user]
    since = acknowledged(ledger, "sessions")
    for key, entry in since.items():
        if key not in now or fingerprint({"user_id": now[key]}) not in entry.accepted:
            damage.append(f"session {key[:8]}… lost")
    return Check(
        "sessions kept", not damage, _damage(damage) or f"{len(before.sessions.keys() | since.keys()):,} sessions"
    )


async def billing_untouched(client: redis.asyncio.Redis, before: Before) -> Check:
    """The other application's keys."""
    now = await snapshot.billing(client)
    changed = {key for key in before.billing.keys() | now.keys() if before.billing.get(key) != now.get(key)}
    return Check("other keys in Redis untouched", not changed, _damage(sorted(changed)) or f"{len(now)} keys")


def client_view(summary: Mapping[str, Any], stall_limit_s: float) -> Check:
    """What users saw, from the load generator."""
    stall = cast("float", summary["longest_stall_s"])
    detail = (
        f"{summary['requests']:,} requests, {summary['errors']:,} errors, longest stall {stall:.1f} s "
        f"(limit {stall_limit_s:.0f} s)"
    )
    return Check("client errors and longest stall", stall <= stall_limit_s, detail)


def _list(what: str, items: Collection[str]) -> str:
    return f"{what}: {', '.join(sorted(items))}" if items else ""


def _damage(found: Collection[str]) -> str:
    if not found:
        return ""
    more = f" and {len(found) - SHOWN:,} more" if len(found) > SHOWN else ""
    return f"{'; '.join(sorted(found)[:SHOWN])}{more}"
