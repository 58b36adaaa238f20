"""Whatever is done to the files, the answer is a report, and no secret is in it."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.config.conftest import SECRETS, Project, copy_project
from watchdog.config import ConfigError

FILES = ("config.yaml", "rules/automatic.yaml", "rules/integrity.yaml", "rollbacks/emergency/playbook.yaml")
PIECES = st.sampled_from(
    [
        *("", ":", "- ", "{", "}", "[", "]", "'", '"', "|", ">", "&a ", "*a", "!!str ", "!x ", "<<: ", "#", "%", "\t"),
        *(
            "~",
            "null",
            "true",
            "1",
            "-1",
            "1e999",
            ".nan",
            "5%",
            "30s",
            "9999999999d",
            "${env:",
            "${env:SLACK_BOT_TOKEN}",
        ),
        *(
            "${file:/}",
            "${x}",
            "\\",
            "\x00",
            "\x7f",
            "\ud800",
            "ü",
            "\u2028",
            '"\\ud800"',
            '"\\0"',
            "../",
            "data",
            "script",
        ),
    ]
)
EDIT = st.tuples(st.sampled_from(FILES), st.integers(0, 10_000), st.integers(0, 40), PIECES | st.text(max_size=6))


def apply(project: Project, file: str, where: int, length: int, piece: str) -> None:
    path = project.folder / file
    text = path.read_bytes().decode("utf-8", "surrogatepass")
    start = where % (len(text) + 1)
    changed = text[:start] + piece + text[start + length :]
    path.write_bytes(changed.encode("utf-8", "surrogatepass"))


def check(project: Project) -> None:
    report = project.inspect()
    assert (report.configuration is None) == bool(report.problems)
    shown = f"{report.problems!r}{report.warnings!r}{ConfigError(report.problems)}"
    assert not [secret for secret in SECRETS if secret in shown.replace("SLACK_BOT_TOKEN", "")]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(edits=st.lists(EDIT, min_size=1, max_size=4))
def test_edits_of_characters_end_in_a_report(edits: list[tuple[str, int, int, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        project = copy_project(Path(folder))
        for edit in edits:
            apply(project, *edit)
        check(project)


VALUES = st.sampled_from(
    ["", "~", "[]", "{}", "[a]", "{a: b}", "0", "-1", "5", "text", "5%", "30s", "true", "[[]]", "[~]", "${env:NO_SUCH}"]
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    file=st.sampled_from(FILES),
    edits=st.lists(st.tuples(st.integers(0, 500), VALUES | st.none()), min_size=1, max_size=3),
)
def test_other_values_and_missing_lines_end_in_a_report(file: str, edits: list[tuple[int, str | None]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        project = copy_project(Path(folder))
        path = project.folder / file
        lines = path.read_text().splitlines()
        for where, value in edits:
            position = where % len(lines)
            key, colon, _ = lines[position].partition(": ")
            lines[position : position + 1] = [] if value is None else [f"{key}: {value}" if colon else f"{key} {value}"]
        path.write_text("\n".join(lines) + "\n")
        check(project)
