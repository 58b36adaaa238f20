"""JSON Schemas of the three files, so that editors complete and check them."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, assert_never

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from watchdog.config import config_file, playbook_file, rules_file
from watchdog.config.configuration import Registries
from watchdog.config.shapes import VERSION, Shape

Which = Literal["config", "rules", "playbook"]
_REFERENCES: Final = "#/$defs/{model}"


def json_schema(which: Which, registries: Registries) -> dict[str, Any]:
    """The JSON Schema of `config.yaml`, a rules file or a playbook, with every registered kind."""
    match which:
        case "config":
            return _config(registries)
        case "rules":
            return _rules(registries)
        case "playbook":
            return _playbook(registries)
        case _:
            assert_never(which)


def _config(registries: Registries) -> dict[str, Any]:
    schemas = Schemas()
    top = schemas.inline(config_file.head_shape())
    top["properties"] |= {
        "version": _version(),
        "targets": _mapping(schemas.by_kind("kind", registries.targets, config_file.target_shape)),
        "notifiers": _mapping(schemas.by_kind("kind", registries.notifiers, config_file.notifier_shape)),
        "channels": _mapping(schemas.inline(config_file.channel_shape())),
        "plans": _mapping(schemas.inline(config_file.plan_shape())),
        "guards": _mapping(schemas.inline(config_file.guard_shape())),
        "journal": schemas.inline(config_file.journal_shape()),
        "web": schemas.inline(config_file.web_shape()),
    }
    return schemas.document("migration-watchdog configuration", top)


def _rules(registries: Registries) -> dict[str, Any]:
    schemas = Schemas()
    probes = []
    for name, kind in sorted(registries.probes.items()):
        probe = _fixed(schemas.inline(rules_file.probe_shape(kind)), "probe", name)
        probe["properties"]["read"] = _mapping(schemas.inline(rules_file.signal_shape(kind)))
        probes.append(probe)
    rules = [_fixed(schemas.inline(rules_file.rule_shape(name)), "kind", name) for name in rules_file.RULE_KINDS]
    top = schemas.inline(rules_file.head_shape())
    top["properties"] |= {
        "version": _version(),
        "signals": listed(_one_of(probes)),
        "evidence": listed(schemas.inline(rules_file.evidence_shape())),
        "versions": listed(schemas.inline(rules_file.versions_shape())),
        "queries": schemas.inline(rules_file.queries_shape()),
        "brakes": listed(schemas.inline(rules_file.brake_shape())),
        "rules": _mapping(_one_of(rules)),
    }
    return schemas.document("migration-watchdog rules", top)


def _playbook(registries: Registries) -> dict[str, Any]:
    schemas = Schemas()
    rung = schemas.inline(playbook_file.rung_shape())
    rung["properties"]["steps"] = listed(schemas.by_kind("kind", registries.actions, playbook_file.step_shape))
    top = schemas.inline(playbook_file.head_shape())
    top["properties"] |= {"version": _version(), "rungs": listed(rung)}
    top["required"] = ["rungs"]
    return schemas.document("migration-watchdog playbook", top)


class Schemas:
    """Collects what schemas of several shapes share."""

    def __init__(self) -> None:
        self.shared: dict[str, Any] = {}

    def inline(self, shape: Shape) -> dict[str, Any]:
        """The schema of a mapping of this shape."""
        schema = TypeAdapter(shape.model).json_schema(ref_template=_REFERENCES, schema_generator=_Generator)
        self.shared |= schema.pop("$defs", {})
        tidy: dict[str, Any] = _tidy(schema)
        return tidy

    def by_kind(self, key: str, kinds: Mapping[str, Any], shape_of: Any) -> dict[str, Any]:
        """One of the shapes of these kinds, told apart by a key."""
        return _one_of([_fixed(self.inline(shape_of(kind)), key, name) for name, kind in sorted(kinds.items())])

    def document(self, title: str, top: dict[str, Any]) -> dict[str, Any]:
        """A whole schema, with everything that it refers to."""
        top["required"] = sorted({"version", *top.get("required", ())})
        document = {"$schema": "https://json-schema.org/draft/2020-12/schema", **top, "title": title}
        return {**document, "$defs": _tidy(self.shared)} if self.shared else document


class _Generator(GenerateJsonSchema):
    """Leaves out defaults: they are the model's, and a file that repeats them says nothing."""

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])


def _tidy(schema: Any) -> Any:
    """Without the titles that pydantic makes of our field names."""
    if isinstance(schema, dict):
        return {key: _tidy(each) for key, each in schema.items() if not (key == "title" and isinstance(each, str))}
    return [_tidy(each) for each in schema] if isinstance(schema, list) else schema


def _fixed(schema: dict[str, Any], key: str, value: str) -> dict[str, Any]:
    schema["properties"][key] = {"const": value}
    return schema


def _version() -> dict[str, Any]:
    return {"const": int(VERSION)}


def _mapping(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": schema}


def listed(schema: dict[str, Any]) -> dict[str, Any]:
    """A list of these."""
    return {"type": "array", "items": schema}


def _one_of(schemas: Iterable[dict[str, Any]]) -> dict[str, Any]:
    choices = list(schemas)
    return {"oneOf": choices} if choices else {"not": {}}
