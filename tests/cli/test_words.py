"""What a person says to a guard, and what comes of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Live, Watchdog
from watchdog.cli.client import who

CERTIFICATE: dict[str, Any] = {
    "id": "c1",
    "issued_at": "2025-01-08T09:00:00.000Z",
    "surroundings": {"server": "18"},
    "rollback_hash": "hash",
    "restored": True,
    "old_code": "compatible",
    "measured_seconds": 2.5,
}


def incident(live: Live) -> Any:
    return live.site.daemon.guard("shop").incident


def propose(watchdog: Watchdog) -> None:
    """A data rung that waits for a person."""
    watchdog("release", "start", "--guard", "shop", "--id", "r1", "--protection", "full")
    assert watchdog("trigger", "--guard", "shop", "--reason", "x", "--rung", "data").exit_code == 0


def test_a_release_is_started_with_everything_on_the_command_line(live: Live, watchdog: Watchdog, place: Path) -> None:
    (place / "certificate.json").write_text(json.dumps(CERTIFICATE))
    live.seconds(20)
    ran = watchdog(
        *("release", "start", "--guard", "shop", "--id", "r1", "--migration", "add_table", "--migration", "add_score"),
        *("--flag", "new_score", "--old-version", "v1", "--new-version", "v2", "--protection", "tool-down"),
        *("--certificate", str(place / "certificate.json")),
    )
    assert ran.exit_code == 0, ran.output
    assert "Release r1 starts (add_table, add_score); protection tool-down." in ran.output
    record = live.site.daemon.guard("shop").release
    assert record is not None
    assert (record.release.migrations, record.release.flags) == (("add_table", "add_score"), ("new_score",))
    assert record.release.certificate is not None
    assert record.release.certificate.restored


@pytest.mark.parametrize("name", ["release.yaml", "release.json"])
def test_a_release_comes_from_a_file_and_options_go_first(
    live: Live, watchdog: Watchdog, place: Path, name: str
) -> None:
    body = {"id": "2025-01-08", "migrations": ["add_score"], "old_version": "v1", "certificate": CERTIFICATE}
    text = json.dumps(body) if name.endswith("json") else _yaml(body)
    (place / name).write_text(text)
    ran = watchdog("release", "start", "--guard", "shop", "--file", str(place / name), "--old-version", "v0", "--json")
    assert ran.exit_code == 0, ran.output
    release = json.loads(ran.output)["guard"]["release"]
    assert (release["id"], release["old_version"], release["migrations"]) == ("2025-01-08", "v0", ["add_score"])


def _yaml(body: dict[str, Any]) -> str:
    """By hand, so that dates stand without quotes."""
    certificate = "\n".join(f"  {key}: {value}" for key, value in body["certificate"].items() if key != "surroundings")
    return (
        f"id: {body['id']}\nmigrations: [add_score]\nold_version: v1\ncertificate:\n{certificate}\n"
        "  surroundings: {server: '18'}\n"
    ).replace("True", "true")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id: [", "is neither YAML nor JSON"),
        ("- id", "must be a mapping"),
        ("id: r1\nmigrations: add_score", "migrations: must be a list"),
        ("id: r1\nmigration: [a]", "migration: is no field here"),
        ("id: !!binary aGk=", "is neither YAML nor JSON"),
    ],
)
def test_a_file_that_makes_no_sense_is_wrong_use(
    live: Live, watchdog: Watchdog, place: Path, text: str, said: str
) -> None:
    (place / "release.yaml").write_text(text)
    ran = watchdog("release", "start", "--guard", "shop", "--file", str(place / "release.yaml"))
    assert ran.exit_code == 2
    assert said in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_a_file_that_is_not_there_is_named(live: Live, watchdog: Watchdog) -> None:
    ran = watchdog("release", "start", "--guard", "shop", "--file", "nowhere.yaml")
    assert (ran.exit_code, ran.stderr) == (2, "watchdog: nowhere.yaml cannot be read (No such file or directory)\n")


def test_a_release_is_armed_and_disarmed_and_not_settled_too_early(live: Live, watchdog: Watchdog) -> None:
    watchdog("release", "start", "--guard", "shop", "--id", "r1")
    assert "baking for 2 min" in watchdog("release", "arm", "--guard", "shop").output
    early = watchdog("release", "settle", "--guard", "shop")
    assert early.exit_code == 1
    assert early.stderr == "watchdog: release r1 is baking; only one that is reversible can be settled\n"
    assert watchdog("release", "disarm", "--guard", "shop", "--reason", "wrong day").exit_code == 0


def test_a_trigger_names_its_kind_and_its_person(live: Live, watchdog: Watchdog) -> None:
    ran = watchdog("trigger", "--guard", "shop", "--reason", "tickets 7 and 9", "--kind", "support-escalation")
    assert ran.exit_code == 0
    assert "Incident shop-1 is open" in ran.output
    assert incident(live).reason == "support escalation: tickets 7 and 9"
    assert incident(live).opened_by == who()


def test_a_trigger_without_a_word_is_wrong_use(live: Live, watchdog: Watchdog) -> None:
    ran = watchdog("trigger", "--guard", "shop", "--reason", " ", "--kind", "customer-impact")
    assert ran.exit_code == 2
    assert "reason" in ran.stderr


def test_a_proposal_is_approved(live: Live, watchdog: Watchdog) -> None:
    propose(watchdog)
    ran = watchdog("incident", "approve", "shop-1")
    assert ran.exit_code == 0
    assert "approved rung data." in ran.output
    assert incident(live).data_touched


def test_a_proposal_is_denied(live: Live, watchdog: Watchdog) -> None:
    propose(watchdog)
    assert "denied rung data." in watchdog("incident", "deny", "shop-1").output
    again = watchdog("incident", "deny", "shop-1")
    assert (again.exit_code, again.stderr) == (1, "watchdog: nothing waits for an approval\n")


def test_an_incident_is_held_released_aborted_and_resolved(live: Live, watchdog: Watchdog) -> None:
    propose(watchdog)
    assert "has it." in watchdog("incident", "ack", "shop-1").output
    assert "nothing changed" in watchdog("incident", "ack", "shop-1").output
    assert "put it on hold: looking" in watchdog("incident", "hold", "shop-1", "--reason", "looking").output
    assert incident(live).hold.until is None
    assert "hold was released" in watchdog("incident", "release", "shop-1").output
    watchdog("incident", "hold", "shop-1", "--reason", "looking", "--seconds", "90")
    assert incident(live).hold.until is not None
    assert "aborted" in watchdog("incident", "abort", "shop-1", "--reason", "by hand").output
    assert "Resolved by" in watchdog("incident", "resolve", "shop-1", "--reason", "mended").output
    over = watchdog("incident", "hold", "shop-1", "--reason", "x")
    assert (over.exit_code, over.stderr) == (
        1,
        "watchdog: guard shop has no open incident: shop-1 is resolved\n",
    )


def test_incidents_are_listed_newest_first(live: Live, watchdog: Watchdog) -> None:
    assert watchdog("incident", "list").output == "no incident\n"
    for _ in range(2):
        watchdog("trigger", "--guard", "shop", "--reason", "x")
        watchdog("incident", "resolve", "shop-1")
        live.seconds(2)
    listed = json.loads(watchdog("incident", "list", "--json").output)["incidents"]
    assert [(one["id"], one["open"]) for one in listed] == [("shop-2", True), ("shop-1", False)]
    assert watchdog("incident", "list").output.splitlines()[1].startswith("shop-1  2025-01-08T09:30:00.250Z  resolved")


def test_an_incident_is_shown_with_all_that_happened(live: Live, watchdog: Watchdog) -> None:
    propose(watchdog)
    watchdog("incident", "deny", "shop-1")
    shown = watchdog("incident", "show", "shop-1").output
    assert f"opened 2025-01-08T09:30:00.250Z by {who()}" in shown
    assert "rung data: denied" in shown
    assert f"2025-01-08T09:30:00.250Z  {who()} denied rung data." in shown
    assert json.loads(watchdog("incident", "show", "shop-1", "--json").output)["id"] == "shop-1"
    missing = watchdog("incident", "show", "shop-9")
    assert missing.exit_code == 1
    assert "guard shop has had no incident shop-9" in missing.stderr
