"""What docs/tools.md shows for Kubernetes and for a playbook is what the command and the step take."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml
from typer.main import get_command

from watchdog.actions.migrations import MigrationsOptions
from watchdog.cli.migration import app
from watchdog.migrations.tools.address import Command
from watchdog.migrations.tools.known import TOOLS

DOCS = Path(__file__).parents[3] / "docs" / "tools.md"


def blocks() -> tuple[Any, Any]:
    job, (step,) = map(
        yaml.safe_load, re.findall(r"^```yaml\n(.*?)^```", DOCS.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    )
    return job, step


def test_the_job_says_what_the_command_takes() -> None:
    pod = blocks()[0]["spec"]["template"]["spec"]
    (scratch,), (container,) = pod["initContainers"], pod["containers"]
    assert container["command"] == ["watchdog", "migration", "apply"]
    apply: Any = get_command(app)
    with apply.commands["apply"].make_context("apply", list(container["args"]), resilient_parsing=True) as context:
        said = context.params
    Command(said["tool"], tuple(said["words"]))
    assert said["words"] == ["alembic", "upgrade", "head"]
    assert said["scratch"] == f"postgresql://postgres:{scratch['env'][0]['value']}@127.0.0.1:5432/postgres"
    database = next(param for param in apply.commands["apply"].params if param.name == "database")
    assert container["env"][0]["name"] == database.envvar


def test_the_step_has_only_options_that_there_are() -> None:
    step = blocks()[1]
    known = {field.name for field in fields(MigrationsOptions)} | {"name", "kind", "target", "timeout"}
    assert step.keys() <= known
    assert step["release"] == MigrationsOptions().release


def test_every_tool_is_in_the_table() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert [name for name in TOOLS if f"`{name}`" not in text and f"--tool {name}" not in text] == []
