"""A table of embeddings as a service has it."""

from typing import Any

import pytest

from tests.support.archives import sql

TABLE = """
CREATE EXTENSION IF NOT EXISTS vector;
CREATE SCHEMA shop;
CREATE TABLE shop.docs (id bigint PRIMARY KEY, body text, embedding vector(16) NOT NULL);
SELECT setseed(0.5);
INSERT INTO shop.docs
SELECT n, 'doc ' || n, (SELECT array_agg(random() + 0 * g + 0 * n) FROM generate_series(1, 16) g)::vector(16)
FROM generate_series(1, 600) n;
CREATE INDEX docs_old ON shop.docs USING hnsw (embedding vector_cosine_ops);
"""


class Docs:
    """The table."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def sql(self, script: str) -> list[tuple[Any, ...]]:
        return await sql(self.url, script)

    async def value(self, query: str) -> Any:
        [(value,)] = await self.sql(query)
        return value

    async def columns(self) -> list[tuple[Any, ...]]:
        """Name, type, NOT NULL."""
        return await self.sql(
            "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute"
            " WHERE attrelid = 'shop.docs'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attname"
        )

    async def state(self) -> tuple[Any, ...]:
        """All that a rollback must bring back: columns, indexes, triggers, functions, rows."""
        rest = "SELECT indexdef FROM pg_indexes WHERE tablename = 'docs' UNION ALL "
        rest += "SELECT tgname FROM pg_trigger WHERE tgrelid = 'shop.docs'::regclass UNION ALL "
        rest += "SELECT proname FROM pg_proc WHERE pronamespace = to_regnamespace('watchdog') ORDER BY 1"
        rows = await self.sql("SELECT id, body, embedding::text FROM shop.docs ORDER BY id")
        return await self.columns(), await self.sql(rest), rows


@pytest.fixture
async def docs(pg_database: str) -> Docs:
    """600 documents with random vectors of 16 dimensions and an HNSW index."""
    await sql(pg_database, TABLE)
    return Docs(pg_database)
