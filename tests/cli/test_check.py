import json
from pathlib import Path

from tests.cli.conftest import Watchdog, finish


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_what_is_in_order_is_said_so(watchdog: Watchdog, project: Path) -> None:
    ran = watchdog("check", "--config", str(project))
    assert ran.exit_code == 0
    assert f"{project} is in order; guards: shop" in ran.output


def test_every_mistake_comes_with_file_line_key_and_what_to_write(project: Path) -> None:
    edit(project, "playbook: emergency", "playbok: emergency")
    edit(project.parent / "rules" / "health.yaml", "of: healthy,", "of: helthy,")
    ran = finish("check", "--config", str(project))
    assert ran.returncode == 1
    assert f"{project}:17: guards.shop.playbok: " in ran.stdout
    assert "`playbook`" in ran.stdout
    assert "health.yaml:11: rules.unhealthy.of: " in ran.stdout
    assert "`healthy`" in ran.stdout
    assert "Traceback" not in ran.stderr


def test_a_warning_is_marked_and_no_failure(watchdog: Watchdog, project: Path) -> None:
    edit(project, "    plan: seed\n", "    plan: seed\n    bake: 30s\n")
    ran = watchdog("check", "--config", str(project))
    assert ran.exit_code == 0
    assert f"warning: {project}:19: guards.shop.bake: " in ran.output


def test_machines_get_the_same(watchdog: Watchdog, project: Path) -> None:
    assert json.loads(watchdog("check", "--config", str(project), "--json").output) == {
        "ok": True,
        "problems": [],
        "warnings": [],
    }
    edit(project, "version: 1", "version: 2")
    ran = watchdog("check", "--config", str(project), "--json")
    assert ran.exit_code == 1
    [problem] = json.loads(ran.output)["problems"]
    assert (problem["file"], problem["line"], problem["key"]) == (str(project), 1, "version")
    assert problem["instead"]


def test_a_file_that_is_not_there_is_a_finding(watchdog: Watchdog, place: Path) -> None:
    ran = watchdog("check", "--config", str(place / "nowhere.yaml"))
    assert ran.exit_code == 1
    assert "nowhere.yaml: the file cannot be read" in ran.output


def test_the_configuration_may_come_from_the_environment(project: Path) -> None:
    ran = finish("check", "--json", env={"WATCHDOG_CONFIG": str(project)})
    assert (ran.returncode, json.loads(ran.stdout)["ok"]) == (0, True)
