"""`watchdog migration assess` on a Cypher script."""

import json
from pathlib import Path
from urllib.parse import quote

import neo4j
import pytest
from typer.testing import CliRunner, Result

from watchdog.cli.root import app
from watchdog.servers.neo4j import Neo4jServer

RISKY = "// first\nMATCH (c:City) DETACH DELETE c;\n"


@pytest.fixture
def url(neo4j_clean: Neo4jServer) -> str:
    user, password = neo4j_clean.auth
    with neo4j.GraphDatabase.driver(neo4j_clean.url, auth=neo4j_clean.auth) as driver:
        driver.execute_query("CREATE (:City {name: 'Ulm'})-[:ON]->(:River {name: 'Danube'})")
    return neo4j_clean.url.replace("://", f"://{user}:{quote(password)}@")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    script = tmp_path / "up.cypher"
    script.write_text(RISKY)
    return script


def assess(file: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["migration", "assess", str(file), *options], env={"WATCHDOG_DATABASE": ""})


def test_the_text_says_what_is_lost(url: str, file: Path) -> None:
    done = assess(file, "--database", url)
    assert done.exit_code == 1
    assert (
        "1 statement, high risk: line 2: all 1 nodes :City are deleted; it can be undone from an archive" in done.output
    )
    assert "relationship medium, findings: 1" in done.output
    assert "Sizes are not known" not in done.output


def test_json_and_sarif_have_the_same_form_as_for_sql(url: str, file: Path) -> None:
    said = json.loads(assess(file, "--database", url, "--json").stdout)
    assert (said["version"], said["grade"], said["undo"], said["measured"]) == (1, "high", "from an archive", True)
    assert [each["rule"] for each in said["findings"]] == ["delete-nodes-all", "detach"]
    log = json.loads(assess(file, "--database", url, "--sarif").stdout)
    (first, _) = log["runs"][0]["results"]
    assert first["locations"][0]["physicalLocation"]["region"]["startLine"] == 2


def test_without_a_graph_it_says_who_assesses_cypher(file: Path) -> None:
    done = assess(file)
    assert done.exit_code == 2
    assert "is assessed by the server's EXPLAIN (nothing is run): give --database bolt://" in done.stderr


def test_what_is_no_cypher_and_what_means_nothing_is_wrong_use(url: str, file: Path) -> None:
    assert "only for PostgreSQL" in assess(file, "--database", url, "--autocommit", "--speed", "scan_rows=1").stderr
    file.write_text("SELECT 1;")
    done = assess(file, "--database", url)
    assert done.exit_code == 2
    assert "up.cypher, line 1: Invalid input 'SELECT'" in done.stderr
