import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cli.conftest import Watchdog
from watchdog.cli import playbook
from watchdog.migrations.rehearsal import RecordedWrite
from watchdog.model.releases import Certificate, Compatibility, Surroundings
from watchdog.model.time import SECOND
from watchdog.web.bodies import CertificateBody


def test_a_ladder_is_shown_with_what_each_rung_may_do(watchdog: Watchdog, project: Path) -> None:
    shown = watchdog("playbook", "show", "--guard", "shop", "--config", str(project))
    assert shown.exit_code == 0, shown.output
    assert "emergency, 5 min of budget" in shown.output
    assert "rung flag: act" in shown.output
    assert "let it settle: wait, at most 10 s" in shown.output
    view = json.loads(watchdog("playbook", "show", "--guard", "shop", "--config", str(project), "--json").output)
    assert view["rungs"][0]["steps"][0]["timeout_seconds"] == 10.0


def test_an_unknown_guard_and_a_broken_configuration_are_told_without_a_traceback(
    watchdog: Watchdog, project: Path
) -> None:
    unknown = watchdog("playbook", "show", "--guard", "shopp", "--config", str(project))
    assert unknown.exit_code == 1
    assert "there are: shop" in unknown.stderr
    project.write_text(project.read_text().replace("version: 1", "version: 9"))
    broken = watchdog("playbook", "show", "--guard", "shop", "--config", str(project))
    assert broken.exit_code == 1
    assert f"{project}:1: version" in broken.stderr


@pytest.mark.parametrize("restored", [True, False])
def test_a_rehearsal_writes_a_certificate_that_a_release_can_be_sent_with(
    watchdog: Watchdog, place: Path, monkeypatch: pytest.MonkeyPatch, *, restored: bool
) -> None:
    certificate = Certificate(
        "c1", 7 * SECOND, Surroundings("18"), "hash", restored, Compatibility.INCOMPATIBLE, 2 * SECOND, ("5 tables",)
    )
    asked: list[object] = []

    async def certify(
        path: Path, guard: str, up: Sequence[str], writes: Sequence[RecordedWrite], *, release: str
    ) -> Certificate:
        asked.extend((path, guard, list(up), list(writes), release))
        return certificate

    monkeypatch.setattr(playbook, "certify", certify)
    write = {"name": "insert", "statement": "INSERT INTO t VALUES (%(a)s)", "values": {"a": 1}}
    (place / "writes.json").write_text(json.dumps([write]))
    out = place / "certificate.json"
    ran = watchdog(
        *("playbook", "rehearse", "--guard", "shop", "--config", "c.yaml", "--writes", str(place / "writes.json")),
        *("--out", str(out), "--release", "r1", "--", "apply", "--all"),
    )
    assert ran.exit_code == (0 if restored else 1), ran.output
    assert asked == [Path("c.yaml"), "shop", ["apply", "--all"], [RecordedWrite(**write)], "r1"]  # type: ignore[arg-type]
    assert CertificateBody.model_validate_json(out.read_text()).to_model() == certificate
    assert "old code incompatible" in ran.output


@pytest.mark.parametrize("text", ["{", '{"name": "x"}', '[{"name": "x"}]', "[7]"])
def test_writes_that_make_no_sense_are_wrong_use(watchdog: Watchdog, place: Path, text: str) -> None:
    (place / "writes.json").write_text(text)
    ran = watchdog("playbook", "rehearse", "--guard", "shop", "--writes", str(place / "writes.json"), "--", "true")
    assert ran.exit_code == 2
    assert "holds no recorded writes" in ran.stderr
