import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from tests.cli.test_root import verbs
from tests.docs.paths import ROOT, text
from watchdog.app.registries import registries
from watchdog.config import inspect
from watchdog.demo.release import Fault

README = text("README.md")
ENVIRON = {"SHOP_DB_URL": "postgresql://watchdog@127.0.0.1/shop", "SLACK_BOT_TOKEN": "bot", "SLACK_APP_TOKEN": "app"}


def blocks(language: str, mark: str = "") -> list[str]:
    """Fenced blocks of a language; with a mark, those right behind that HTML comment."""
    before = re.escape(f"<!-- {mark} -->\n") if mark else ""
    return re.findall(rf"^{before}```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The example's files; each block names its own in the first line."""
    for block in [*blocks("yaml"), *blocks("sql")]:
        named = re.match(r"(?:#|--) (\S+)\n", block)
        assert named, block
        file = tmp_path / named[1]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(block, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_example_is_in_order(shop: Path) -> None:
    report = inspect(shop / "config.yaml", registries(), environ=ENVIRON)
    assert (report.problems, report.warnings) == ((), ())
    assert report.configuration is not None
    (guard,) = report.configuration.guards
    assert [rung.autonomy for rung in guard.settings.playbook.rungs] == ["propose", "propose"]


def test_the_mistake_is_reported_as_shown(shop: Path) -> None:
    rules = shop / "rules/shop.yaml"
    rules.write_text(rules.read_text(encoding="utf-8").replace("bad: errors", "bad: eror"), encoding="utf-8")
    problems = inspect(Path("config.yaml"), registries(), environ=ENVIRON).problems
    (shown,) = blocks("console", "check")
    assert shown.splitlines()[1:] == [str(problem) for problem in problems]


def commands_in_the_table() -> Iterator[str]:
    for row in re.findall(r"^\| (`watchdog .*?) \|", README, re.MULTILINE):
        group = ""
        for words in re.findall(r"`([^`]+)`", row):
            if words.startswith("watchdog "):
                group = " ".join(words.split()[1:-1])
                yield words.removeprefix("watchdog ")
            else:
                yield f"{group} {words}"


def test_the_table_of_commands_has_every_command_and_no_other() -> None:
    named = list(commands_in_the_table())
    assert sorted(named) == sorted(name for name, _ in verbs())


def typed() -> Iterator[list[str]]:
    """Every `watchdog …` of the console blocks."""
    for block in blocks("console"):
        for line in re.findall(r"^\$ (.*)$", block.replace("\\\n", " "), re.MULTILINE):
            words = shlex.split(line, comments=True)
            if "watchdog" in words:
                yield words[words.index("watchdog") + 1 :]


def test_what_one_is_told_to_type_can_be_typed() -> None:
    known: dict[str, Any] = dict(verbs())
    lines = list(typed())
    assert len(lines) > 8
    for words in lines:
        name = words[0] if words[0] in known else " ".join(words[:2])
        options = {option for parameter in known[name].params for option in parameter.opts}
        before_command = words[: words.index("--")] if "--" in words else words
        assert {word for word in before_command if word.startswith("--")} <= options, words


def test_make_has_the_targets_and_the_demo_the_faults() -> None:
    for target in re.findall(r"^\$ make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", text("Makefile"), re.MULTILINE)
    table = README[README.index("| FAULT |") :].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == list(get_args(Fault))


def test_the_shown_demo_is_one_that_passed_with_the_checks_of_today() -> None:
    (shown,) = blocks("console", "demo")
    lines = re.findall(r"^(ok    |FAILED)  (\S.*?)  ", shown, re.MULTILINE)
    assert {mark for mark, _ in lines} == {"ok    "}
    source = text("watchdog/demo/checks.py") + text("watchdog/demo/outcome.py")
    missing = [name for _, name in lines if f'"{name}"' not in source]
    assert missing == []
    assert len(lines) > 12


def test_links_lead_somewhere() -> None:
    titles = [title.lower() for title in re.findall(r"^#+ (.*)$", README, re.MULTILINE)]
    headings = {re.sub(r"[^\w -]", "", title).replace(" ", "-") for title in titles}
    for link in re.findall(r"\]\(([^)]+)\)", README):
        assert link.removeprefix("#") in headings if link.startswith("#") else (ROOT / link).exists(), link


def test_the_python_it_asks_for_is_the_one_the_package_asks_for() -> None:
    asked = re.search(r'requires-python = ">=([\d.]+)"', text("pyproject.toml"))
    assert asked
    assert f"Python {asked[1]} or newer" in README
