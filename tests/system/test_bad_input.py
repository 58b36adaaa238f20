"""What a user sees when something that the daemon needs is wrong."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack

from tests.system.daemon_fixtures import Daemon, Project, command, edit, project, python, service, until

SECRET = "pl4nted-s3cret"


def unknown_signal(here: Project) -> str:
    edit(here.rules, "of: healthy,", "of: helthy,")
    return f"{here.rules}:12: rules.unhealthy.of: "


def unknown_target(here: Project) -> str:
    edit(here.playbook, "name: second, kind: http, target: api", "name: second, kind: http, target: apy")
    return f"{here.playbook}:8: rungs[0].steps[1].target: "


def empty_ladder(here: Project) -> str:
    here.playbook.write_text("version: 1\nrungs: []\n")
    return f"{here.playbook}:2: rungs: the ladder is empty"


def with_script(here: Project, script: str) -> None:
    edit(here.config, "targets:\n", 'targets:\n  db: {kind: postgres, url: "${env:SHOP_DB}"}\n')
    text = here.playbook.read_text()
    here.playbook.write_text(
        text[: text.index("      - {name: first")]
        + f"      - {{name: undo, kind: sql, target: db, timeout: 20s, script: {script}}}\n"
    )


def unreadable_script(here: Project) -> str:
    with_script(here, "{file: undo.sql}")
    return f"{here.playbook}:7: rungs[0].steps[0].script.file: "


def destructive_script(here: Project) -> str:
    with_script(here, "{file: undo.sql}")
    (here.playbook.parent / "undo.sql").write_text("SELECT 1;\nDROP TABLE users;\n")
    return f"{here.playbook.parent / 'undo.sql'}:2: "


def garbage(here: Project) -> str:
    here.config.write_text("version: 1\nguards: {shop: [\n")
    return f"{here.config}:3: "


def missing(here: Project) -> str:
    here.config.unlink()
    return f"{here.config}: the file cannot be read"


def long_socket(here: Project) -> str:
    edit(here.config, "web: {", f"web: {{socket: {'s' * 110}, ")
    return f"{here.config}:5: web.socket: "


def unset_variable(here: Project) -> str:
    edit(here.config, "SHOP_API", "SHOP_APY")
    return f"{here.config}:4: targets.api.url: the environment variable `SHOP_APY` is not set"


MISTAKES: tuple[Callable[[Project], str], ...] = (
    unknown_signal,
    unknown_target,
    empty_ladder,
    unreadable_script,
    destructive_script,
    garbage,
    missing,
    long_socket,
    unset_variable,
)


EACH = """
import json, sys
from typer.testing import CliRunner
from watchdog.cli import app
for verb, config in zip(sys.argv[1::2], sys.argv[2::2]):
    ran = CliRunner().invoke(app, [verb, "--config", config])
    print(json.dumps([ran.exit_code, ran.stdout + ran.stderr]))
"""
"""Runs many commands in one process: most of what a command takes is its start."""


async def test_every_mistake_in_the_files_is_found_by_check_and_refuses_to_run() -> None:
    with ExitStack() as projects:
        made = [projects.enter_context(project(SHOP_DB="postgresql://127.0.0.1:9/shop")) for _ in MISTAKES]
        expected = [mistake(here) for mistake, here in zip(MISTAKES, made, strict=True)]
        words = [word for here in made for verb in ("check", "run") for word in (verb, str(here.config))]
        ran = await python("-c", EACH, *words, env=made[0].env)
        answers = iter(json.loads(line) for line in ran.out.splitlines())
        for mistake, here, problem in zip(MISTAKES, made, expected, strict=True):
            for verb in ("check", "run"):
                status, said = next(answers)
                assert (verb, mistake.__name__, status) == (verb, mistake.__name__, 1), said
                assert problem in said
                assert "Traceback" not in said
            assert not here.state.exists()
