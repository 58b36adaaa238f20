"""Editors know every key of a file of rule tests."""

import json
from collections.abc import Mapping
from typing import Any

import yaml
from typer.testing import CliRunner

from tests.docs.paths import ROOT
from watchdog.app.backtest.unit_file import tests_schema as schema
from watchdog.cli import app


def known(schema: Mapping[str, Any], value: object, place: str = "") -> None:
    """Every key of the value is a property of the schema."""
    if isinstance(value, dict) and "properties" in schema:
        assert schema["additionalProperties"] is False
        for key, part in value.items():
            assert key in schema["properties"], f"{place}.{key}"
            known(schema["properties"][key], part, f"{place}.{key}")
    if isinstance(value, list) and "items" in schema:
        for part in value:
            known(schema["items"], part, place)


def test_it_knows_what_the_example_says() -> None:
    text = (ROOT / "docs" / "examples" / "rules" / "shop.test.yaml").read_text(encoding="utf-8")
    known(schema(), yaml.safe_load(text))
    verdict = schema()["properties"]["tests"]["items"]["properties"]["verdicts"]["items"]
    assert set(verdict["required"]) == {"at", "rule"}


def test_the_command_prints_it() -> None:
    ran = CliRunner().invoke(app, ["schema", "rule-tests"])
    assert ran.exit_code == 0
    assert json.loads(ran.output)["title"] == "migration-watchdog rule tests"
