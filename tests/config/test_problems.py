"""Each mistake with its file, line and key."""

import re
from pathlib import Path

import pytest

from tests.config.conftest import Project
from watchdog.config import Problem

CONFIG, RULES, CHECKS, LADDER = (
    "config.yaml",
    "rules/automatic.yaml",
    "rules/integrity.yaml",
    "rollbacks/emergency/playbook.yaml",
)

# file, what stands there, what is written instead, file and line of the problem (by a text in it), key, words in it
MISTAKES = {
    "an unknown key": (CONFIG, "bake: 30s", "baek: 30s", "baek", "guards.compliance.baek", "unknown key; write `bake`"),
    "an unknown key at the top": (CONFIG, "channels:\n", "chanels:\n", "chanels", "chanels", "write `channels`"),
    "a duration without unit": (CONFIG, "bake: 30s", "bake: 30", "bake", "guards.compliance.bake", "30s, 5m, 1h"),
    "a duration of nothing": (CONFIG, "every: 1s", "every: 0s", "every", "guards.compliance.every", "longer than"),
    "a missing key": (CONFIG, "    user: neo4j\n", "", "  graph:", "targets.graph.user", "is missing; write `user: …`"),
    "an empty key": (CONFIG, "user: neo4j", "user:", "user:", "targets.graph.user", "is empty"),
    "an unknown kind of target": (CONFIG, "kind: redis", "kind: reddis", "reddis", "targets.cache.kind", "`redis`"),
    "a variable that is not set": (
        CONFIG,
        "${env:COMPLIANCE_PID_FILE}",
        "${env:NO_SUCH}",
        "NO_SUCH",
        "targets.service.pid_file",
        "the environment variable `NO_SUCH` is not set",
    ),
    "a secret's variable that is not set": (
        CONFIG,
        "${env:SLACK_BOT_TOKEN}",
        "${env:NO_SUCH}",
        "NO_SUCH",
        "notifiers.slack.bot_token",
        "`NO_SUCH` is not set",
    ),
    "a secret's file that is not there": (
        CONFIG,
        "${env:SLACK_BOT_TOKEN}",
        "${file:/no/such/file}",
        "/no/such/file",
        "notifiers.slack.bot_token",
        "No such file",
    ),
    "a reference as a shell writes it": (
        CONFIG,
        "${env:COMPLIANCE_PID_FILE}",
        "${COMPLIANCE_PID_FILE}",
        "pid_file",
        "targets.service.pid_file",
        "write `${env:COMPLIANCE_PID_FILE}`",
    ),
    "a list that is text": (
        CONFIG,
        "[automatic, integrity]",
        "automatic",
        "automatic",
        "guards.compliance.rules",
        "list",
    ),
    "no rules": (CONFIG, "[automatic, integrity]", "[]", "[]", "guards.compliance.rules", "sees nothing"),
    "unknown rules": (CONFIG, "[automatic,", "[automatik,", "automatik", "guards.compliance.rules[0]", "`automatic`"),
    "rules outside of their folder": (CONFIG, "[automatic,", "[../x,", "../x", "guards.compliance.rules[0]", "no name"),
    "an unknown playbook": (CONFIG, "emergency", "emergancy", "emergancy", "guards.compliance.playbook", "`emergency`"),
    "an unknown plan": (CONFIG, "plan: seed", "plan: sed", "plan: sed", "guards.compliance.plan", "`seed`"),
    "an unknown channel": (
        CONFIG,
        "updates: incidents",
        "updates: incident",
        "updates: incident",
        "plans.seed.updates",
        "`incidents`",
    ),
    "a beat's unknown channel": (
        CONFIG,
        "channel: stakeholders}",
        "channel: holders}",
        "channel: holders}",
        "plans.seed.beats[1].channel",
        "`stakeholders`",
    ),
    "an unknown notifier": (
        CONFIG,
        "    notifier: slack\n    to: incidents",
        "    notifier: slak\n    to: incidents",
        "slak",
        "channels.incidents.notifier",
        "`slack`",
    ),
    "an unknown audience": (
        CONFIG,
        "audience: public",
        "audience: publik",
        "publik",
        "plans.seed.beats[2].audience",
        "`public`",
    ),
    "an address without port": (
        CONFIG,
        "127.0.0.1:${env",
        "127.0.0.1-${env",
        "127.0.0.1-",
        "web.metrics",
        "no address",
    ),
    "another version": (RULES, "version: 1", "version: 7", "version: 7", "version", "`7` is another version"),
    "no version": (RULES, "version: 1\n", "", "signals:", "version", "write `version: 1`"),
    "an unknown signal": (
        RULES,
        "bad: errors",
        "bad: erors",
        "erors",
        "rules.error_rate.bad",
        "no signal; write `errors`",
    ),
    "a signal of the wrong kind": (
        RULES,
        "bad: errors",
        "bad: healthy",
        "bad: healthy",
        "rules.error_rate.bad",
        "is a gauge",
    ),
    "a check of something else": (
        CHECKS,
        "[constraints_not_validated,",
        "[cache_reachable,",
        "[cache_reachable,",
        "rules.integrity.of[0]",
        "needs a check",
    ),
    "evidence from an unknown signal": (
        RULES,
        "signal: db_errors",
        "signal: db_eror",
        "signal: db_eror",
        "evidence[0].signal",
        "`db_errors`",
    ),
    "a signal declared twice": (
        CHECKS,
        "graph_reachable: {",
        "cache_reachable: {",
        "graph_reachable",
        "signals[4].read.cache_reachable",
        "declared already",
    ),
    "a rule declared twice": (CHECKS, "  orphans:\n", "  stall:\n", "  stall:", "rules.stall", "this rule already"),
    "a probe of an unknown target": (
        CHECKS,
        "graph: graph",
        "graph: grap",
        "grap",
        "signals[2].graph",
        "no target `grap`",
    ),
    "a probe of the wrong kind of target": (
        CHECKS,
        "target: cache",
        "target: db",
        "target: db",
        "signals[3].target",
        "is of kind `postgres`, but a `redis` probe reads redis; write `cache`",
    ),
    "an unknown kind of rule": (RULES, "kind: ratio", "kind: rate", "kind: rate", "rules.error_rate.kind", "`ratio`"),
    "an unknown mode": (RULES, "mode: literal", "mode: literally", "literally", "rules.blocked_ddl.mode", "`literal`"),
    "an unknown rung to enter": (
        RULES,
        "    after: 10s\n    enters: stop",
        "    after: 10s\n    enters: stopp",
        "stopp",
        "rules.stall.enters",
        "`stop`",
    ),
    "a share of more than everything": (
        RULES,
        "above: 5%",
        "above: 500%",
        "500%",
        "rules.error_rate.above",
        "everything",
    ),
    "a latency rule without floor": (
        RULES,
        "floor: 0.1",
        "floor: 0",
        "floor: 0",
        "rules.response_time.floor",
        "greater than 0",
    ),
    "a gauge rule without level": (RULES, "    above: 0\n", "", "  blocked_ddl:", "rules.blocked_ddl", "`above: …`"),
    "an unknown reading": (
        RULES,
        "{of: reachable}",
        "{of: reachabel}",
        "reachabel",
        "signals[2].read.db_reachable.of",
        "`reachable`",
    ),
    "an empty ladder": (LADDER, "", "version: 1\nrungs: []\n", "rungs", "rungs", "the ladder is empty"),
    "no ladder": (LADDER, "", "version: 1\n", "version", "rungs", "the ladder is empty"),
    "a rung twice": (LADDER, "- rung: flag", "- rung: stop", "rung: flag", "rungs[1].rung", "stands twice"),
    "rungs out of order": (LADDER, "- rung: stop", "- rung: data", "- rung: flag", "rungs[1].rung", "out of order"),
    "an unknown rung": (LADDER, "- rung: flag", "- rung: flog", "flog", "rungs[1].rung", "`flag`"),
    "an unknown kind of step": (LADDER, "kind: cypher", "kind: cipher", "cipher", "rungs[3].steps[3].kind", "`cypher`"),
    "a step on an unknown target": (
        LADDER,
        "target: cache",
        "target: cash",
        "cash",
        "rungs[3].steps[6].target",
        "`cache`",
    ),
    "a step on the wrong kind of target": (
        LADDER,
        "target: graph",
        "target: cache",
        "target: cache",
        "rungs[3].steps[3].target",
        "is of kind `redis`",
    ),
    "a step without target": (
        LADDER,
        "        target: graph\n",
        "",
        "take back the graph",
        "rungs[3].steps[3].target",
        "neo4j",
    ),
    "a step's unknown role": (LADDER, "confirm: api", "confirm: apy", "apy", "rungs[1].steps[0].confirm", "`api`"),
    "a step's name twice": (
        LADDER,
        "name: take back the graph migration",
        "name: take back the compliance score",
        "name: take back the compliance score",
        "rungs[3].steps[4].name",
        "the name of another step",
    ),
    "a script that is not there": (
        LADDER,
        "undo_reembedding.sql",
        "undo_embedding.sql",
        "undo_embedding.sql",
        "rungs[3].steps[2].script.file",
        "No such file",
    ),
    "a script that is text": (
        LADDER,
        "{file: undo_reembedding.sql}",
        "undo_reembedding.sql",
        "undo_reembedding.sql",
        "rungs[3].steps[2].script",
        "write `{file: name}`",
    ),
    "a nested unknown key": (
        LADDER,
        "columns: [compliance_score]",
        "colums: [compliance_score]",
        "colums",
        "rungs[3].steps[4].archive[0].colums",
        "unknown key; write `columns`",
    ),
    "a reference outside of a secret": (
        LADDER,
        "backup: 2025-01-08-001",
        "backup: ${env:WATCHDOG_STATE}",
        "backup:",
        "rungs[3].steps[3].backup",
        "into the journal",
    ),
    "a reference of a kind that there is not": (
        CONFIG,
        "${env:SLACK_BOT_TOKEN}",
        "${vault:token}",
        "${vault:token}",
        "notifiers.slack.bot_token",
        "`${` begins no reference that is known; write `${env:NAME}` or `${file:/path}`",
    ),
    "a reference that does not end": (
        CONFIG,
        "${env:COMPLIANCE_PID_FILE}",
        "'${env:COMPLIANCE_PID_FILE'",
        "pid_file",
        "targets.service.pid_file",
        "begins no reference",
    ),
    "two beats with one name": (
        CONFIG,
        "name: status page",
        "name: stakeholders",
        "audience: public",
        "plans.seed.beats[2].name",
        "`stakeholders` is the name of another beat, in line ",
    ),
    "evidence by a label that the counter has not": (
        RULES,
        "label: sqlstate",
        "label: sqlstat",
        "label: sqlstat",
        "evidence[0].label",
        "the signal `db_errors` is not split by `sqlstat`, so nothing is ever counted; write `sqlstate`",
    ),
    "a rule by a label that the counter has not": (
        RULES,
        "bad: errors",
        "bad: {signal: errors, where: {route: /x}}",
        "bad: {signal",
        "rules.error_rate.bad.where.route",
        "write `route` under `split` of the signal",
    ),
    "a code that is no SQLSTATE": (
        RULES,
        '"42703"',
        '"4270"',
        '"4270"',
        "evidence[0].codes[0]",
        "`4270` is no SQLSTATE of five characters; write",
    ),
    "evidence without codes": (
        RULES,
        'codes: ["42703", "42P01", "23502", "22P02"]',
        "codes: []",
        "codes: []",
        "evidence[0].codes",
        "names no code",
    ),
    "a share of everything in everything": (
        RULES,
        "bad: errors",
        "bad: requests",
        "bad: requests",
        "rules.error_rate.bad",
        "is the same as `total`",
    ),
    "a gauge rule with a mode": (
        RULES,
        "mode: literal",
        "mode: either",
        "mode: either",
        "rules.blocked_ddl.mode",
        "always literal; write literal, or leave it out",
    ),
    "a stall rule with a mode": (
        RULES,
        "    after: 10s\n",
        "    after: 10s\n    mode: literal\n",
        "mode: literal",
        "rules.stall.mode",
        "always confident",
    ),
    "a stall rule that holds": (
        RULES,
        "    after: 10s\n",
        "    after: 10s\n    hold: 1m\n",
        "hold: 1m",
        "rules.stall.hold",
        "is not looked at: a breach of such a rule counts at once; write `after: …`",
    ),
    "a check rule that holds": (
        CHECKS,
        "    help: The catalog",
        "    hold: 1m\n    help: The catalog",
        "hold: 1m",
        "rules.integrity.hold",
        "write `confirm: …`",
    ),
    "a confident rule that holds": (
        RULES,
        "above: 5%\n    hold: 5m\n    mode: either",
        "above: 5%\n    hold: 5m\n    mode: confident",
        "hold: 5m",
        "rules.error_rate.hold",
        "another `mode`",
    ),
    "a fence that is never lifted": (
        LADDER,
        "        do: lift\n",
        "        do: fence\n",
        "name: fence writers",
        "rungs[3].steps[0]",
        "`compliance_app` can never write again; write a step with `do: lift`",
    ),
    "a lift before its fence": (
        LADDER,
        "        do: fence\n",
        "        do: lift\n",
        "roles: [compliance_app]",
        "rungs[3].steps[0].roles",
        "`compliance_app` was not kept from writing by a step before this one",
    ),
    "a lift for somebody else": (
        LADDER,
        "        do: lift\n        roles: [compliance_app]",
        "        do: lift\n        roles: [compliance_app, compliance_job]",
        "compliance_job",
        "rungs[3].steps[7].roles",
        "`compliance_job` was not kept from writing",
    ),
    "a lift for too few": (
        LADDER,
        "        do: fence\n        roles: [compliance_app]",
        "        do: fence\n        roles: [compliance_app, compliance_job]",
        "name: fence writers",
        "rungs[3].steps[0]",
        "`compliance_job` can never write again",
    ),
    "a number below its bound": (
        RULES,
        "min_count: 3",
        "min_count: 0",
        "min_count: 0",
        "evidence[0].min_count",
        "must be greater than 0; write a number greater than 0",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_reported_once_with_file_line_and_key(project: Project, mistake: str) -> None:
    file, old, new, marker, key, words = MISTAKES[mistake]
    before = (project.folder / file).read_text().splitlines()
    if old:
        project.change(file, old, new)
    else:
        (project.folder / file).write_text(new)
    lines = (project.folder / file).read_text().splitlines()
    expected = [number for number, line in enumerate(lines, 1) if marker in line]
    expected = expected or [number for number, line in enumerate(before, 1) if marker in line]

    own = [found for found in project.inspect().problems if found.key == key]

    assert [str(Path(found.file).relative_to(project.folder)) for found in own] == [file]
    assert own[0].line in expected
    assert words in str(own[0])
    assert own[0].instead
    assert len(project.inspect().problems) == 1 or mistake in CONSEQUENCES


CONSEQUENCES = {
    "an unknown key at the top",  # the channels are gone with it
    "an empty ladder",  # rules enter above it
    "no ladder",
    "a rung twice",
    "rungs out of order",
    "a signal declared twice",
    "an unknown rung",
    "a fence that is never lifted",  # and its roles are fenced twice
    "a lift before its fence",
}


def test_all_mistakes_in_all_files_are_reported_together(project: Project) -> None:
    project.change(CONFIG, "bake: 30s", "bake: soon")
    project.change(CONFIG, "plan: seed", "plan: none")
    project.change(CONFIG, "user: neo4j", "usr: neo4j")
    project.change(
        RULES, "bad: errors\n    total: requests\n    above: 5%", "bad: eror\n    total: requets\n    above: x"
    )
    project.change(CHECKS, "target: cache", "target: cash")
    project.change(LADDER, "        target: graph\n        timeout: 60s", "        target: graf\n        timeout: x")
    assert project.found() == [
        (CONFIG, project.line(CONFIG, "  graph:"), "targets.graph.user"),
        (CONFIG, project.line(CONFIG, "usr:"), "targets.graph.usr"),
        (CONFIG, project.line(CONFIG, "plan: none"), "guards.compliance.plan"),
        (CONFIG, project.line(CONFIG, "bake: soon"), "guards.compliance.bake"),
        (LADDER, project.line(LADDER, "graf"), "rungs[3].steps[3].target"),
        (LADDER, project.line(LADDER, "timeout: x"), "rungs[3].steps[3].timeout"),
        (RULES, project.line(RULES, "eror"), "rules.error_rate.bad"),
        (RULES, project.line(RULES, "requets"), "rules.error_rate.total"),
        (RULES, project.line(RULES, "above: x"), "rules.error_rate.above"),
        (CHECKS, project.line(CHECKS, "cash"), "signals[3].target"),
    ]


def test_options_may_check_themselves(project: Project) -> None:
    text = re.sub(r"versions:\n( +v\d: .*\n)+", "versions: {}\n", project.config.read_text())
    project.config.write_text(text)
    (problem,) = project.inspect().problems
    assert (problem.line, problem.key) == (project.line(CONFIG, "  service:"), "targets.service")
    assert "a process needs at least one version" in str(problem)


def test_a_missing_configuration_says_so(project: Project) -> None:
    project.config.unlink()
    assert "config.yaml: the file cannot be read: No such file" in project.said()


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("version: 1\nstate: [a\n", 3, "this is not YAML"),
        ("version: 1\nstate: [a\nb: c\n", 3, "write the `]` that closes the list"),
        ("version: 1\nstate: \tx: y\n", 2, "write spaces in place of the tab"),
        ("version: 1\nstate: a: b\n", 2, "write each key on a line of its own, or quotes around a value"),
        ("version: 1\n  state: a\n", 2, "write each key on a line of its own"),
        ("version: 1\nversion: 1\n", 2, "stands twice, first in line 1"),
        ("- a\n", 1, "must be a mapping"),
        ("", 1, "the file is empty"),
        ("version: 1\nstate: !!python/name:os.system x\n", 2, "tags are not read"),
        ("version: 1\nstate: a\x07b\n", 2, "control character; write the text without it"),
        ('version: 1\nstate: "\\UFFFFFFFF"\n', 0, "impossible number; write the character itself"),
        ("a: &a [*a]\n", 1, "an anchor holds itself; write the alias outside"),
        ("a: " + "[" * 1200 + "]" * 1200 + "\n", 0, "nested too deeply; write it flatter"),
        ("version: 1\nstate: *hunter2\n", 2, "found undefined alias …; write the anchor"),
    ],
)
def test_what_is_no_configuration_at_all_says_where_and_what_to_write(
    project: Project, text: str, line: int, words: str
) -> None:
    project.config.write_text(text)
    problems = project.inspect().problems
    assert any(problem.line == line and words in str(problem) for problem in problems), problems
    assert all(problem.instead for problem in problems)
    assert "hunter2" not in project.said()


