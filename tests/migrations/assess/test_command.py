import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from watchdog.cli import app
from watchdog.migrations.assess.report import schema

RISKY = "-- first\nALTER TABLE orders ADD COLUMN note text;\nDROP TABLE old;\n"
Assess = Callable[..., Result]


@pytest.fixture
def assess(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Assess:
    monkeypatch.delenv("WATCHDOG_DATABASE", raising=False)

    def run(text: str | bytes, *options: str) -> Result:
        file = tmp_path / "up one.sql"
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return CliRunner().invoke(app, ["migration", "assess", str(file), *options])

    return run


@pytest.mark.parametrize(
    ("text", "options", "status"),
    [
        ("SELECT 1;", (), 0),
        ("", (), 0),
        (RISKY, (), 1),
        (RISKY, ("--fail-on", "critical"), 1),
        ("ALTER TABLE a RENAME TO b", ("--fail-on", "critical"), 0),
        ("ALTER TABLE a ADD b int", (), 0),
        ("ALTER TABLE a ADD b int", ("--fail-on", "medium"), 1),
        ("SELEC", (), 2),
        ("\\d a", (), 2),
        (b"SELECT '\xff'", (), 2),
        ("SELECT 1", ("--json", "--sarif"), 2),
        ("SELECT 1", ("--speed", "warp=9"), 2),
        ("SELECT 1", ("--speed", "scan_rows=fast"), 2),
        ("\ufeffSELECT 1", (), 0),
    ],
)
def test_the_exit_status_says_how_it_went(
    assess: Assess, text: str | bytes, options: tuple[str, ...], status: int
) -> None:
    ran = assess(text, *options)
    assert ran.exit_code == status, ran.output
    assert ran.exception is None or isinstance(ran.exception, SystemExit)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["migration", "assess", str(tmp_path / "gone.sql")])
    assert ran.exit_code == 2
    assert "gone.sql cannot be read" in ran.stderr


def test_an_error_names_file_and_line(assess: Assess) -> None:
    ran = assess("SELECT 1;\n\\copy a FROM b")
    assert "up one.sql, line 2: \\copy is a command of psql" in ran.stderr
    assert ran.stdout == ""


def test_the_text_says_lock_loss_and_safe_form(assess: Assess) -> None:
    said = assess(RISKY).stdout
    assert said.startswith("Grade: critical\n")
    assert "ACCESS EXCLUSIVE on public.old: blocks reads and writes" in said
    assert "destroys every row of old" in said
    assert "  ALTER TABLE old RENAME TO old_dropped;" in said
    assert "give --database" in said


def test_the_json_is_what_its_schema_says(assess: Assess) -> None:
    said = json.loads(assess(RISKY, "--json").stdout)
    _conforms(said, schema())
    assert (said["version"], said["grade"], said["statements"], said["undo"]) == (1, "critical", 2, "from an archive")
    assert said["categories"]["data"] == {"grade": "critical", "findings": 1}
    [dropped] = [each for each in said["findings"] if each["rule"] == "drop-table"]
    assert dropped == {
        "rule": "drop-table",
        "line": 3,
        "statement": "DROP TABLE old",
        "category": "data",
        "severity": "critical",
        "message": "table old is dropped with its rows; old code that uses it fails with 42P01",
        "table": "public.old",
        "locks": [{"relation": "public.old", "mode": "ACCESS EXCLUSIVE", "blocks": "reads and writes"}],
        "work": "none",
        "seconds": 0.0,
        "destroys": "every row of old",
        "undo": "from an archive",
        "safe": "ALTER TABLE old RENAME TO old_dropped;\n"
        "-- drop it in a later release, archived, when nothing has asked for it",
    }


def _conforms(value: Any, form: dict[str, Any]) -> None:
    """The part of JSON Schema that ours uses."""
    if "const" in form:
        assert value == form["const"]
    elif "enum" in form:
        assert value in form["enum"]
    else:
        kinds = form["type"] if isinstance(form["type"], list) else [form["type"]]
        python: dict[str, Any] = {
            "string": str,
            "integer": int,
            "number": (int, float),
            "boolean": bool,
            "null": type(None),
        }
        python |= {"object": dict, "array": list}
        assert any(isinstance(value, python[kind]) for kind in kinds), (value, kinds)
        if value is not None and "minimum" in form:
            assert value >= form["minimum"]
    if form.get("type") == "object":
        assert list(value) == form["required"]
        for name, inner in form["properties"].items():
            _conforms(value[name], inner)
    if form.get("type") == "array":
        for each in value:
            _conforms(each, form["items"])


def test_the_sarif_is_a_log_of_version_2_1_0(assess: Assess) -> None:
    log = json.loads(assess(RISKY, "--sarif").stdout)
    assert log["version"] == "2.1.0"
    [run] = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert run["tool"]["driver"]["name"] == "migration-watchdog"
    assert len({each["id"] for each in rules}) == len(rules)
    assert run["results"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in {"none", "note", "warning", "error"}
        # A level other than `none` is for failures alone.
        assert (result["kind"] == "fail") == (result["level"] != "none")
        assert result["message"]["text"]
        [location] = result["locations"]
        place = location["physicalLocation"]
        assert place["artifactLocation"]["uri"].endswith("/up%20one.sql")
        assert 1 <= place["region"]["startLine"] <= place["region"]["endLine"]
    worst = [each for each in run["results"] if each["ruleId"] == "drop-table"]
    assert [(each["level"], each["locations"][0]["physicalLocation"]["region"]["startLine"]) for each in worst] == [
        ("error", 3)
    ]


def test_the_real_database_is_asked(assess: Assess, shop_url: str) -> None:
    statement = "ALTER TABLE alone ALTER number SET NOT NULL"
    assert assess(statement).exit_code == 1
    said = assess(statement, "--database", shop_url, "--json")
    assert said.exit_code == 0
    assert json.loads(said.stdout)["measured"] is True
    slow = assess(statement, "--database", shop_url, "--speed", "scan_rows=1", "--json")
    [scan] = [each for each in json.loads(slow.stdout)["findings"] if each["rule"] == "set-not-null"]
    assert scan["seconds"] == pytest.approx(1000)
    assert slow.exit_code == 1
