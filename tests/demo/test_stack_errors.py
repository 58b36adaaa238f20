import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from watchdog.demo import stack
from watchdog.demo.data import SMALL
from watchdog.servers.errors import ServerError


@pytest.mark.parametrize("kind", [ServerError, stack.StackError])
async def test_a_server_that_does_not_start_is_told_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    """The three start together; what one of them says must not come out as a group."""

    async def waits(*_args: object) -> None:
        await asyncio.Event().wait()

    async def fails(*_args: object) -> None:
        raise kind("Neo4j needs Java 17")

    monkeypatch.setattr(stack, "start_postgres", waits)
    monkeypatch.setattr(stack, "start_redis", waits)
    monkeypatch.setattr(stack, "start_neo4j", fails)
    async with AsyncExitStack() as ending:
        with pytest.raises(kind, match=r"^Neo4j needs Java 17$"):
            await ending.enter_async_context(stack.running(tmp_path, SMALL))