def test_a_file_that_is_not_utf8_names_the_line(project: Project) -> None:
    project.config.write_bytes(b"version: 1\nstate: caf\xe9\n")
    assert "config.yaml:2: the file is not UTF-8" in project.said()


def test_anchors_that_multiply_are_refused(project: Project) -> None:
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
    project.config.write_text("a0: &a0 [x]\n" + levels)
    assert "more than 100000 values" in project.said()


def test_anchors_and_merges_are_read(project: Project) -> None:
    project.change(CONFIG, "  incidents:\n    notifier: slack\n", "  incidents: &slack\n    notifier: slack\n")
    project.change(CONFIG, "    notifier: slack\n    to: stakeholders", "    <<: *slack\n    to: stakeholders")
    configuration = project.inspect().configuration
    assert configuration is not None
    assert configuration.channels["stakeholders"].notifier == "slack"
    assert configuration.channels["stakeholders"].to == "stakeholders"


def test_an_unreadable_script_and_one_that_is_not_utf8(project: Project) -> None:
    folder = project.folder / "rollbacks/emergency"
    (folder / "undo_reembedding.sql").unlink()
    (folder / "undo_reembedding.sql").mkdir()
    (folder / "undo_add_compliance_score.sql").write_bytes(b"SELECT '\xe9';")
    (folder / "undo_add_user_preferences_v1.sql").write_text("  \n")
    said = project.said()
    assert "cannot be read: Is a directory" in said
    assert "is not UTF-8; write it again as UTF-8" in said
    assert "undo_add_user_preferences_v1.sql` is empty" in said


