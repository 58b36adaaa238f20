"""What tests of archives do again and again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg

from watchdog.migrations.apply import apply
from watchdog.migrations.shape import Connection


@asynccontextmanager
async def open_to(url: str) -> AsyncIterator[Connection]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        yield connection


async def sql(url: str, script: str) -> list[tuple[Any, ...]]:
    async with open_to(url) as connection:
        cursor = await connection.execute(script.encode())
        return await cursor.fetchall() if cursor.description else []


async def archived(url: str, script: str, scratch: str) -> int:
    """Applies a script; the number of its run."""
    return (await apply(url, script, scratch_url=scratch)).run
