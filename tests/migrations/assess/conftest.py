"""One database with the shop for all tests here; each works in a transaction that is rolled back."""

from collections.abc import AsyncIterator

import psycopg
import pytest_asyncio

from tests.migrations.assess.shop import SHOP
from watchdog.servers.postgres import PostgresServer


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shop_url(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """The URL of the database; change nothing in it that stays."""
    admin = await psycopg.AsyncConnection.connect(postgres_server.url("postgres"), autocommit=True)
    async with admin:
        await admin.execute("CREATE DATABASE shop_to_assess TEMPLATE template0")
        try:
            url = postgres_server.url("shop_to_assess")
            async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
                await connection.execute(SHOP.encode())
            yield url
        finally:
            await admin.execute("DROP DATABASE shop_to_assess WITH (FORCE)")


@pytest_asyncio.fixture
async def shop(shop_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """A session in a transaction that is rolled back."""
    async with (
        await psycopg.AsyncConnection.connect(shop_url, autocommit=True) as connection,
        connection.transaction(force_rollback=True),
    ):
        yield connection
