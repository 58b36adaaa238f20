"""What tests of archives share."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.archives import sql
from watchdog.servers.postgres import PostgresServer


@pytest.fixture
def scratch(postgres_server: PostgresServer) -> str:
    return postgres_server.url("postgres")


@pytest_asyncio.fixture
async def owner(pg_database: str, postgres_server: PostgresServer) -> AsyncIterator[str]:
    """The URL of a database as its owner, who is no superuser."""
    name = pg_database.rsplit("/", 1)[1]
    role = f"{name}_owner"
    await sql(pg_database, f"CREATE ROLE {role} LOGIN PASSWORD 'x'; ALTER DATABASE {name} OWNER TO {role}")
    try:
        yield postgres_server.url(name, role, "x")
    finally:
        await sql(pg_database, f"REASSIGN OWNED BY {role} TO postgres; DROP OWNED BY {role}")
        await sql(pg_database, f"DROP ROLE {role}")
