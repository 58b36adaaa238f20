"""The comparison of statements in a rules file."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.files import write_files
from watchdog.app.registries import registries
from watchdog.config import Report, inspect
from watchdog.model.attribution import Queries

CONFIG = """\
version: 1
state: state
targets:
  db: {kind: postgres, url: "postgresql://127.0.0.1/shop"}
guards:
  shop: {rules: [shop, more], playbook: emergency}
"""
PLAYBOOK = "version: 1\nrungs: [{rung: stop, steps: [{name: settle, kind: wait, timeout: 10s, for: 1s}]}]\n"
RULES = """\
version: 1
signals:
  - probe: statements
    target: db
    tables: [assessments]
    read:
      calls: {of: calls}
      seconds: {of: seconds}
  - probe: postgres
    target: db
    read:
      commits: {of: commits}
      connections: {of: connections}
queries: {seconds: seconds, calls: calls}
"""
MORE = "version: 1\n"

Look = Callable[..., Report]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    def write(old: str = "", new: str = "", *, config: str = CONFIG, more: str = MORE) -> Report:
        assert old in RULES
        write_files(
            tmp_path,
            {
                "config.yaml": config,
                "rules/shop.yaml": RULES.replace(old, new) if old else RULES,
                "rules/more.yaml": more,
                "rollbacks/emergency/playbook.yaml": PLAYBOOK,
            },
        )
        return inspect(tmp_path / "config.yaml", registries(), environ={})

    return write


def test_what_is_written_is_what_the_guard_has(look: Look) -> None:
    more = MORE + "queries: {seconds: seconds, calls: calls}\n"
    assert queries_of(look("calls: calls}", "calls: calls, times: 4}", more=more)) == (
        Queries("seconds", "calls", times=4),
        Queries("seconds", "calls"),
    )
    assert queries_of(look("queries: {seconds: seconds, calls: calls}\n", "")) == ()


def queries_of(report: Report) -> tuple[Queries, ...]:
    assert report.problems == ()
    assert report.configuration is not None
    [guard] = report.configuration.guards
    return guard.settings.queries


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("calls: calls}", "calls: cals}", "shop.yaml:14: queries.calls: `cals` is no signal; write `calls`"),
        ("seconds: seconds,", "seconds: connections,", "queries.seconds: `connections` is a gauge, but statements are"),
        ("calls: calls}", "calls: commits}", "queries.label: the signal `commits` is not split by `touches`"),
        (
            "calls: calls}",
            "calls: calls, label: table}",
            "is not split by `table`, so nothing is ever counted; write `touches`",
        ),
        (
            "calls: calls}",
            "calls: calls, times: 2}",
            "shop.yaml:14: queries.times: is too little: others must stay under",
        ),
        ("calls: calls}", "calls: calls, times: 0}", "queries.times: "),
        (", calls: calls}", "}", "queries.calls: is missing"),
        ("{seconds: seconds, calls: calls}", "[]", "queries: must be a mapping"),
    ],
)
def test_every_mistake_has_its_line(look: Look, old: str, new: str, said: str) -> None:
    assert said in "\n".join(map(str, look(old, new).problems))


def test_a_guard_does_not_say_it(look: Look) -> None:
    config = CONFIG.replace("playbook: emergency}", "playbook: emergency, queries: [{seconds: seconds, calls: calls}]}")
    [problem] = look(config=config).problems
    assert "config.yaml:6: guards.shop.queries" in str(problem)
