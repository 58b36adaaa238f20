"""docs/rules.md says what the model says, and shows what the command prints."""

import re
import shlex
from dataclasses import MISSING, Field, fields
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.docs.paths import ROOT, text
from watchdog.cli import app
from watchdog.config.spans import parse_span
from watchdog.model.attribution import Comparison, Queries
from watchdog.model.guards import SchemaErrors
from watchdog.model.rules import (
    Brake,
    CheckRule,
    CollapseRule,
    CompositeRule,
    Confidence,
    CountRule,
    GaugeRule,
    LatencyRule,
    RatioRule,
    RuleBase,
    StallRule,
)

PAGE = text("docs/rules.md")
SECTIONS: dict[str, type] = {
    "every rule": RuleBase,
    "ratio": RatioRule,
    "latency": LatencyRule,
    "the confident test": Confidence,
    "count": CountRule,
    "gauge": GaugeRule,
    "check": CheckRule,
    "stall": StallRule,
    "collapse": CollapseRule,
    "composite": CompositeRule,
    "evidence": SchemaErrors,
    "versions": Comparison,
    "queries": Queries,
    "brakes": Brake,
}


def documented(section: str) -> dict[str, str]:
    """Parameters with their defaults, as the page has them."""
    body = re.search(rf"^### {section}\n(.*?)^##", PAGE, re.DOTALL | re.MULTILINE)
    assert body, section
    return dict(re.findall(r"^\| `(\w+)` \| ([^|]+?) \|", body[1], re.MULTILINE))


def expected(kind: type[Any]) -> dict[str, "Field[Any]"]:
    """What a file may say of it by itself, without what every rule has."""
    common = {one.name for one in fields(RuleBase)} if issubclass(kind, RuleBase) and kind is not RuleBase else set()
    return {one.name: one for one in fields(kind) if one.name not in {*common, "name", "confidence"}}


@pytest.mark.parametrize("section", SECTIONS)
def test_every_parameter_is_there_with_its_default(section: str) -> None:
    said = documented(section)
    if section == "every rule":
        assert said.pop("kind") == "needed"
    wanted = expected(SECTIONS[section])
    assert list(said) == list(wanted)
    for name, field in wanted.items():
        assert same(said[name], field.default), (name, said[name], field.default)


def same(said: str, default: object) -> bool:
    """Whether the page's word is this default."""
    match default:
        case None:
            return said == "none"
        case bool():
            return said == str(default).lower()
        case Enum():
            return said == str(default.value)
        case str():
            return said == (default or "empty")
        case tuple():
            return said == (", ".join(default) or "none")
        case float() | int() if re.fullmatch(r"[0-9.]+", said):
            return float(said) == default
        case int():
            return parse_span(said) == default
        case _:
            return default is MISSING and said == "needed"


def block(mark: str) -> tuple[list[str], str]:
    """The words of the command in a block, and what stands below it."""
    found = re.search(rf"{mark}```console\n\$ watchdog ([^\n]*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert found, mark
    return shlex.split(found[1]), found[2]


@pytest.mark.parametrize("mark", ["## Rule tests\n\n", "<!-- backtest -->\n", "<!-- sweep -->\n"])
def test_the_page_shows_what_is_printed(mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    words, shown = block(mark)
    ran = CliRunner().invoke(app, words, env={"COLUMNS": "400"})
    assert ran.exit_code == 0
    assert ran.output.endswith(shown)


def test_every_example_of_a_test_file_can_be_run(tmp_path: Path) -> None:
    source = next(one for one in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if "input_series" in one)
    (tmp_path / "shop.yaml").write_text(text("docs/examples/rules/shop.yaml"))
    (tmp_path / "page.test.yaml").write_text(source)
    ran = CliRunner().invoke(app, ["rules", "test", str(tmp_path / "page.test.yaml")])
    assert ran.exit_code == 0, ran.output
