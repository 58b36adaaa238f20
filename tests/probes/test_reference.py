"""`docs/probes.md` is about the probes that there are, and its examples work."""

import re
from pathlib import Path
from textwrap import indent
from typing import get_args, get_type_hints

import pytest

from tests.docs.paths import text
from tests.support.files import write_files
from watchdog.app.registries import PROBES, registries
from watchdog.config import load

REFERENCE = text("docs/probes.md")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", REFERENCE, re.MULTILINE | re.DOTALL)

CONFIG = """\
version: 1
state: state
targets:
  api: {kind: http, url: "http://127.0.0.1:9"}
  prom: {kind: http, url: "http://127.0.0.1:9", headers: {Authorization: "Bearer ${env:TOKEN}"}}
  db: {kind: postgres, url: "postgresql://127.0.0.1/shop"}
  graph: {kind: neo4j, url: "bolt://127.0.0.1", user: neo4j, password: "${env:TOKEN}"}
  cache: {kind: redis, url: "redis://127.0.0.1"}
guards:
  shop:
    rules: [example]
    playbook: emergency
"""
PLAYBOOK = """\
version: 1
rungs:
  - rung: flag
    steps:
      - {name: let it settle, kind: wait, timeout: 10s, for: 1s}
"""


def test_every_probe_has_a_section_and_a_row() -> None:
    assert sorted(re.findall(r"^## `(\w+)`$", REFERENCE, re.MULTILINE)) == sorted(PROBES)
    assert sorted(re.findall(r"^\| \[`(\w+)`\]\(#\1\)", REFERENCE, re.MULTILINE)) == sorted(PROBES)


@pytest.mark.parametrize("name", PROBES)
def test_every_number_that_a_probe_can_read_is_named_in_its_section(name: str) -> None:
    section = re.search(rf"^## `{name}`$(.*?)(?=^## |\Z)", REFERENCE, re.MULTILINE | re.DOTALL)
    assert section
    hints = get_type_hints(registries().probes[name].read)
    assert [of for of in get_args(hints.get("of", str)) if of not in section[1]] == []


@pytest.mark.parametrize("example", EXAMPLES, ids=re.findall(r"^- probe: (\w+)$", REFERENCE, re.MULTILINE))
def test_an_example_is_a_rules_file_that_is_accepted(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "x")
    write_files(
        tmp_path,
        {
            "config.yaml": CONFIG,
            "rules/example.yaml": f"version: 1\nsignals:\n{indent(example, '  ')}",
            "rollbacks/emergency/playbook.yaml": PLAYBOOK,
        },
    )
    [guard] = load(tmp_path / "config.yaml", registries()).guards
    assert len(guard.probes) == 1


def test_there_is_an_example_of_each() -> None:
    assert sorted(re.findall(r"^- probe: (\w+)$", "".join(EXAMPLES), re.MULTILINE)) == sorted(PROBES)
