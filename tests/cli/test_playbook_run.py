import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from tests.cli.conftest import Live, Watchdog
from watchdog.app.preview import Preview
from watchdog.cli import playbook_run
from watchdog.model.playbooks import Step
from watchdog.model.releases import Release
from watchdog.model.rules import RungKind
from watchdog.model.time import SECOND


@pytest.fixture
def facts(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """What each dry run was told about the release."""
    told: list[dict[str, str]] = []

    async def dry_run(
        _path: Path, _guard: str, facts: Mapping[str, str], only: RungKind | None = None
    ) -> AsyncIterator[Preview]:
        told.append(dict(facts))
        step = Step("let it settle", "wait", timeout=10 * SECOND)
        yield Preview(only or RungKind.FLAG, step, f"would switch off {facts.get('flags', 'nothing')}", possible=True)

    monkeypatch.setattr(playbook_run, "dry_run", dry_run)
    return told


def test_a_dry_run_knows_the_release_under_watch(watchdog: Watchdog, live: Live, facts: list[dict[str, str]]) -> None:
    live.seconds(20)
    release = Release("r1", ("add_score",), ("new", "newer"), old_version="v1", new_version="v2")
    live.do(live.site.daemon.start_release("shop", release))
    ran = watchdog("playbook", "run", "--guard", "shop", "--dry-run", "--new-version", "v3")
    assert ran.exit_code == 0, ran.output
    assert ran.output == "release r1, applying\nrung flag: let it settle: would switch off new,newer\n"
    known = {name: facts[0][name] for name in ("release", "old_version", "new_version", "flags")}
    assert known == {"release": "r1", "old_version": "v1", "new_version": "v3", "flags": "new,newer"}


def test_without_a_release_the_dry_run_says_so(watchdog: Watchdog, live: Live, facts: list[dict[str, str]]) -> None:
    ran = watchdog("playbook", "run", "--guard", "shop", "--dry-run", "--json")
    assert json.loads(ran.output)["release"] is None
    assert "no release is under watch" in watchdog("playbook", "run", "--guard", "shop", "--dry-run").output
    assert facts == [{}, {}]


def test_without_a_daemon_the_release_is_unknown_and_may_be_told(
    watchdog: Watchdog, project: Path, facts: list[dict[str, str]]
) -> None:
    options = ("--guard", "shop", "--config", str(project), "--flag", "a", "--flag", "b")
    ran = watchdog("playbook", "run", "--dry-run", *options)
    assert ran.exit_code == 0, ran.output
    assert ran.output.startswith("the release is unknown: no daemon answers at ")
    assert facts == [{"flags": "a,b"}]


def test_a_dry_run_looks_at_the_steps_of_the_configuration(watchdog: Watchdog, project: Path) -> None:
    ran = watchdog("playbook", "run", "--dry-run", "--guard", "shop", "--config", str(project))
    assert ran.exit_code == 0, ran.output
    assert "rung flag: let it settle: would wait" in ran.output


def test_a_run_by_hand_needs_a_reason(watchdog: Watchdog) -> None:
    assert watchdog("playbook", "run", "--guard", "shop").exit_code == 2
