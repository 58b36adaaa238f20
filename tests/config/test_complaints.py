"""What the kinds that we ship find wrong, at its place and without a word of a secret."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from watchdog.app.registries import registries
from watchdog.config import Problem, Report, inspect

CONFIG = """\
version: 1
state: state
targets:
  api: {kind: http, url: "${env:API}"}
  db: {kind: postgres, url: "${env:DB}"}
  cache: {kind: redis, url: "${env:CACHE}"}
  graph: {kind: neo4j, url: "${env:GRAPH}", user: u, password: "${env:WORD}"}
guards:
  shop: {rules: [checks], playbook: emergency}
"""

RULES = """\
version: 1
signals:
  - probe: sql_check
    target: db
    read:
      orphans:
        query:
          text: |
            SELECT 1
            FROM t
  - probe: cypher_check
    target: graph
    read:
      lonely: {query: {file: lonely.cypher}}
  - probe: cross_check
    target: db
    graph: graph
    read:
      both: {rows: {text: SELECT id FROM t}, nodes: {file: nodes.cypher}}
rules:
  broken: {kind: check, of: [orphans, lonely, both]}
"""

PLAYBOOK = """\
version: 1
rungs:
  - rung: RUNG
    steps:
      - {name: fence, kind: fence_writers, target: db, do: fence, roles: [app]}
      - name: undo
        kind: sql
        target: db
        script: {file: undo.sql}
        archive: [{name: kept, table: public.t}]
      - {name: forget, kind: cypher, target: graph, script: {file: undo.cypher}, backup: b1}
      - {name: lift, kind: fence_writers, target: db, do: lift, roles: [app]}
