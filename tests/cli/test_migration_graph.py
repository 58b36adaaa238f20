"""`watchdog migration` on a graph."""

import json
from pathlib import Path
from urllib.parse import quote

import pytest
from typer.testing import CliRunner, Result

from watchdog.cli.root import app
from watchdog.servers.neo4j import Neo4jServer


@pytest.fixture
def url(neo4j_clean: Neo4jServer) -> str:
    user, password = neo4j_clean.auth
    return neo4j_clean.url.replace("://", f"://{user}:{quote(password)}@")


def migration(url: str, verb: str, *words: str) -> Result:
    return CliRunner().invoke(app, ["migration", verb, *words], env={"WATCHDOG_DATABASE": url})


def test_a_script_goes_out_comes_back_and_is_settled(url: str, tmp_path: Path) -> None:
    script = tmp_path / "up.cypher"
    script.write_text("CREATE (:City {name: 'Ulm'});\n")
    done = migration(url, "apply", str(script), "--name", "cities", "--release", "r1")
    assert done.exit_code == 0, done.output
    assert done.output.startswith("run 1 is applied")
    assert "run 1: applied" in migration(url, "status").output
    assert "1 of the script gone" in migration(url, "rollback", "1").output
    assert json.loads(migration(url, "status", "--json").output)[0]["state"] == "rolled back"
    assert migration(url, "rollback", "1").exit_code == 1
    assert migration(url, "settle", "1").exit_code == 0


def test_what_means_nothing_for_a_graph_is_refused(url: str, tmp_path: Path) -> None:
    script = tmp_path / "up.cypher"
    script.write_text("CREATE (:City);")
    done = migration(url, "apply", str(script), "--defer", "--budget", "1GiB")
    assert done.exit_code == 2
    assert "--budget, --defer: only for PostgreSQL" in done.output


def test_a_password_is_needed_and_never_shown(url: str) -> None:
    done = migration(f"bolt://{url.rpartition('@')[2]}", "status")
    assert done.exit_code == 2
    wrong = migration(url.replace(url.split("@", maxsplit=1)[0].rpartition(":")[2], "hush-hush"), "status")
    assert wrong.exit_code == 1
    assert "hush-hush" not in f"{wrong.output}{wrong.exception}"