def test_a_destructive_script_without_archive_is_refused_at_its_own_line(project: Project) -> None:
    script = project.folder / "rollbacks/emergency/undo_add_user_preferences_v1.sql"
    script.write_text("SELECT 1;\n\nDROP TABLE user_preferences;\n")
    assert project.said() == ""
    text = (project.folder / LADDER).read_text()
    start = text.index("        archive:\n          - {name: user_preferences")
    end = text.index("      - name: clear the service's cache")
    (project.folder / LADDER).write_text(text[:start] + text[end:])
    (problem,) = project.inspect().problems
    assert problem == Problem(
        str(script), 3, "rungs[3].steps[5].script", "DROP TABLE destroys rows that nothing archives"
    )


def test_a_destructive_script_written_in_place_is_refused_at_its_line(project: Project) -> None:
    step = """      - name: drop it
        kind: sql
        target: db
        script:
          text: |
            SELECT 1;
            DROP TABLE x;
      - name: clear the service's cache
"""
    project.change(LADDER, "      - name: clear the service's cache\n", step)
    (problem,) = project.inspect().problems
    assert (problem.file, problem.line) == (str(project.folder / LADDER), project.line(LADDER, "DROP TABLE x"))


def test_a_secret_written_out_in_a_playbook_is_refused_and_not_shown(project: Project) -> None:
    step = "      - {name: call, kind: http, target: api, path: /x, headers: {Authorization: %s}}\n"
    begin = "      - name: clear the service's cache\n"
    project.change(LADDER, begin, step % "Bearer hunter2" + begin)
    (problem,) = project.inspect().problems
    assert problem.key == "rungs[3].steps[6].headers.Authorization"
    assert "a secret is written out here; write `${env:NAME}`" in str(problem)
    assert "hunter2" not in str(problem)
    project.change(LADDER, "Bearer hunter2", "'Bearer ${env:SLACK_APP_TOKEN}'")
    assert project.said() == ""


