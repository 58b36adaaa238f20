"""docs/discovery.md: its examples are taken, and it says what the code says."""

import re
from pathlib import Path
from textwrap import indent

import pytest

from tests.app.test_compose import CONFIG, PLAYBOOK, RULES
from tests.docs.paths import text
from tests.support.files import write_files
from watchdog.app.discovery import LONGEST
from watchdog.app.registries import DISCOVERERS, TARGETS, registries
from watchdog.config import Discover, inspect, json_schema
from watchdog.discovery.version_tables import TOOLS
from watchdog.model.time import SECOND

PAGE = text("docs/discovery.md")
DISCOVER, TARGET = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
SERVERS = """\
  db: {kind: postgres, url: "postgresql://a@h/d"}
  graph: {kind: neo4j, url: "bolt://h", user: a, password: "${env:PW}"}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with both examples, copied as they stand."""
    (tmp_path / "token").write_text("t\n")
    target = TARGET.replace("/var/run/secrets/kubernetes.io/serviceaccount", str(tmp_path))
    whole = CONFIG.replace("targets:\n", target + SERVERS, 1) + indent(DISCOVER, "    ")
    write_files(
        tmp_path,
        {
            "config.yaml": whole,
            "rules/health.yaml": RULES,
            "rollbacks/emergency/playbook.yaml": PLAYBOOK,
        },
    )
    return tmp_path / "config.yaml"


def test_the_examples_are_in_order(config: Path) -> None:
    report = inspect(config, registries(), environ={"PW": "x"})
    assert report.problems == ()
    assert report.configuration is not None
    assert report.configuration.guards[0].discover == Discover(
        targets=("db", "graph", "cluster"),
        every=15 * SECOND,
        tables={"billing_versions": "flyway"},
        deployments=("api", "worker"),
        flags=("new_checkout",),
    )
    options = report.configuration.targets["cluster"].options
    assert (options.namespace, options.token.reveal().strip()) == ("shop", "t")


def test_every_key_tool_and_kind_is_named() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ", PAGE, re.MULTILINE)
    assert rows == list(json_schema("config", registries())["$defs"]["Discover"]["properties"])
    [tools] = re.findall(r"^\| `tables` \| none \| tools: (.*) \|$", PAGE, re.MULTILINE)
    assert tools.split(", ") == list(TOOLS)
    assert f"more than {LONGEST // SECOND} s is given up" in PAGE
    assert set(DISCOVERERS) <= set(TARGETS)
    assert {name: registries().discoverers[name].takes for name in DISCOVERERS} == {
        "kubernetes": "deployments",
        "neo4j": "",
        "postgres": "tables",
    }
