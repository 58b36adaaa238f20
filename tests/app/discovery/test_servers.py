"""Releases that real tools bring out on real servers, beside a daemon."""

import asyncio
from pathlib import Path

import neo4j
import psycopg
import pytest

from tests.app.discovery.conftest import configured, record, watching
from tests.discovery.test_kubernetes import Cluster, cluster
from tests.discovery.test_neo4j import CHAIN, NEXT
from tests.discovery.test_tools import FIRST, SECOND, run
from tests.migrations.tools.projects import alembic
from tests.support.guard_world import World
from watchdog.model.releases import Protection, ReleaseState
from watchdog.model.rules import RungKind
from watchdog.model.time import SECOND as A_SECOND
from watchdog.servers.neo4j import Neo4jServer

__all__ = ["cluster"]


async def test_what_alembic_brings_out_is_watched_from_its_start_and_its_data_is_never_touched(
    tmp_path: Path, tools_python: str, pg_database: str
) -> None:
    project = alembic(tmp_path / "shop", tools_python, {"one": FIRST, "two": SECOND})
    await asyncio.to_thread(run, "alembic", project, pg_database, "upgrade", "one")
    world = World()
    discover = "{targets: [db], flags: [new_score]}"
    async with watching(world, configured(tmp_path, pg_database, discover)) as daemon:
        await world.seconds(30)
        assert daemon.guard("shop").release is None, "what stood there before is no news"
        last_look = world.clock.now() - A_SECOND
        world.service.errors = 0.4
        await asyncio.to_thread(run, "alembic", project, pg_database, "upgrade", "head")
        await world.seconds(2)
        found = record(daemon)
        assert found.release.migrations == ("alembic: two",)
        assert found.release.protection is Protection.CODE_ONLY
        assert (found.t0, found.state) == (last_look, ReleaseState.BAKING)
        assert found.baseline is not None
        assert found.baseline.until == last_look
        assert found.unarmed == {}
        await world.seconds(90)
        incident = daemon.guard("shop").incident
        assert incident is not None
        assert incident.run is not None
        assert [name.split("/", 1)[1] for name in world.executed] == ["flag/flag off"]
        [data] = [rung for rung in incident.run.rungs if rung.rung is RungKind.DATA]
        assert "code-only" in data.reason
        assert not incident.data_touched
        assert record(daemon).release.id == found.release.id


async def test_a_release_that_went_out_while_the_daemon_was_down_is_found_at_its_start_and_once(
    tmp_path: Path, tools_python: str, pg_database: str
) -> None:
    project = alembic(tmp_path / "shop", tools_python, {"one": FIRST, "two": SECOND})
    world, configuration = World(), configured(tmp_path, pg_database, "{targets: [db]}")
    async with watching(world, configuration):
        await world.seconds(30)
    last_look = world.clock.now() - A_SECOND
    await asyncio.to_thread(run, "alembic", project, pg_database, "upgrade", "head")
    await world.clock.advance(3 * A_SECOND)
    async with watching(world, configuration) as daemon:
        await world.seconds(1)
        assert (record(daemon).release.migrations, record(daemon).t0) == (("alembic: two",), last_look)
        await world.seconds(130)
        assert record(daemon).state is ReleaseState.REVERSIBLE
    async with watching(world, configuration) as again:
        await world.seconds(3)
        assert record(again).t0 == last_look
        assert record(again).state is ReleaseState.REVERSIBLE


async def test_a_statement_that_is_under_way_is_a_release_until_its_transaction_is_over(
    tmp_path: Path, pg_database: str
) -> None:
    world = World()
    async with (
        watching(world, configured(tmp_path, pg_database, "{targets: [db], tables: {our_versions: flyway}}")) as daemon,
        await psycopg.AsyncConnection.connect(pg_database) as connection,
    ):
        await world.seconds(30)
        await connection.execute("CREATE TABLE carts (id int)")
        await world.seconds(2)
        assert record(daemon).release.migrations == ("CREATE TABLE carts",)
        assert record(daemon).state is ReleaseState.APPLYING
        await connection.commit()
        await world.seconds(2)
        assert record(daemon).state is ReleaseState.BAKING
        await world.seconds(3)
        assert record(daemon).release.migrations == ("CREATE TABLE carts",)


async def test_what_neo4j_migrations_bring_out_is_found(
    tmp_path: Path, pg_database: str, neo4j_clean: Neo4jServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, password = neo4j_clean.auth
    monkeypatch.setenv("GRAPH_PASSWORD", password)
    graph = f'  graph: {{kind: neo4j, url: "{neo4j_clean.url}", user: {user}, password: "${{env:GRAPH_PASSWORD}}"}}\n'
    world = World()
    async with (
        neo4j.AsyncGraphDatabase.driver(neo4j_clean.url, auth=neo4j_clean.auth) as driver,
        watching(world, configured(tmp_path, pg_database, "{targets: [db, graph]}", graph)) as daemon,
    ):
        await driver.execute_query(CHAIN)
        await world.seconds(30)
        await driver.execute_query(NEXT)
        await world.seconds(2)
        assert record(daemon).release.migrations == ("neo4j-migrations: 2 drop old",)
        assert record(daemon).state is ReleaseState.BAKING


async def test_a_rollout_gives_the_versions_and_is_armed_when_every_pod_is_new(
    tmp_path: Path, pg_database: str, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", cluster.token)
    more = f'  cluster: {{kind: kubernetes, url: "{cluster.url}", token: "${{env:TOKEN}}", namespace: shop}}\n'
    discover = "{targets: [db, cluster], deployments: [api]}"
    cluster.rolled_out("api", "v1", 1)
    world = World()
    async with watching(world, configured(tmp_path, pg_database, discover, more)) as daemon:
        await world.seconds(30)
        assert daemon.guard("shop").release is None
        cluster.rolled_out("api", "v2", 2, updatedReplicas=1, replicas=3)
        await world.seconds(2)
        found = record(daemon)
        assert (found.release.old_version, found.release.new_version) == ("v1", "v2")
        assert (found.release.migrations, found.state) == ((), ReleaseState.APPLYING)
        cluster.rolled_out("api", "v2", 2)
        await world.seconds(2)
        assert record(daemon).state is ReleaseState.BAKING
