"""The rig of the kill tests, made once a module: it takes about twenty seconds."""

from collections.abc import AsyncIterator
from typing import Final

import pytest_asyncio
import yaml

from benchmarks.kill.play import Played, play
from benchmarks.kill.points import Scenario
from benchmarks.kill.rig import Rig, Servers
from watchdog.demo.daemon import shipped
from watchdog.servers.neo4j import Neo4jServer
from watchdog.servers.paths import scratch_dir
from watchdog.servers.postgres import PostgresServer
from watchdog.servers.redis import RedisServer


def steps_of_the_data_rung() -> list[str]:
    """Names of its steps, from the shipped playbook."""
    playbook = yaml.safe_load((shipped() / "rollbacks" / "emergency" / "playbook.yaml").read_text())
    return [step["name"] for rung in playbook["rungs"] if rung["rung"] == "data" for step in rung["steps"]]


STEPS: Final = steps_of_the_data_rung()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
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


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def undisturbed(rig: Rig) -> Played:
    """The run that every other must end like."""
    return await play(rig, Scenario())
