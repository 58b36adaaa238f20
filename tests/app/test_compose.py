import threading
from pathlib import Path

import pytest

from tests.support.files import write_files
from watchdog.app.compose import GoneError, GuardResources, StateError, compose
from watchdog.app.registries import registries
from watchdog.config import Configuration, load
from watchdog.leases.file_lock import FileLease
from watchdog.ports.errors import JournalError, JournalHeldError
from watchdog.runtime.clock import SystemClock

CONFIG = """\
version: 1
state: state
targets:
  api: {kind: http, url: "http://127.0.0.1:9"}
guards:
  shop:
    rules: [health]
    playbook: emergency
"""

RULES = """\
version: 1
signals:
  - probe: http
    target: api
    every: 5s
    timeout: 3s
    read:
      healthy: {of: status_ok}
rules:
  unhealthy: {kind: gauge, of: healthy, below: 1, hold: 10s, enters: flag}
"""

PLAYBOOK = """\
version: 1
rungs:
  - rung: flag
    steps:
      - {name: let it settle, kind: wait, timeout: 10s, for: 1s}
"""


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    write_files(
        tmp_path,
        {
            "config.yaml": CONFIG,
            "rules/health.yaml": RULES,
            "rollbacks/emergency/playbook.yaml": PLAYBOOK,
        },
    )
    return load(tmp_path / "config.yaml", registries())


async def test_when_the_samples_cannot_be_opened_journal_and_lease_are_let_go_of(configuration: Configuration) -> None:
    configuration.state.mkdir()
    samples = configuration.state / "samples.db"
    samples.write_text("dear diary")
    before = set(threading.enumerate())
    with pytest.raises(JournalError, match=r"samples\.db") as failure:
        await compose(configuration, registries(), SystemClock())
    for thread in set(threading.enumerate()) - before:
        # It has been told to end, or it never will: what was opened is still referred to by the failure.
        thread.join(5)
        assert not thread.is_alive(), failure
    samples.unlink()
    parts = await compose(configuration, registries(), SystemClock())
    await parts.samples.close()
    await parts.journal.close()
    await parts.lease.release()


async def test_files_that_another_process_holds_are_not_touched(configuration: Configuration) -> None:
    configuration.state.mkdir()
    held = FileLease(configuration.journal.path, SystemClock())
    await held.acquire()
    with pytest.raises(JournalHeldError):
        await compose(configuration, registries(), SystemClock())
    assert not configuration.journal.path.exists()
    await held.release()


async def test_a_state_directory_in_whose_place_a_file_stands_is_named(configuration: Configuration) -> None:
    configuration.state.write_text("")
    with pytest.raises(StateError, match="set `state` in"):
        await compose(configuration, registries(), SystemClock())


def test_a_role_that_is_gone_is_named() -> None:
    resources = GuardResources(SystemClock(), {}, {"db": "primary"})
    with pytest.raises(GoneError, match="no target 'primary' is configured any more"):
        resources.target("db")
