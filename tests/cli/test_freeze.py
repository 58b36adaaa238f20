import json
from pathlib import Path

from tests.cli.conftest import Watchdog, finish
from watchdog.app.freeze import switch
from watchdog.cli.client import who


def test_a_guard_is_frozen_and_thawed_without_a_daemon(watchdog: Watchdog, project: Path) -> None:
    config = ("--config", str(project))
    brake = switch(project.parent / "state")
    assert watchdog("freeze", "--guard", "shop", "--reason", "audit", *config).exit_code == 0
    assert brake.frozen("shop") == (who(), "audit")
    assert brake.frozen("other") is None
    assert "allowed to act again" in watchdog("unfreeze", "--guard", "shop", *config).output
    assert brake.frozen("shop") is None
    again = watchdog("unfreeze", "--guard", "shop", *config)
    assert (again.exit_code, again.output) == (0, "guard shop is not frozen by that name\n")


def test_all_guards_are_frozen_and_one_cannot_be_thawed_alone(watchdog: Watchdog, project: Path) -> None:
    config = ("--config", str(project))
    watchdog("freeze", "--reason", "audit", *config)
    assert switch(project.parent / "state").frozen("anything") == (who(), "audit")
    alone = watchdog("unfreeze", "--guard", "shop", *config)
    assert alone.exit_code == 1
    assert "frozen still, with all others" in alone.stderr
    thawed = json.loads(watchdog("unfreeze", *config, "--json").output)
    assert thawed == {"unfrozen": "all", "was_frozen": True, "still_frozen_by": None}


def test_a_guard_that_is_not_configured_is_not_silently_braked(watchdog: Watchdog, project: Path) -> None:
    ran = watchdog("freeze", "--guard", "shopp", "--reason", "audit", "--config", str(project))
    assert ran.exit_code == 1
    assert ran.stderr == f"watchdog: no guard 'shopp' in {project}; there are: shop\n"
    assert switch(project.parent / "state").frozen("shopp") is None


def test_a_broken_configuration_does_not_keep_anybody_from_braking(watchdog: Watchdog, project: Path) -> None:
    project.write_text(project.read_text().replace("kind: http", "kind: htpt") + "oops: 1\n")
    assert watchdog("freeze", "--guard", "shop", "--reason", "audit", "--config", str(project)).exit_code == 0
    assert switch(project.parent / "state").frozen("shop") is not None


def test_without_a_configuration_the_state_directory_is_enough(place: Path) -> None:
    ran = finish("freeze", "--reason", "audit", "--state", str(place / "state"), "--json")
    assert ran.returncode == 0
    assert json.loads(ran.stdout)["frozen"] == "all"
    assert switch(place / "state").frozen("shop") == (who(), "audit")


def test_an_unset_variable_in_the_state_is_named(watchdog: Watchdog, place: Path) -> None:
    (place / "config.yaml").write_text("state: ${env:WATCHDOG_NOWHERE}\n")
    ran = watchdog("freeze", "--reason", "x", "--config", str(place / "config.yaml"))
    assert ran.exit_code == 1
    assert "`WATCHDOG_NOWHERE` is not set" in ran.stderr


def test_a_reason_is_needed(watchdog: Watchdog, place: Path) -> None:
    assert watchdog("freeze", "--reason", "  ", "--state", str(place)).exit_code == 2
