import json
from pathlib import Path

import pytest

from tests.config.conftest import ENVIRON, REGISTRIES, SECRETS, Project
from watchdog.config import Address, ConfigError, Configuration, ConfiguredText, load
from watchdog.model.playbooks import Autonomy
from watchdog.model.rules import CheckRule, Expect, RatioRule, RungKind
from watchdog.model.signals import Selector, SignalKind
from watchdog.model.time import HOUR, MINUTE, SECOND


def loaded(project: Project) -> Configuration:
    return load(project.config, REGISTRIES, environ=project.environ)


def test_right_files_have_no_problem_and_no_warning(project: Project) -> None:
    assert project.said() == ""
    assert loaded(project).warnings == ()


def test_a_guard_has_its_settings_in_nanoseconds(project: Project) -> None:
    (guard,) = loaded(project).guards
    settings = guard.settings
    assert (settings.baseline, settings.bake, settings.resolve_after) == (20 * SECOND, 30 * SECOND, 10 * SECOND)
    assert settings.playbook.budget == 5 * MINUTE
    assert settings.plan.beats[-1].after == HOUR
    assert settings.plan.clock == 120
    assert guard.demo


def test_rules_are_those_of_the_files(project: Project) -> None:
    rules = {rule.name: rule for rule in loaded(project).guards[0].settings.rules}
    ratio, integrity = rules["error_rate"], rules["integrity"]
    assert isinstance(ratio, RatioRule)
    assert (ratio.above, ratio.hold, ratio.bad) == (0.05, 5 * MINUTE, Selector("errors"))
    assert isinstance(integrity, CheckRule)
    assert (integrity.enters, integrity.expect, integrity.proves) == (RungKind.DATA, Expect.BASELINE, True)


def test_the_parameters_of_confidence_stand_flat_in_a_rule(project: Project) -> None:
    project.change("rules/automatic.yaml", "    above: 5%\n", "    above: 5%\n    window: 2m\n    min_bad: 9\n")
    rule = loaded(project).guards[0].settings.rules[0]
    assert isinstance(rule, RatioRule)
    assert (rule.confidence.window, rule.confidence.min_bad, rule.confidence.z) == (2 * MINUTE, 9, 3.0)


def test_a_rule_can_choose_series_by_their_labels(project: Project) -> None:
    project.change("rules/automatic.yaml", '"5.."}, absent', '"5.."}, split: [app, route], absent')
    project.change("rules/automatic.yaml", "bad: errors", "bad: {signal: errors, where: {route: /x, app: 1}}")
    rule = loaded(project).guards[0].settings.rules[0]
    assert isinstance(rule, RatioRule)
    assert rule.bad == Selector("errors", (("app", "1"), ("route", "/x")))


def test_signals_have_the_kind_that_their_probe_gives(project: Project) -> None:
    kinds = {signal.name: signal.kind for signal in loaded(project).guards[0].settings.signals}
    assert kinds["latency"] is SignalKind.DISTRIBUTION
    assert kinds["db_commits"] is SignalKind.COUNTER
    assert kinds["rows_and_nodes"] is SignalKind.CHECK


def test_the_guards_own_interval_overrides_those_of_its_probes(project: Project) -> None:
    assert {probe.every for probe in loaded(project).guards[0].probes} == {SECOND}
    project.change("config.yaml", "    every: 1s\n", "")
    guard = loaded(project).guards[0]
    assert {probe.every for probe in guard.probes} == {5 * SECOND, 15 * SECOND}
    assert {signal.every for signal in guard.settings.signals} == {5 * SECOND, 15 * SECOND}


def test_two_probes_of_a_kind_and_role_have_names_of_their_own(project: Project) -> None:
    twice = "signals:\n  - {probe: redis, target: cache, read: {keys_there: {of: reachable}}}\n"
    project.change("rules/integrity.yaml", "signals:\n", twice)
    names = [probe.name for probe in loaded(project).guards[0].probes]
    assert {"redis:cache", "redis:cache#2"} <= set(names)
    assert len(names) == len(set(names))


def test_roles_are_the_targets_names_unless_the_guard_maps_them(project: Project) -> None:
    project.change("config.yaml", "  db:\n", "  main:\n")
    project.change("config.yaml", "    plan: seed\n", "    plan: seed\n    targets: {db: main}\n")
    roles = loaded(project).guards[0].roles
    assert (roles["db"], roles["cache"]) == ("main", "cache")


def test_files_of_the_daemon_are_in_the_state_directory(project: Project) -> None:
    configuration = loaded(project)
    assert configuration.state == Path("/tmp/wd")
    assert configuration.web.socket == Path("/tmp/wd/watchdog.sock")
    assert configuration.journal.path.parent == Path("/tmp/wd")
    assert configuration.web.metrics == Address(host="127.0.0.1", port=9187)


def test_a_relative_state_directory_is_beside_the_file(project: Project) -> None:
    project.change("config.yaml", "${env:WATCHDOG_STATE}", "kept")
    project.change("config.yaml", "web:\n", "web:\n  socket: /tmp/wd.sock\n")
    assert loaded(project).state == project.folder / "kept"


