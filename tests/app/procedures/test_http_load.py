"""The tool is no part of the test environment: a stand-in is called as pywrkr 1.6 is, and writes what that writes."""

import json
import stat
import sys
from pathlib import Path

import pytest

from tests.app.procedures.conftest import Service
from watchdog.app.procedures import http_load as module
from watchdog.app.procedures.http_load import http_load, read_results
from watchdog.app.procedures.load import Load
from watchdog.app.procedures.parts import Outcome
from watchdog.model.time import SECOND

# As pywrkr 1.6.0 wrote it for a service of which every fifth answer is 503; what is not read is left out.
RECORDED = {
    "schema_version": 1,
    "duration_sec": 1.032,
    "connections": 2,
    "total_requests": 20,
    "total_errors": 4,
    "requests_per_sec": 19.39,
    "status_codes": {"200": 16, "503": 4},
    "error_types": {"HTTP 503": 4},
    "latency": {"min": 0.000701, "max": 0.005277, "mean": 0.001773, "median": 0.001228, "stdev": 0.001192},
    "percentiles": {"p50": 0.001228, "p75": 0.002457, "p90": 0.003186, "p95": 0.003203, "p99": 0.005277},
}

STAND_IN = """\
#!{python}
import json, sys, urllib.request
words = sys.argv[1:]
at = lambda name: words[words.index(name) + 1]
scenario = json.load(open(at("--scenario")))
failed = 0
for step in scenario["steps"]:
    asked = urllib.request.Request(scenario["base_url"] + step["path"], headers=step["headers"])
    try:
        urllib.request.urlopen(asked).close()
    except OSError:
        failed += 1
tried = len(scenario["steps"])
json.dump({{
    "total_requests": tried, "total_errors": failed, "requests_per_sec": tried / float(at("-d")),
    "error_types": {{"HTTP 503": failed}} if failed else {{}}, "percentiles": {{"p50": 0.1, "p95": 0.2, "p99": 0.3}},
    "words": words,
}}, open(at("--json"), "w"))
"""


def stand_in(directory: Path, text: str = STAND_IN) -> Path:
    tool = directory / "pywrkr"
    tool.write_text(text.format(python=sys.executable))
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    return tool


ASKED = Load(users=3, length=2 * SECOND)


async def test_every_path_is_asked_with_the_headers_of_the_target(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "find_tool", lambda: str(stand_in(tmp_path)))
    part = await http_load(service.url + "/shop/", {"Authorization": "Bearer hush"}, ["/a", "/b"], ASKED)
    assert part.outcome is Outcome.OK, part
    assert service.seen == [("/shop/a", "Bearer hush"), ("/shop/b", "Bearer hush")]
    assert part.numbers["per_second"] == 1.0
    assert part.numbers["p95_seconds"] == 0.2
    assert part.detail == "3 users for 2.0 s: 1.0 a second, 0.00% failed, p50 0.100 s, p95 0.200 s, p99 0.300 s"


async def test_secrets_are_not_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    async def look(command: list[str], **_more: object) -> tuple[int, bytes]:
        seen.extend(command)
        return 1, b""

    monkeypatch.setattr(module, "find_tool", lambda: "pywrkr")
    monkeypatch.setattr(module, "run_tool", look)
    await http_load("http://ana:hush@127.0.0.1:9", {"Authorization": "hush"}, ["/"], ASKED)
    assert "-u" in seen
    assert "hush" not in " ".join(seen)


async def test_more_failures_than_allowed_are_a_finding(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "find_tool", lambda: str(stand_in(tmp_path)))
    service.status = 503
    part = await http_load(service.url, {}, ["/"], ASKED)
    assert (part.outcome, part.detail) == (Outcome.FAILED, "100.00% failed, 1.00% allowed")
    assert part.lines[1:] == ("HTTP 503: 1",)


@pytest.mark.parametrize("text", ["#!/bin/sh\nexit 1\n", "#!/bin/sh\nkill -9 $$\n"])
async def test_a_tool_that_measures_nothing_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    tool = stand_in(tmp_path, text.replace("{", "{{"))
    monkeypatch.setattr(module, "find_tool", lambda: str(tool))
    part = await http_load("http://127.0.0.1:9", {}, ["/"], ASKED)
    assert part.outcome is Outcome.FAILED
    assert "measured nothing" in part.detail


async def test_without_the_tool_it_is_not_run_and_says_where_it_is_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_tool", lambda: None)
    part = await http_load("http://127.0.0.1:9", {}, ["/"], ASKED)
    assert (part.outcome, part.detail) == (
        Outcome.NOT_RUN,
        "pywrkr is not installed: pip install 'migration-watchdog[load]'",
    )


def test_the_tool_is_looked_for_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = stand_in(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", "/nowhere/bin/python")
    assert module.find_tool() == str(tool)


def test_results_are_read_as_the_tool_writes_them() -> None:
    measured = read_results(json.loads(json.dumps(RECORDED)))
    assert (measured.tried, measured.failed, measured.per_second) == (20, 4, 19.39)
    assert (measured.p50, measured.p95, measured.p99) == (0.001228, 0.003203, 0.005277)
    assert measured.notes == ("HTTP 503: 4",)
