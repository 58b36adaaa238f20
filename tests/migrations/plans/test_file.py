"""A plan's mistakes are named with their lines, all at once."""

from pathlib import Path

import pytest

from watchdog.migrations.plans.file import read_plan
from watchdog.migrations.yaml_file import FileError


def _said(folder: Path, text: str) -> str:
    (folder / "a.sql").write_text("SELECT 1;")
    (folder / "plan.yaml").write_text(text)
    with pytest.raises(FileError) as caught:
        read_plan(folder / "plan.yaml")
    return str(caught.value).replace(str(folder), "")


def test_every_mistake_is_named(tmp_path: Path) -> None:
    said = _said(
        tmp_path,
        "version: 1\nrelease: r\nmigrations:\n"
        "  - {name: one, target: db, script: a.sql, after: [none]}\n"
        "  - {name: one, target: db, script: a.sql, colour: red}\n"
        "  - {name: two, target: db, script: b.sql}\n"
        "  - {name: three, target: db, script: c.txt}\n",
    )
    assert "/plan.yaml:4: migrations[0].after: there is no migration none in this plan" in said
    assert "/plan.yaml:5: migrations[1].name: two migrations are called one" in said
    assert "/plan.yaml:5: migrations[1].colour: is unknown" in said
    assert "/plan.yaml:6: migrations[2].script: /b.sql: the file cannot be read (No such file or directory)" in said
    assert "/plan.yaml:7: migrations[3].script: is no script that is known" in said


def test_a_circle_is_named(tmp_path: Path) -> None:
    said = _said(
        tmp_path,
        "version: 1\nrelease: r\nmigrations:\n"
        "  - {name: one, target: db, script: a.sql, after: [two]}\n"
        "  - {name: two, target: db, script: a.sql, after: [one]}\n",
    )
    assert "each of these must come after the next: one → two → one" in said or "two → one → two" in said


def test_what_nothing_stands_before_keeps_the_order_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("SELECT 1;")
    lines = "".join(f"  - {{name: {name}, target: db, script: a.sql, after: [{after}]}}\n" for name, after in
                    (("c", "b"), ("a", ""), ("b", ""), ("d", "")))  # fmt: skip
    (tmp_path / "plan.yaml").write_text(f"version: 1\nrelease: r\nmigrations:\n{lines}")
    assert [entry.name for entry in read_plan(tmp_path / "plan.yaml").entries] == ["a", "b", "c", "d"]
