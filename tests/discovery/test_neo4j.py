from collections.abc import AsyncIterator, Callable
from typing import Any

import neo4j
import pytest

from tests.discovery.conftest import Beats
from watchdog.discovery.changes import Change
from watchdog.discovery.neo4j import Neo4jDiscoverer
from watchdog.discovery.watch import Watch
from watchdog.ports.errors import TargetError
from watchdog.ports.secrets import KnownSecret
from watchdog.servers.neo4j import Neo4jServer
from watchdog.targets.neo4j import Neo4jOptions, Neo4jTarget

# As neo4j-migrations 2 makes it.
CHAIN = """
CREATE (:__Neo4jMigration {version: 'BASELINE'})
    -[:MIGRATED_TO {at: datetime(), in: duration('PT1S'), by: 'ann', connectedAs: 'neo4j'}]->
    (:__Neo4jMigration {version: '1', description: 'first', type: 'CYPHER', source: 'V1__first.cypher', checksum: '7'})
"""
NEXT = """
MATCH (last:__Neo4jMigration {version: '1'})
CREATE (last)-[:MIGRATED_TO {at: datetime()}]->
    (:__Neo4jMigration {version: '2', description: 'drop old', type: 'CYPHER', source: 'V2__drop_old.cypher',
     checksum: '8'})
"""


@pytest.fixture
async def graph(neo4j_clean: Neo4jServer) -> AsyncIterator[Neo4jTarget]:
    user, password = neo4j_clean.auth
    target = Neo4jTarget("graph", Neo4jOptions(url=neo4j_clean.url, user=user, password=KnownSecret(password)))
    yield target
    await target.close()


@pytest.fixture
async def cypher(neo4j_clean: Neo4jServer) -> AsyncIterator[Callable[[Any], Any]]:
    async with neo4j.AsyncGraphDatabase.driver(neo4j_clean.url, auth=neo4j_clean.auth) as driver:
        yield driver.execute_query


async def test_new_versions_in_a_graph_are_found(graph: Neo4jTarget, cypher: Any, clock: Beats) -> None:
    watch = Watch(Neo4jDiscoverer(graph, clock))
    assert await watch.look() == ()
    await cypher(CHAIN)
    await cypher("CREATE (:MigrationLog {id: '2025-01-08-001', applied_at: datetime()})")
    assert {(one.tool, one.change, one.versions) for one in await watch.look()} == {
        ("neo4j-migrations", Change.APPLIED, ("1 first",)),
        ("MigrationLog", Change.APPLIED, ("2025-01-08-001",)),
    }
    await cypher(NEXT)
    await cypher("MATCH (log:MigrationLog) DELETE log")
    await cypher("MATCH (m:__Neo4jMigration {version: '1'}) CREATE (m)-[:REPEATED {at: datetime()}]->(m)")
    assert {(one.tool, one.change, one.versions) for one in await watch.look()} == {
        ("neo4j-migrations", Change.APPLIED, ("1 first", "2 drop old")),
        ("MigrationLog", Change.TAKEN_BACK, ("2025-01-08-001",)),
    }


async def test_a_graph_that_is_away_raises(unused_tcp_port: int, clock: Beats) -> None:
    url = f"bolt://127.0.0.1:{unused_tcp_port}"
    target = Neo4jTarget("graph", Neo4jOptions(url=url, user="neo4j", password=KnownSecret("hush-hush")))
    with pytest.raises(TargetError, match="does not answer"):
        await Neo4jDiscoverer(target, clock).read()
    await target.close()