@pytest.mark.parametrize(
    ("file", "old"),
    [
        *((CONFIG, name) for name in ("automatic, ", "emergency", "plan: seed", "updates: incidents")),
        *((RULES, name) for name in ("bad: errors", "signal: db_errors")),
        *((CHECKS, name) for name in ("graph: graph", "target: cache")),
        *((LADDER, name) for name in ("target: cache", "confirm: api")),
    ],
)
def test_a_secret_in_place_of_a_name_is_refused_and_not_shown(project: Project, file: str, old: str) -> None:
    key, colon, _ = old.partition(": ")
    project.change(file, old, f"{key if colon else ''}{colon}'${{env:SLACK_BOT_TOKEN}}'" + (", " if "," in old else ""))
    said = project.said()
    assert "`${env:SLACK_BOT_TOKEN}` a reference cannot stand for a name" in said
    assert "xoxb" not in said


def test_a_data_rung_that_acts_without_steps_is_refused(project: Project) -> None:
    text = (project.folder / LADDER).read_text()
    start = text.index("    steps:\n      - name: fence writers")
    (project.folder / LADDER).write_text(text[:start])
    assert project.found() == [(LADDER, project.line(LADDER, "rung: data"), "rungs[3].steps")]


def test_a_rule_may_not_enter_above_the_ladder(project: Project) -> None:
    text = (project.folder / LADDER).read_text()
    (project.folder / LADDER).write_text(text[: text.index("  - rung: data")])
    assert {key for _, _, key in project.found()} == {"rules.integrity.enters", "rules.orphans.enters"}
    assert "enters at `data`, but the playbook `emergency` ends at `code`" in project.said()


