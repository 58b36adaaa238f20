"""The rig of the kill tests: it takes about twenty seconds, so it is made once."""

from collections.abc import AsyncIterator

import pytest_asyncio

from benchmarks.kill.play import Played, play
from benchmarks.kill.points import Scenario
from benchmarks.kill.rig import Rig, Servers
from watchdog.servers.neo4j import Neo4jServer
from watchdog.servers.paths import scratch_dir
from watchdog.servers.postgres import PostgresServer
from watchdog.servers.redis import RedisServer


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def rig(
    postgres_server: PostgresServer, redis_server: RedisServer, neo4j_server: Neo4jServer
) -> AsyncIterator[Rig]:
    """What every run starts from."""
    with scratch_dir("kill") as directory:
        made = Rig(Servers(postgres_server, redis_server, neo4j_server), directory, "kill")
        try:
            await made.prepare()
            yield made
        finally:
            await made.drop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def undisturbed(rig: Rig) -> Played:
    """The run that every other must end like."""
    return await play(rig, Scenario())
