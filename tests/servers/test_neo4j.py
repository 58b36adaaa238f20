"""Neo4j as a process. One start takes several seconds, so a test looks at several things."""

import dataclasses
from pathlib import Path

import pytest
from neo4j import AsyncGraphDatabase

from watchdog.servers.errors import ServerError
from watchdog.servers.neo4j import Neo4jServer, _log_in
from watchdog.servers.process import is_alive


async def test_a_clean_server_is_empty_and_has_apoc(neo4j_clean: Neo4jServer) -> None:
    async with AsyncGraphDatabase.driver(neo4j_clean.url, auth=neo4j_clean.auth) as driver:
        assert (await driver.execute_query("MATCH (n) RETURN count(n)")).records[0].value() == 0
        assert (await driver.execute_query("SHOW CONSTRAINTS")).records == []
        await driver.execute_query("CREATE CONSTRAINT FOR (n:Thing) REQUIRE n.id IS UNIQUE")
        await driver.execute_query("CREATE (:Thing {id: 1})")
        exported = await driver.execute_query("CALL apoc.export.json.all('things.json', {}) YIELD nodes RETURN nodes")
        assert exported.records[0].value() == 1
    assert '"id":1' in (neo4j_clean.home / "import/things.json").read_text()


async def test_it_listens_on_the_loopback_address_only_and_not_for_http(neo4j_server: Neo4jServer) -> None:
    async with AsyncGraphDatabase.driver(neo4j_server.url, auth=neo4j_server.auth) as driver:
        asked = "SHOW SETTINGS 'server.bolt.listen_address', 'server.http.enabled' YIELD value RETURN value"
        values = [record.value() for record in (await driver.execute_query(asked)).records]
    assert values == [f"127.0.0.1:{neo4j_server.port}", "false"]


async def test_what_was_committed_survives_a_kill(neo4j_clean: Neo4jServer) -> None:
    server = neo4j_clean
    async with AsyncGraphDatabase.driver(server.url, auth=server.auth) as driver:
        await driver.execute_query("CREATE (:Thing {id: 1})")
    pid = server.pid

    server.kill()
    assert not is_alive(pid)
    await server.restart()

    async with AsyncGraphDatabase.driver(server.url, auth=server.auth) as driver:
        assert (await driver.execute_query("MATCH (n:Thing) RETURN n.id")).records[0].value() == 1


async def test_another_password_than_the_first_is_refused(neo4j_server: Neo4jServer) -> None:
    with pytest.raises(ServerError, match="does not take the password"):
        await _log_in(dataclasses.replace(neo4j_server._spec, password="another-one"))


async def test_a_port_in_use_is_named(neo4j_server: Neo4jServer, server_dir: Path) -> None:
    with pytest.raises(ServerError, match=f"Neo4j.*port {neo4j_server.port}.*in use"):
        await Neo4jServer.start(server_dir, "long-enough", port=neo4j_server.port)


async def test_what_cannot_start_is_reported_with_the_end_of_the_log(server_dir: Path) -> None:
    with pytest.raises(ServerError, match=r"(?s)Neo4j.*ended with status 1.*Too small maximum heap"):
        await Neo4jServer.start(server_dir, "long-enough", heap="1k")


async def test_a_short_password_is_refused_before_anything_starts(server_dir: Path) -> None:
    with pytest.raises(ServerError, match="8 characters"):
        await Neo4jServer.start(server_dir / "home", "short")
    assert not (server_dir / "home").exists()