def test_two_guards_are_both_checked_and_what_they_share_is_said_once(project: Project) -> None:
    other = "  other:\n    rules: [automatic]\n    playbook: emergency\n    targets: {db: nowhere}\n"
    with project.config.open("a") as config:
        config.write(other)
    project.change(RULES, "bad: errors", "bad: eror")
    assert [key for _, _, key in project.found()] == ["guards.other.targets.db", "rules.error_rate.bad"]


def test_a_name_that_could_leave_its_folder_is_refused(project: Project) -> None:
    project.change(CONFIG, "  compliance:\n", "  ../compliance:\n")
    assert "`../compliance` is no name" in project.said()


def test_a_socket_that_linux_cannot_bind_is_refused(project: Project) -> None:
    project.environ["WATCHDOG_STATE"] = "/" + "x" * 110
    assert "longer than 107 bytes" in project.said()


def test_nothing_guarded_is_a_problem(project: Project) -> None:
    text = project.config.read_text()
    project.config.write_text(text[: text.index("guards:")] + "guards: {}\n")
    assert "guards: nothing is guarded" in project.said()


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("guards.compliance.bake", "10m or more"),
        ("guards.compliance.baseline", "5m or more"),
        ("guards.compliance.every", "5s or more"),
        ("plans.seed.clock", "wrong times"),
    ],
)
def test_values_of_a_demo_are_warned_about_unless_they_are_meant(project: Project, key: str, words: str) -> None:
    assert project.inspect().warnings == ()
    project.change(CONFIG, "    demo: true ", "    demo: false ")
    report = project.inspect()
    (found,) = [each for each in report.warnings if each.key == key]
    assert words in str(found)
    assert report.configuration is not None
    assert report.configuration.warnings == report.warnings


