"""Rules that their signals are read too rarely for, and labels that a probe itself gives."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.files import write_files
from watchdog.app.registries import registries
from watchdog.config import Report, inspect

CONFIG = """\
version: 1
state: state
targets:
  api: {kind: http, url: "http://127.0.0.1:9"}
guards:
  shop: {rules: [shop], playbook: emergency}
"""
PLAYBOOK = "version: 1\nrungs: [{rung: stop, steps: [{name: settle, kind: wait, timeout: 10s, for: 1s}]}]\n"
RULES = """\
version: 1
signals:
  - probe: metrics
    target: api
    every: 15s
    read:
      requests: {metric: requests_total, kind: counter}
      errors: {metric: requests_total, kind: counter, where: {status: "5.."}, absent: zero}
  - probe: metrics
    target: api
    every: 30s
    path: /slow
    read:
      latency: {metric: seconds, kind: distribution}
rules:
  failing:
    kind: ratio
    bad: errors
    total: requests
    above: 5%
    recent: 30s
  slow: {kind: latency, of: latency}
"""

Look = Callable[..., Report]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    def write(*changes: tuple[str, str], config: str = CONFIG) -> Report:
        rules = RULES
        for old, new in changes:
            assert old in rules
            rules = rules.replace(old, new, 1)
        write_files(
            tmp_path,
            {
                "config.yaml": config,
                "rules/shop.yaml": rules,
                "rollbacks/emergency/playbook.yaml": PLAYBOOK,
            },
        )
        return inspect(tmp_path / "config.yaml", registries())

    return write


def test_two_intervals_in_the_recent_window_are_enough(look: Look) -> None:
    report = look()
    assert (report.problems, report.warnings) == ((), ())


def test_a_recent_window_of_less_than_two_intervals_is_warned_about_at_its_line(look: Look) -> None:
    [warning] = look(("recent: 30s", "recent: 29s")).warnings
    assert warning.file.endswith("rules/shop.yaml")
    assert (warning.key, RULES.splitlines()[warning.line - 1].strip()) == ("rules.failing.recent", "recent: 30s")
    assert "29 s is less than two readings of `errors`, which come every 15 s" in str(warning)
    assert "`every: 14500ms` or less there, or `recent: 30s` or more" in str(warning)


def test_the_default_counts_too_and_is_warned_about_at_the_rule(look: Look) -> None:
    [warning] = look(("every: 30s", "every: 31s")).warnings
    assert (warning.key, RULES.splitlines()[warning.line - 1].strip()[:4]) == ("rules.slow.recent", "slow")
    assert "`every: 30s` or less there, or `recent: 62s` or more" in str(warning)


def test_the_guards_own_interval_is_what_counts(look: Look) -> None:
    config = CONFIG.replace("playbook: emergency}", "playbook: emergency, every: 40s}")
    assert [warning.key for warning in look(config=config).warnings] == ["rules.failing.recent", "rules.slow.recent"]


def test_a_rule_may_be_judged_for_each_endpoint_when_each_is_asked(look: Look) -> None:
    each = ("recent: 30s", "each: endpoint\n    mode: confident")
    problems = look(each).problems
    assert {problem.key for problem in problems} == {"rules.failing.each"}
    assert all("not split by `endpoint`" in problem.message for problem in problems)
    report = look(each, ("every: 15s", "every: 15s\n    endpoints: each\n    timeout: 2s"))
    assert report.problems == ()
    assert report.configuration is not None
    [probe, _] = report.configuration.guards[0].probes
    assert (probe.options.timeout, probe.timeout) == (2_000_000_000, 2_000_000_000)


def test_a_page_may_not_have_a_label_of_the_same_name_to_split_by(look: Look) -> None:
    each = ("every: 15s", "every: 15s\n    endpoints: each")
    [problem] = look(each, ("kind: counter}", "kind: counter, split: [endpoint]}")).problems
    assert problem.key == "signals[0].read.requests.split"
    assert "another label" in problem.instead


def test_endpoints_are_one_or_each(look: Look) -> None:
    [problem] = look(("every: 15s", "every: 15s\n    endpoints: all")).problems
    assert (problem.key, "each" in problem.instead) == ("signals[0].endpoints", True)


def days(said: str) -> str:
    return CONFIG.replace("playbook: emergency}", f"playbook: emergency, baseline_days: {said}}}")


def test_days_before_need_a_probe_that_knows_the_past(look: Look) -> None:
    [problem] = look(config=days("3")).problems
    assert (problem.file.rsplit("/", 1)[-1], problem.key) == ("config.yaml", "guards.shop.baseline_days")
    assert CONFIG.splitlines()[problem.line - 1].startswith("  shop:")
    assert "a probe that knows the past (prometheus)" in str(problem)
    assert look(config=days("0")).problems == ()


def test_days_before_are_taken_from_prometheus(look: Look) -> None:
    asked = 'probe: prometheus\n    target: api\n    read: {busy: {query: "sum(busy)"}}\n  - probe: metrics'
    report = look(("probe: metrics", asked), config=days("3"))
    assert report.problems == ()
    assert report.configuration is not None
    assert report.configuration.guards[0].settings.baseline_days == 3


@pytest.mark.parametrize("said", ["29", "-1", "1.5"])
def test_days_before_are_a_small_number(look: Look, said: str) -> None:
    [problem] = look(config=days(said)).problems
    assert problem.key == "guards.shop.baseline_days"
    assert "number" in str(problem)
