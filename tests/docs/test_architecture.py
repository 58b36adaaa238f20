import re
import tomllib

from tests.docs.paths import ROOT, text
from watchdog.app import registries

ARCHITECTURE = text("docs/architecture.md")


def test_every_package_is_named() -> None:
    packages = {file.parent.name for file in (ROOT / "watchdog").glob("*/__init__.py")}
    named = set(re.findall(r"^\| `watchdog/(\w+)/` \|", ARCHITECTURE, re.MULTILINE))
    assert named == packages


def test_the_layers_are_those_of_the_contract() -> None:
    contract = tomllib.loads(text("pyproject.toml"))["tool"]["importlinter"]["contracts"][0]
    drawn = re.search(r"<!-- layers -->\n```\n(.*?)```", ARCHITECTURE, re.DOTALL)
    assert drawn
    assert drawn[1].splitlines() == contract["layers"]


def test_every_file_it_speaks_of_is_there() -> None:
    named = {path for path in re.findall(r"`(watchdog/[\w/.]+\.\w+)`", ARCHITECTURE) if "NAME" not in path}
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_registries_are_those_to_add_a_line_to() -> None:
    named = re.findall(r"^\| an? \w+ \| .* \| `(\w+)` \|$", ARCHITECTURE, re.MULTILINE)
    assert named == ["TARGETS", "PROBES", "ACTIONS", "NOTIFIERS"]
    assert all(isinstance(getattr(registries, name), dict) for name in named)
