"""The service team applies its release: the scripts in `release/`, in order, with the team's own account.

Every change goes through `migrations.apply`, so that it can be taken back; nobody wrote a script for the way back.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import resources
from typing import Literal, get_args

import pgvector.psycopg
import psycopg
from pgvector import Vector
from psycopg.rows import TupleRow

from watchdog.demo import data
from watchdog.demo.embedding import MODEL_V2
from watchdog.migrations.apply import apply
from watchdog.migrations.graph.apply import apply_cypher
from watchdog.migrations.options import Options
from watchdog.ports.secrets import KnownSecret
from watchdog.targets.neo4j import Neo4jOptions, Neo4jTarget

Fault = Literal["schema", "flag", "integrity", "elsewhere", "latency", "connections", "stall", "canary", "none"]
FAULTS: tuple[Fault, ...] = get_args(Fault)

RELEASE = "2025-01-compliance-score"
OWNER = "compliance_owner"
GRAPH_MIGRATION = "2025-01-08-001"
BACKFILL_BATCH = 5_000
REEMBED_BATCH = 1_000

Connection = psycopg.AsyncConnection[TupleRow]
_FIRST_KEY = "00000000-0000-0000-0000-000000000000"


SCRIPTS: Mapping[str, tuple[str, ...]] = {
    "add_user_preferences_v1": ("001_add_user_preferences_v1.sql",),
    "add_compliance_score": ("002_add_compliance_score.sql",),
    "reembed_documents": ("004_reembed_documents.sql",),
    "deduplicate": ("004_deduplicate.sql",),
    "add_compliance_score (required)": ("005_compliance_score_required.sql",),
}
"""The SQL of each migration."""
HEALTHY = "005_compliance_score_default.sql"
BY_HAND = "ALTER TABLE assessments ADD COLUMN reviewed_at timestamptz"
"""What somebody runs beside the release in `FAULT=stall`: without a timeout for its lock."""


@dataclass(frozen=True)
class Change:
    """One step of the release: the name people know it by, and what runs it."""

    name: str
    run: Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class ReleaseSteps:
    """Every change of the release to the databases.

    Attributes:
        url: the database, as `compliance_migrator` (or another member of the owner role).
        graph: the graph.
        scratch_url: a server to learn on what each script does, as superuser; never the database's own.
        fault: what is wrong with this release.
        pause_s: seconds between two batches, so that users hardly notice.
    """

    url: str
    graph: Neo4jTarget
    scratch_url: str
    fault: Fault = "none"
    pause_s: float = 0.05
    backfill_batch: int = field(default=BACKFILL_BATCH)

    def changes(self) -> tuple[Change, ...]:
        """The changes to the databases in order; the one that hurts in `FAULT=schema` is the last.

        Afterwards comes the new code, and then `enable_flag`.
        """
        return (
            Change("add_user_preferences_v1", self.add_user_preferences),
            Change("add_compliance_score", self.add_compliance_score),
            Change(GRAPH_MIGRATION, self.migrate_graph),
            Change("reembed_documents", self.reembed_documents),
            Change("add_compliance_score (required)", self.require_compliance_score),
        )

    async def apply_all(self) -> None:
        """Every change to the databases, one after the other."""
        for change in self.changes():
            await change.run()

    async def add_user_preferences(self) -> None:
        """The table, its index, and the row in `schema_versions`."""
        await self._apply("add_user_preferences_v1")

    async def add_compliance_score(self) -> None:
        """The column, and the backfill in batches."""
        await self._apply("add_compliance_score")
        statement = script("002_backfill.sql")
        after: str | None = _FIRST_KEY
        async with self._connection() as connection:
            while after is not None:
                values = {"after": after, "size": self.backfill_batch}
                row = await (await connection.execute(statement, values)).fetchone()
                await connection.commit()
                after = None if row is None else str(row[0])
                await asyncio.sleep(self.pause_s)

    async def migrate_graph(self) -> None:
        """Graph migration 2025-01-08-001: relationships, property, log."""
        text = script(f"003_{GRAPH_MIGRATION}.cypher")
        await apply_cypher(self.graph, text, name=GRAPH_MIGRATION, release=RELEASE)

    async def reembed_documents(self) -> None:
        """The second table of vectors and its flag (off); with the integrity fault, also the deduplication."""
        await self._apply("reembed_documents")
        await self._embed_missing()
        if self.fault == "integrity":
            await self._apply("deduplicate")

    async def require_compliance_score(self) -> None:
        """The last batch and NOT NULL in one locking transaction; without a default in `FAULT=schema`."""
        await self._apply("add_compliance_score (required)")

    async def enable_flag(self) -> None:
        """Embeds what was written in the meantime and switches the new search on."""
        await self._embed_missing()
        async with self._connection() as connection:
            await connection.execute(script("006_enable_flag.sql"))

    async def by_hand(self) -> None:
        """A statement that nobody announced, past the watchdog.

        Raises:
            psycopg.Error: It failed, or somebody cancelled it.
        """
        async with self._connection() as connection:
            await connection.execute(BY_HAND)

    async def _embed_missing(self) -> None:
        select = """
            SELECT d.id, d.title, d.body FROM documents d
             WHERE d.id > %s AND NOT EXISTS (SELECT FROM document_embeddings_v2 v WHERE v.document_id = d.id)
             ORDER BY d.id LIMIT %s
        """
        insert = """
            INSERT INTO document_embeddings_v2 (document_id, model, embedding) VALUES (%s, %s, %s)
            ON CONFLICT (document_id) DO NOTHING
        """
        after = 0
        async with self._connection() as connection:
            await pgvector.psycopg.register_vector_async(connection)
            while rows := await (await connection.execute(select, (after, REEMBED_BATCH))).fetchall():
                vectors = [(i, MODEL_V2, Vector(data.vector(title, body, MODEL_V2))) for i, title, body in rows]
                async with connection.cursor() as cursor:
                    await cursor.executemany(insert, vectors)
                await connection.commit()
                after = rows[-1][0]
                await asyncio.sleep(self.pause_s)

    async def _apply(self, name: str) -> None:
        options = Options(name=name, release=RELEASE, role=OWNER)
        await apply(self.url, self.sql(name), scratch_url=self.scratch_url, options=options)

    def sql(self, name: str) -> str:
        """The script of a migration, as it is applied with this fault."""
        required = name == "add_compliance_score (required)"
        names = SCRIPTS[name] + ((HEALTHY,) if required and self.fault != "schema" else ())
        return "\n".join(map(script, names))

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        connection = await psycopg.AsyncConnection.connect(self.url, application_name="compliance-release")
        async with connection:
            await connection.execute(f"SET ROLE {OWNER}".encode())
            await connection.commit()
            yield connection


def script(name: str) -> str:
    """The text of a file in `release/`."""
    return resources.files("watchdog.demo").joinpath("release", name).read_text(encoding="utf-8")


def graph_target(url: str, password: str) -> Neo4jTarget:
    """The graph; the caller closes it."""
    return Neo4jTarget("graph", Neo4jOptions(url=url, user="neo4j", password=KnownSecret(password)))
