import json
from typing import Any, Literal

import pytest

from tests.config.conftest import REGISTRIES, SECRETS
from watchdog.config import Registries, json_schema

FILES: tuple[Literal["config", "rules", "playbook"], ...] = ("config", "rules", "playbook")


def kinds(schema: dict[str, Any], key: str) -> set[str]:
    return {each["properties"][key]["const"] for each in schema["oneOf"]}


def test_the_schema_of_the_configuration_offers_every_kind() -> None:
    schema = json_schema("config", REGISTRIES)
    assert kinds(schema["properties"]["targets"]["additionalProperties"], "kind") == set(REGISTRIES.targets)
    guard = schema["properties"]["guards"]["additionalProperties"]
    assert guard["required"] == ["rules", "playbook"]
    assert guard["additionalProperties"] is False
    assert guard["properties"]["bake"]["pattern"].endswith("$")


def test_the_schema_of_rules_offers_every_probe_and_rule() -> None:
    schema = json_schema("rules", REGISTRIES)
    assert kinds(schema["properties"]["signals"]["items"], "probe") == set(REGISTRIES.probes)
    rules = schema["properties"]["rules"]["additionalProperties"]
    assert kinds(rules, "kind") == {"ratio", "latency", "count", "gauge", "check", "stall", "collapse", "composite"}
    ratio = next(each for each in rules["oneOf"] if each["properties"]["kind"]["const"] == "ratio")
    assert {"window", "recent", "z", "burstiness", "min_bad"} <= set(ratio["properties"])
    assert ratio["properties"]["mode"]
    queries = schema["properties"]["queries"]
    assert set(queries["properties"]) == {"seconds", "calls", "label", "times"}
    assert sorted(queries["required"]) == ["calls", "seconds"]
    assert queries["additionalProperties"] is False


def test_the_schema_of_a_playbook_offers_every_step() -> None:
    schema = json_schema("playbook", REGISTRIES)
    rung = schema["properties"]["rungs"]["items"]
    assert kinds(rung["properties"]["steps"]["items"], "kind") == set(REGISTRIES.actions)
    assert schema["required"] == ["rungs", "version"]


@pytest.mark.parametrize("which", FILES)
def test_a_schema_is_json_that_refers_only_to_itself(which: Literal["config", "rules", "playbook"]) -> None:
    schema = json_schema(which, REGISTRIES)
    text = json.dumps(schema)
    assert "field_" not in text
    assert not [secret for secret in SECRETS if secret in text]
    for name in {part.split('"')[0] for part in text.split('"#/$defs/')[1:]}:
        assert name in schema["$defs"]


@pytest.mark.parametrize("which", FILES)
def test_a_schema_can_be_made_without_any_kind(which: Literal["config", "rules", "playbook"]) -> None:
    empty = Registries(targets={}, probes={}, actions={}, notifiers={})
    assert json_schema(which, empty)["type"] == "object"