def test_a_probe_that_is_too_frequent_by_itself_is_warned_about(project: Project) -> None:
    project.change(CONFIG, "    every: 1s\n", "")
    project.change(CONFIG, "    demo: true ", "    demo: false ")
    project.change(CHECKS, "    target: graph\n    every: 5s", "    target: graph\n    every: 1s")
    found = [warning for warning in project.inspect().warnings if warning.file.endswith(CHECKS)]
    assert [warning.key for warning in found if warning.key.endswith("every")] == ["signals[4].every"]


def test_a_reading_that_may_take_as_long_as_its_interval_is_warned_about(project: Project) -> None:
    project.change(CONFIG, "    every: 1s\n", "")
    project.change(CONFIG, "    demo: true ", "    demo: false ")
    project.change(
        CHECKS, "    target: graph\n    every: 5s\n    timeout: 3s", "    target: graph\n    every: 5s\n    timeout: 5s"
    )
    found = {warning.key: str(warning) for warning in project.inspect().warnings if warning.key.endswith("timeout")}
    assert set(found) == {"signals[2].timeout", "signals[4].timeout"}
    assert "as long as the interval of 5.0 s; write less than `every`" in found["signals[4].timeout"]


def test_a_step_that_may_take_longer_than_the_budget_is_warned_about(project: Project) -> None:
    project.change(LADDER, "budget: 5m", "budget: 50s")
    found = {warning.key: str(warning) for warning in project.inspect().warnings}
    assert set(found) == {f"rungs[3].steps[{number}].timeout" for number in (2, 3, 4, 5)}
    assert "longer than the whole budget of 50 s" in found["rungs[3].steps[3].timeout"]


def test_what_nothing_uses_is_warned_about(project: Project) -> None:
    unused = "channels:\n  spare:\n    notifier: slack\n    to: x\n"
    project.change(CONFIG, "channels:\n", unused)
    more = (
        "notifiers:\n  second:\n    kind: slack\n    bot_token: ${env:SLACK_BOT_TOKEN}\n    app_token: xapp-literal\n"
    )
    project.change(CONFIG, "notifiers:\n", more)
    project.change(CONFIG, "plans:\n", "plans:\n  idle: {}\n")
    found = {warning.key: str(warning) for warning in project.inspect().warnings}
    assert set(found) == {"channels.spare", "notifiers.second", "plans.idle", "notifiers.second.app_token"}
    assert "xapp-literal" not in "".join(found.values())


def test_a_rule_that_enters_at_data_without_proof_is_warned_about(project: Project) -> None:
    project.change(
        CHECKS, "    enters: data\n    proves: true\n    help: The catalog", "    enters: data\n    help: The"
    )
    (warning,) = project.inspect().warnings
    assert (warning.key, warning.line) == ("rules.integrity.enters", project.line(CHECKS, "enters: data"))
