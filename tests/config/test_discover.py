import json
from typing import Any

import pytest

from tests.config.conftest import REGISTRIES, Project
from watchdog.config import Discover, json_schema, load
from watchdog.model.time import SECOND

GUARD = "    plan: seed\n"


def with_discover(project: Project, text: str) -> None:
    project.change("config.yaml", GUARD, f"{GUARD}    discover: {text}\n")


def discover(project: Project) -> Discover | None:
    return load(project.config, REGISTRIES, environ=project.environ).guards[0].discover


def test_without_it_nothing_is_looked_for(project: Project) -> None:
    assert discover(project) is None


def test_what_is_looked_at_and_how_often(project: Project) -> None:
    with_discover(project, "{targets: [db, graph]}")
    assert discover(project) == Discover(targets=("db", "graph"), every=15 * SECOND)
    project.change(
        "config.yaml", "[db, graph]", "[db, service], every: 9s, tables: {v: flyway}, deployments: [api], flags: [f]"
    )
    assert discover(project) == Discover(
        targets=("db", "service"), every=9 * SECOND, tables={"v": "flyway"}, deployments=("api",), flags=("f",)
    )


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        ("{targets: [dbb]}", "targets[0]", "guard `compliance` has no target `dbb`; write `db`"),
        (
            "{targets: [db, cache]}",
            "targets[1]",
            "`cache` is of kind `redis`, but releases are discovered in postgres or neo4j or process; write one of",
        ),
        ("{targets: [db, db]}", "targets[1]", "`db` stands twice; write it once"),
        ("{targets: []}", "targets", "nowhere is looked; write one of db, graph, service"),
        ("{every: 15s}", "targets", "is missing"),
        ("{targets: [db], every: 0s}", "every", "must be longer than nothing"),
        ("{targets: [db], tables: {v: flywy}}", "tables.v", "is no tool whose tables are known; write `flyway`"),
        ("{targets: [graph], tables: {v: flyway}}", "tables", "none of the targets has such; write `db`"),
        ("{targets: [db], deployments: [api]}", "deployments", "none of the targets has such; write `service`"),
        ("{targets: [service]}", "deployments", "is missing; write `deployments: […]`"),
        ("{targets: [db], evry: 1s}", "evry", "unknown key; write `every`"),
        ("[db]", "", "must be a mapping"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_what_to_write(project: Project, text: str, key: str, said: str) -> None:
    with_discover(project, text)
    whole = f"guards.compliance.discover.{key}".rstrip(".")
    assert project.found() == [("config.yaml", project.line("config.yaml", "discover:"), whole)]
    assert f"{whole}: " in project.said()
    assert said in project.said()


def test_a_role_is_another_name_for_a_target(project: Project) -> None:
    with_discover(project, "{targets: [primary]}\n    targets: {primary: db}")
    assert project.said() == ""


def test_looking_often_is_said_where_it_is_not_meant(project: Project) -> None:
    with_discover(project, "{targets: [db], every: 1s}")
    assert project.inspect().warnings == ()
    project.change("config.yaml", "    demo: true ", "    demo: false ")
    assert [one.key for one in project.inspect().warnings if "discover" in one.key] == [
        "guards.compliance.discover.every"
    ]


def test_editors_complete_it() -> None:
    schema: dict[str, Any] = json_schema("config", REGISTRIES)
    named = json.dumps(schema["properties"]["guards"]["additionalProperties"]["properties"]["discover"])
    assert "#/$defs/Discover" in named
    shape = schema["$defs"]["Discover"]
    assert set(shape["properties"]) == {"targets", "every", "tables", "deployments", "flags"}
    assert shape["required"] == ["targets"]
    assert shape["properties"]["every"]["pattern"].endswith("$")
