import sys
from collections.abc import Sequence
from pathlib import Path

import psycopg
import pytest

from watchdog.app.compose import NoGuardError
from watchdog.app.rehearse import RehearsalError, certify
from watchdog.model.releases import Certificate
from watchdog.ports.errors import WatchdogError

CONFIG = """\
version: 1
state: state
targets:
  api: {kind: http, url: "http://127.0.0.1:9"}
  db: {kind: postgres, url: "${env:SCRATCH_URL}"}
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
  unhealthy: {kind: gauge, of: healthy, below: 1, hold: 10s, enters: data}
"""

PLAYBOOK = """\
version: 1
rungs:
  - rung: data
    steps:
      - name: take the column back
        kind: sql
        target: db
        timeout: 20s
        script: {text: "ALTER TABLE users DROP COLUMN score;"}
        archive:
          - {name: score, table: public.users, columns: [score], key: [id]}
"""

UP = "import psycopg, sys; psycopg.connect(sys.argv[1], autocommit=True).execute('ALTER TABLE users ADD score int')"


@pytest.fixture
async def config(tmp_path: Path, pg_database: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A guard whose data rung drops one column, on an empty scratch copy."""
    files = {"config.yaml": CONFIG, "rules/health.yaml": RULES, "rollbacks/emergency/playbook.yaml": PLAYBOOK}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("SCRATCH_URL", pg_database)
    async with await psycopg.AsyncConnection.connect(pg_database, autocommit=True) as connection:
        await connection.execute("CREATE TABLE users (id int PRIMARY KEY); INSERT INTO users VALUES (1), (2)")
    return tmp_path / "config.yaml"


async def rehearsed(config: Path, *command: str) -> Certificate:
    up: Sequence[str] = command or (sys.executable, "-c", UP)
    return await certify(config, "shop", up, [])


async def test_a_scratch_copy_is_good_for_one_rehearsal(config: Path, pg_database: str) -> None:
    certificate = await rehearsed(config, sys.executable, "-c", UP, pg_database)
    assert certificate.restored, certificate.findings
    with pytest.raises(RehearsalError, match=r"db \(127\.0\.0\.1.* is no clean copy: .*make it anew"):
        await rehearsed(config, sys.executable, "-c", UP, pg_database)


async def test_what_a_copy_of_production_brings_along_does_not_stand_in_for_the_steps(
    config: Path, pg_database: str
) -> None:
    """A receipt of an earlier run on production, under a name that a rehearsal might use."""
    async with await psycopg.AsyncConnection.connect(pg_database, autocommit=True) as connection:
        await connection.execute(Path("watchdog/targets/fence.sql").read_bytes())
        await connection.execute(
            "INSERT INTO watchdog.receipts (step_id, guard, run_id, epoch, detail)"
            " VALUES ('rehearsal/data/take the column back', 'shop', 'run-1', 1, 'long ago')"
        )
    certificate = await rehearsed(config, sys.executable, "-c", UP, pg_database)
    assert certificate.restored, certificate.findings


async def test_a_release_may_make_our_schema_itself(config: Path, pg_database: str) -> None:
    make = UP.replace("ALTER TABLE", "CREATE SCHEMA watchdog; CREATE TABLE watchdog.mine (); ALTER TABLE")
    certificate = await rehearsed(config, sys.executable, "-c", make, pg_database)
    assert certificate.restored, certificate.findings


async def test_a_copy_on_which_the_rollback_failed_is_not_clean_either(config: Path, pg_database: str) -> None:
    with pytest.raises(WatchdogError, match="has no column score"):
        await rehearsed(config, "true")
    with pytest.raises(RehearsalError, match="no clean copy"):
        await rehearsed(config, sys.executable, "-c", UP, pg_database)


async def test_what_the_command_says_stands_in_no_message_of_ours(
    config: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RehearsalError, match=r"ended with status 3; what it said stands above") as caught:
        await rehearsed(config, sys.executable, "-c", "import sys; sys.stderr.write('at hunter2'); sys.exit(3)")
    assert "hunter2" not in str(caught.value)
    assert capfd.readouterr().err == "at hunter2"


async def test_a_guard_that_is_not_there_is_told_with_those_that_are(config: Path) -> None:
    with pytest.raises(NoGuardError, match=r"no guard 'shopp' in .*; there are: shop"):
        await certify(config, "shopp", ["true"], [])
