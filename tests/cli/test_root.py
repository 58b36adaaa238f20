import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.cli.conftest import Watchdog, finish
from watchdog import __version__
from watchdog.cli.lazy import command_of
from watchdog.cli.root import COMMANDS, app

HEAVY = ("starlette", "uvicorn", "httpx", "aiohttp", "psycopg", "neo4j", "slack_sdk", "yaml")


def verbs() -> Iterator[tuple[str, Any]]:
    """Every command that does something, by what one types."""
    for name, entry in COMMANDS.items():
        yield from _within(name, command_of(name, entry))


def _within(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if not inner:
        yield name, command
    for each, sub in (inner or {}).items():
        yield from _within(f"{name} {each}", sub)


def test_help_names_every_verb(watchdog: Watchdog) -> None:
    shown = watchdog("--help")
    assert shown.exit_code == 0
    for name, entry in COMMANDS.items():
        assert name in shown.output
        assert entry.help in shown.output


def test_help_and_version_load_nothing_heavy() -> None:
    script = (
        "import sys\nfrom watchdog.cli import main\nsys.argv = ['watchdog', sys.argv[1]]\n"
        f"try:\n    main()\nfinally:\n    print([one for one in {HEAVY} if one in sys.modules], file=sys.stderr)\n"
    )
    for word in ("--help", "version"):
        ran = subprocess.run(
            [sys.executable, "-c", script, word], capture_output=True, text=True, check=True, timeout=60
        )
        assert ran.stderr.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_says_what_the_command_says_of_itself(name: str) -> None:
    text = command_of(name, COMMANDS[name]).help
    assert text is not None
    assert text.splitlines()[0] == COMMANDS[name].help


def test_every_verb_takes_json() -> None:
    without = [name for name, command in verbs() if not any("--json" in one.opts for one in command.params)]
    assert without == []


def test_every_verb_has_help_for_all_that_it_takes() -> None:
    for name, command in verbs():
        shown = CliRunner().invoke(app, [*name.split(), "--help"])
        assert shown.exit_code == 0, name
        for one in command.params:
            assert getattr(one, "help", None), (name, one.name)


@pytest.mark.parametrize(
    "words",
    [
        ["chek"],
        ["status", "--jsn"],
        ["trigger", "--guard", "shop"],
        ["trigger", "--reason", "x"],
        ["trigger", "--guard", "shop", "--reason", "x", "--rung", "roof"],
        ["trigger", "--guard", "shop", "--reason", "x", "--kind", "mood"],
        ["release", "start", "--guard", "shop"],
        ["incident", "ack"],
        ["incident", "ack", "shop"],
        ["incident", "hold", "shop-1", "--reason", "x", "--seconds", "-3"],
        ["freeze"],
        ["schema", "reeds"],
        ["demo", "--fault", "mine"],
    ],
    ids=" ".join,
)
def test_wrong_use_is_2_and_prints_no_result(watchdog: Watchdog, words: list[str]) -> None:
    ran = watchdog(*words)
    assert ran.exit_code == 2
    assert ran.stdout == ""
    assert "Error" in ran.stderr


def test_wrong_use_as_a_process_is_2_too() -> None:
    ran = finish("chek")
    assert ran.returncode == 2
    assert "Did you mean 'check'" in ran.stderr


def test_version(watchdog: Watchdog) -> None:
    assert watchdog("version").output == f"migration-watchdog {__version__}\n"
    assert json.loads(watchdog("version", "--json").output)["version"] == __version__
