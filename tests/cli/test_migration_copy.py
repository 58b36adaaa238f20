"""`watchdog migration copy`."""

import json
from pathlib import Path
from urllib.parse import quote

import neo4j
import pytest
from typer.testing import CliRunner, Result

from watchdog.cli.lazy import new_app
from watchdog.cli.migration_copy import copy
from watchdog.cli.migration_graph import GraphError
from watchdog.servers.neo4j import Neo4jServer

app = new_app()
app.command()(copy)


@pytest.fixture
def url(neo4j_clean: Neo4jServer) -> str:
    user, password = neo4j_clean.auth
    return neo4j_clean.url.replace("://", f"://{user}:{quote(password)}@")


def run(url: str, *words: str) -> Result:
    return CliRunner().invoke(app, list(words), env={"WATCHDOG_DATABASE": url})


def test_a_graph_goes_into_a_file_and_comes_back(url: str, neo4j_clean: Neo4jServer, tmp_path: Path) -> None:
    file = str(tmp_path / "graph.jsonl")
    with neo4j.GraphDatabase.driver(neo4j_clean.url, auth=neo4j_clean.auth) as driver:
        driver.execute_query("CREATE (:City {name: 'Ulm'})-[:ON]->(:River {name: 'Danube'})")
        saved = run(url, file)
        assert saved.exit_code == 0, saved.output
        assert "2 nodes and 1 relationships" in saved.output
        assert run(url, file, "--restore").exit_code == 1
        driver.execute_query("MATCH (n) DETACH DELETE n")
        restored = run(url, file, "--restore", "--json")
        assert restored.exit_code == 0, restored.output
        assert json.loads(restored.output)["nodes"] == 2
        assert driver.execute_query("MATCH (:City)-[:ON]->(r:River) RETURN r.name").records[0][0] == "Danube"


def test_it_is_for_graphs_only(tmp_path: Path) -> None:
    refused = run("postgresql://localhost/x", str(tmp_path / "graph.jsonl"))
    assert isinstance(refused.exception, GraphError)
    assert refused.exception.exit_status == 2