def test_references_in_text_are_resolved_and_those_in_secrets_are_not(project: Project) -> None:
    configuration = loaded(project)
    assert configuration.targets["api"].options.url == "http://127.0.0.1:8080"
    assert configuration.targets["service"].options.versions["v1"][0] == "/usr/bin/python3"
    password = configuration.targets["graph"].options.password
    assert str(password) == "${env:COMPLIANCE_NEO4J_PASSWORD}"
    assert password.reveal() == "correct-horse"


def test_a_secret_is_resolved_anew_at_each_use(project: Project) -> None:
    password = loaded(project).targets["graph"].options.password
    project.environ["COMPLIANCE_NEO4J_PASSWORD"] = "rotated"
    assert password.reveal() == "rotated"


def test_no_secret_is_in_what_a_configuration_shows(project: Project) -> None:
    shown = repr(loaded(project))
    assert "ConfiguredText(${env:SLACK_BOT_TOKEN})" in shown
    assert not [secret for secret in SECRETS if secret in shown]


def test_steps_keep_their_scripts(project: Project) -> None:
    (project.folder / "rollbacks/emergency/undo_reembedding.sql").write_text("SELECT 'ü';\n", encoding="utf-8")
    ladder = loaded(project).guards[0].settings.playbook
    step = next(step for rung in ladder.rungs for step in rung.steps if step.name == "take back the re-embedding")
    assert json.loads(step.options)["script"] == {"text": "SELECT 'ü';\n", "source": "undo_reembedding.sql"}
    assert step.transactional
    assert step.timeout == MINUTE


def test_the_hash_of_a_playbook_covers_its_scripts_and_not_its_comments(project: Project) -> None:
    before = loaded(project).guards[0].settings.playbook
    project.change("rollbacks/emergency/playbook.yaml", "budget: 5m", "# a comment\nbudget: 300s")
    assert loaded(project).guards[0].settings.playbook.hash == before.hash
    with (project.folder / "rollbacks/emergency/undo_reembedding.sql").open("a") as script:
        script.write("-- and this\n")
    assert loaded(project).guards[0].settings.playbook.hash != before.hash


def test_the_hash_covers_the_scripts_behind_a_compensation(project: Project) -> None:
    """Steps of a compensation stand between the steps of the rungs."""
    waits = "".join(f"      - {{name: wait {number}, kind: wait, for: {number}s}}\n" for number in range(1, 8))
    ladder = "rollbacks/emergency/playbook.yaml"
    project.change(ladder, "  - rung: flag\n", f"    compensate:\n{waits}  - rung: flag\n")
    scripts = sorted(each.name for each in (project.folder / "rollbacks/emergency").glob("undo_*"))
    seen = {loaded(project).guards[0].settings.playbook.hash}
    for name in scripts:
        with (project.folder / "rollbacks/emergency" / name).open("a") as script:
            script.write("\n")
        seen.add(loaded(project).guards[0].settings.playbook.hash)
    project.change("rollbacks/emergency/playbook.yaml", "kind: wait, for: 1s", "kind: wait, for: 9s")
    seen.add(loaded(project).guards[0].settings.playbook.hash)
    assert len(seen) == len(scripts) + 2


def test_the_hash_is_the_same_from_another_folder(project: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    there = project.folder.rename(tmp_path_factory.mktemp("other") / "place")
    moved = Project(there, dict(ENVIRON))
    first = loaded(moved).guards[0].settings.playbook.hash
    assert (
        loaded(Project(there.rename(there.with_name("again")), dict(ENVIRON))).guards[0].settings.playbook.hash == first
    )


def test_a_guard_without_a_plan_has_an_empty_one(project: Project) -> None:
    project.change("config.yaml", "    plan: seed\n", "")
    assert loaded(project).guards[0].settings.plan.beats == ()


def test_a_rung_observes_unless_it_says_otherwise(project: Project) -> None:
    project.change("rollbacks/emergency/playbook.yaml", "  - rung: stop\n    autonomy: act\n", "  - rung: stop\n")
    assert loaded(project).guards[0].settings.playbook.rungs[0].autonomy is Autonomy.OBSERVE


def test_loading_raises_everything_that_inspection_found(project: Project) -> None:
    project.change("config.yaml", "bake: 30s", "bake: soon")
    project.change("rules/automatic.yaml", "bad: errors", "bad: eror")
    with pytest.raises(ConfigError) as caught:
        loaded(project)
    assert caught.value.problems == project.inspect().problems
    assert len(caught.value.problems) == 2
    assert all(str(problem) in str(caught.value) for problem in caught.value.problems)


def test_a_literal_secret_is_shown_as_nothing() -> None:
    secret = ConfiguredText("postgresql://u:hunter2@${env:HOST}/db", {"HOST": "h"})
    assert repr(secret) == "ConfiguredText(…${env:HOST}…)"
    assert str(ConfiguredText("hunter2")) == "…"
    assert secret.reveal() == "postgresql://u:hunter2@h/db"
