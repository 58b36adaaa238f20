import math
from pathlib import Path

import pytest

from watchdog.app.backtest.errors import InputError
from watchdog.app.backtest.recent import recent
from watchdog.app.compose import NoGuardError
from watchdog.config import ConfigError
from watchdog.journals.samples import SqliteSamples
from watchdog.model.signals import Sample, SignalId
from watchdog.model.time import HOUR, SECOND

START = 1_736_328_600 * SECOND

CONFIG = """\
version: 1
state: state
targets:
  api: {kind: http, url: "http://127.0.0.1:9"}
guards:
  shop: {rules: [shop], playbook: emergency}
"""
PLAYBOOK = """\
version: 1
rungs:
  - rung: stop
    steps:
      - {name: let it settle, kind: wait, timeout: 10s, for: 1s}
"""
RULES = """\
version: 1
signals:
  - probe: metrics
    target: api
    every: 5s
    timeout: 3s
    read:
      requests: {metric: http_requests_total, kind: counter}
      errors: {metric: http_errors_total, kind: counter}
rules:
  error_rate: {kind: ratio, bad: errors, total: requests, above: 5%}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rollbacks" / "emergency").mkdir(parents=True)
    (tmp_path / "state").mkdir()
    (tmp_path / "rules" / "shop.yaml").write_text(RULES)
    (tmp_path / "rollbacks" / "emergency" / "playbook.yaml").write_text(PLAYBOOK)
    (tmp_path / "config.yaml").write_text(CONFIG)
    return tmp_path / "config.yaml"


async def keep(config: Path, guard: str = "shop") -> SqliteSamples:
    """Ten minutes, of which in the second half every other request fails; probes answer a bit after the tick."""
    store = await SqliteSamples.open(config.parent / "state" / "samples.db", keep=HOUR)
    samples = []
    for step in range(121):
        at = START + step * 5 * SECOND + (step % 7) * 10_000_000
        samples.append(Sample(SignalId("requests"), at, step * 50.0))
        samples.append(Sample(SignalId("errors"), at + 1_000_000, max(0, step - 60) * 25.0))
    await store.write(guard, samples)
    return store


async def test_the_figures_of_the_last_hour_are_judged_again(config: Path) -> None:
    store = await keep(config)
    try:
        found = await recent(config, "shop", START + 300 * SECOND)
    finally:
        await store.close()
    figures = found.figures["error_rate"]
    assert len(figures) == len(found.times)
    assert math.isnan(figures[0])
    assert figures[50] == 0
    assert figures[-1] == pytest.approx(0.5, abs=0.05)
    assert found.thresholds == {"error_rate": 0.05}


async def test_the_daemons_own_file_is_only_read(config: Path) -> None:
    store = await keep(config)
    await store.close()
    path = config.parent / "state" / "samples.db"
    before = path.read_bytes()
    await recent(config, "shop", None)
    assert path.read_bytes() == before


async def test_what_is_missing_is_said(config: Path) -> None:
    with pytest.raises(InputError, match=r"samples.db is not there"):
        await recent(config, "shop", None)
    await (await keep(config, guard="other")).close()
    with pytest.raises(InputError, match="has no samples of guard shop"):
        await recent(config, "shop", None)
    with pytest.raises(NoGuardError):
        await recent(config, "shopp", None)
    (config.parent / "state" / "samples.db").write_bytes(b"no database at all, whatever its name says")
    with pytest.raises(InputError, match=r"samples.db cannot be read: file is not a database"):
        await recent(config, "shop", None)
    config.write_text(CONFIG.replace("version: 1", "version: 2"))
    with pytest.raises(ConfigError):
        await recent(config, "shop", None)