"""

FILES = {
    "config.yaml": CONFIG,
    "rules/checks.yaml": RULES,
    "rules/lonely.cypher": "// nodes without a row\nMATCH (n:Thing) WHERE NOT (n)--() AND n.set = 1 RETURN n AS set\n",
    "rules/nodes.cypher": "MATCH (n:Thing)\nRETURN n.id;\n",
    "rollbacks/emergency/playbook.yaml": PLAYBOOK.replace("RUNG", "data"),
    "rollbacks/emergency/undo.sql": "SELECT 1;\nDELETE FROM t WHERE a;\n",
    "rollbacks/emergency/undo.cypher": "MATCH (n:Thing) DETACH DELETE n;\n",
}

ENVIRON = {
    "API": "http://127.0.0.1:8080/base",
    "DB": "postgresql://watchdog:hunter2%40@127.0.0.1:5432/shop",
    "CACHE": "redis://:hunter2@127.0.0.1/3",
    "GRAPH": "bolt+s://127.0.0.1",
    "WORD": "hunter2",
}


def looked_at(
    folder: Path, changes: Mapping[str, str] | None = None, environ: Mapping[str, str] | None = None
) -> Report:
    for name, text in {**FILES, **(changes or {})}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return inspect(folder / "config.yaml", registries(), environ={**ENVIRON, **(environ or {})})


def only(report: Report) -> Problem:
    (problem,) = report.problems
    assert "hunter2" not in str(problem)
    return problem


def test_what_is_in_order_has_no_complaint(tmp_path: Path) -> None:
    report = looked_at(tmp_path)
    assert (report.problems, report.warnings) == ((), ())


@pytest.mark.parametrize(
    ("variable", "target", "url"),
    [
        ("API", "api", "htp://hunter2"),
        ("API", "api", "127.0.0.1:8080"),
        ("API", "api", "http://127.0.0.1:99999"),
        ("API", "api", "http://"),
        ("DB", "db", "mysql://u:hunter2@127.0.0.1/shop"),
        ("DB", "db", "$SHOP_DB_URL"),
        ("DB", "db", ""),
        ("DB", "db", "postgresql://u:p@hunter2@127.0.0.1:1/db"),
        ("DB", "db", "postgresql://u:1/hunter2@127.0.0.1:1/db"),
        ("DB", "db", "postgresql://127.0.0.1:99999/db"),
        ("DB", "db", "postgresql://127.0.0.1:hunter2/db"),
        ("CACHE", "cache", "http://127.0.0.1"),
        ("CACHE", "cache", "redis://127.0.0.1/hunter2"),
        ("CACHE", "cache", "redis://u:99/hunter2@127.0.0.1/0"),
        ("GRAPH", "graph", "http://127.0.0.1:7687"),
        ("GRAPH", "graph", "bolt://127.0.0.1:abc"),
    ],
)
def test_an_address_that_is_none_is_reported_and_not_shown(
    tmp_path: Path, variable: str, target: str, url: str
) -> None:
    problem = only(looked_at(tmp_path, environ={variable: url}))
    assert problem.key == f"targets.{target}.url"
    assert problem.line == CONFIG.splitlines().index(next(x for x in CONFIG.splitlines() if f"  {target}:" in x)) + 1
    assert re.fullmatch(r"is no (HTTP|PostgreSQL|Redis|Neo4j) address", problem.message)
    assert "://" in problem.instead


@pytest.mark.parametrize(
    ("query", "line", "words"),
    [
        ("SELECT 1\n            FRM t x", 10, "syntax error"),
        ("DELETE FROM t\n            RETURNING 1", 8, "is not one statement that only reads"),
        ("SELECT 1;\n            SELECT 2", 8, "is not one statement"),
        ("WITH gone AS (DELETE FROM t RETURNING 1)\n            SELECT 1", 8, "is not one statement"),
        ("-- nothing", 8, "is not one statement"),
    ],
)
def test_a_check_in_sql_must_be_one_select(tmp_path: Path, query: str, line: int, words: str) -> None:
    rules = RULES.replace("SELECT 1\n            FROM t", query)
    problem = only(looked_at(tmp_path, {"rules/checks.yaml": rules}))
    assert Path(problem.file).name == "checks.yaml"
    assert problem.key == "signals[0].read.orphans.query"
    assert words in problem.message
    assert problem.instead == "one SELECT that only reads"
    assert problem.line == (line if "syntax" in words else 7)


@pytest.mark.parametrize(
    ("query", "line", "words"),
    [
        ("// a comment\nthis is not cypher at all;", 2, "is no Cypher query"),
        ("MATCH (n:Thing)\nDETACH DELETE n\nRETURN 1", 1, "DELETE writes, and a check must only read"),
        ("MATCH (n:Thing) SET n.x = 1 RETURN n", 1, "SET writes"),
        ("MATCH (n:Thing) CREATE (:Other) RETURN n", 1, "CREATE writes"),
        ("MATCH (n:Thing)", 1, "returns nothing"),
        ("MATCH (n:Thing RETURN n", 1, "brackets do not match"),
    ],
)
@pytest.mark.parametrize("file", ["rules/lonely.cypher", "rules/nodes.cypher"])
def test_a_check_in_cypher_must_be_one_reading_query(
    tmp_path: Path, file: str, query: str, line: int, words: str
) -> None:
    problem = only(looked_at(tmp_path, {file: query}))
    assert (Path(problem.file), problem.line) == (tmp_path / file, line)
    assert words in problem.message
    assert problem.instead == "one query such as MATCH … RETURN …"


@pytest.mark.parametrize("query", ["RETURN 1;\nRETURN 2;", "RETURN 1; RETURN 2", "// nothing"])
def test_a_check_in_cypher_must_be_one_statement(tmp_path: Path, query: str) -> None:
    problem = only(looked_at(tmp_path, {"rules/nodes.cypher": query}))
    assert (problem.key, problem.message) == ("signals[2].read.both.nodes", "is not one statement")


def test_a_syntax_error_in_a_script_says_what_to_write(tmp_path: Path) -> None:
    problem = only(looked_at(tmp_path, {"rollbacks/emergency/undo.sql": "SELECT 1;\nDELET FROM t;\n"}))
    assert (Path(problem.file).name, problem.line) == ("undo.sql", 2)
    assert problem.instead == "a statement that the server can read"


@pytest.mark.parametrize("rung", ["stop", "flag", "code"])
def test_data_is_destroyed_in_the_data_rung_alone(tmp_path: Path, rung: str) -> None:
    playbook = PLAYBOOK.replace("RUNG", rung)
    report = looked_at(tmp_path, {"rollbacks/emergency/playbook.yaml": playbook})
    assert [problem.key for problem in report.problems] == ["rungs[0].steps[1]", "rungs[0].steps[2]"]
    for problem in report.problems:
        assert problem.message == f"it destroys data, but the {rung} rung has none of the data rung's brakes"
        assert problem.instead == "the step into the data rung"


def test_what_loses_nothing_may_stand_in_any_rung(tmp_path: Path) -> None:
    changes = {
        "rollbacks/emergency/playbook.yaml": PLAYBOOK.replace("RUNG", "flag"),
        "rollbacks/emergency/undo.sql": "INSERT INTO log VALUES (1);\n",
        "rollbacks/emergency/undo.cypher": "MERGE (:Thing {id: 1});\n",
    }
    assert looked_at(tmp_path, changes).problems == ()


def test_a_compensation_may_not_destroy_data_either(tmp_path: Path) -> None:
    playbook = "version: 1\nrungs:\n  - rung: flag\n    compensate:\n      - name: undo\n        kind: sql\n"
    playbook += (
        "        target: db\n        script: {file: undo.sql}\n        archive: [{name: kept, table: public.t}]\n"
    )
    report = looked_at(tmp_path, {"rollbacks/emergency/playbook.yaml": playbook})
    assert [problem.key for problem in report.problems] == ["rungs[0].compensate[0]"]


def test_the_condition_of_a_compensation_names_a_step_of_its_rung(tmp_path: Path) -> None:
    playbook = (
        "version: 1\nrungs:\n  - rung: flag\n"
        "    steps:\n"
        "      - {name: pause, kind: wait, for: 1s, only_after: pause}\n"
        "    compensate:\n"
        "      - {name: again, kind: wait, for: 1s, only_after: pause}\n"
        "      - {name: or not, kind: wait, for: 1s, unless_after: paws}\n"
    )
    report = looked_at(tmp_path, {"rollbacks/emergency/playbook.yaml": playbook})
    assert [(problem.key, problem.line) for problem in report.problems] == [
        ("rungs[0].steps[0].only_after", 5),
        ("rungs[0].compensate[1].unless_after", 8),
    ]


def test_a_data_rung_that_lets_users_write_is_warned_about(tmp_path: Path) -> None:
    playbook = "\n".join(line for line in PLAYBOOK.replace("RUNG", "data").splitlines() if "fence_writers" not in line)
    report = looked_at(tmp_path, {"rollbacks/emergency/playbook.yaml": playbook})
    assert report.problems == ()
    (warning,) = report.warnings
    assert warning.key == "rungs[0].steps[0]"
    assert "lets users write while it rolls back" in warning.message


def test_a_fence_on_one_database_is_not_lifted_on_another(tmp_path: Path) -> None:
    config = CONFIG.replace("  cache:", '  other: {kind: postgres, url: "${env:DB}"}\n  cache:')
    playbook = PLAYBOOK.replace("RUNG", "data").replace("target: db, do: lift", "target: other, do: lift")
    report = looked_at(tmp_path, {"config.yaml": config, "rollbacks/emergency/playbook.yaml": playbook})
    assert [problem.key for problem in report.problems] == ["rungs[0].steps[0]", "rungs[0].steps[3].roles"]


def test_roles_may_be_fenced_again_after_they_were_let_in(tmp_path: Path) -> None:
    again = "".join(
        f"      - {{name: {do} again, kind: fence_writers, target: db, do: {do}, roles: [app]}}\n"
        for do in ("fence", "lift")
    )
    playbook = PLAYBOOK.replace("RUNG", "data") + again
    assert looked_at(tmp_path, {"rollbacks/emergency/playbook.yaml": playbook}).problems == ()


def test_two_fences_are_one_too_many(tmp_path: Path) -> None:
    lines = PLAYBOOK.replace("RUNG", "data").splitlines(keepends=True)
    lines.insert(5, lines[4].replace("name: fence", "name: again"))
    report = looked_at(tmp_path, {"rollbacks/emergency/playbook.yaml": "".join(lines)})
    problem = only(report)
    assert (problem.key, problem.line) == ("rungs[0].steps[1]", 6)
    assert "cannot write already" in problem.message


def test_options_that_check_themselves_name_the_key_and_the_bounds(tmp_path: Path) -> None:
    rules = RULES.replace("    graph: graph\n", "    graph: graph\n    max_ids: 0\n")
    problem = only(looked_at(tmp_path, {"rules/checks.yaml": rules}))
    assert (problem.key, problem.line) == ("signals[2].max_ids", rules[: rules.index("max_ids")].count("\n") + 1)
    assert problem.instead == "a number from 1 to 1000000"
