"""`watchdog rules`: what is printed, and the exit status. What is found is tested in `tests/app/backtest`."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.app.backtest.conftest import RULES, T0, outage
from tests.cli.conftest import Watchdog, finish

TESTS = """\
rule_files: [shop.yaml]
interval: 5s
tests:
  - name: half of all requests fail
    input_series:
      - {series: requests, values: 0+50x180}
      - {series: errors, values: 0x120 25+25x59}
    t0: 10m
    verdicts:
      - {at: 11m, rule: error_rate, verdict: breach, basis: confident, fired: true}
"""


@pytest.fixture
def rules(place: Path) -> str:
    (place / "shop.yaml").write_text(RULES)
    return str(place / "shop.yaml")


@pytest.fixture
def history(place: Path) -> str:
    (place / "history.csv").write_text(outage(0.5, schema=True))
    return str(place / "history.csv")


@pytest.fixture
def tests(place: Path, rules: str) -> Path:
    (place / "shop.test.yaml").write_text(TESTS)
    return place / "shop.test.yaml"


def test_rule_tests_that_hold_are_0(watchdog: Watchdog, tests: Path) -> None:
    ran = watchdog("rules", "test", str(tests))
    assert ran.exit_code == 0
    assert ran.output.splitlines() == [
        "ok      half of all requests fail (1 expected)",
        "1 of 1 hold",
    ]


def test_rule_tests_that_do_not_hold_are_1_with_place_and_numbers(watchdog: Watchdog, tests: Path) -> None:
    tests.write_text(TESTS.replace("verdict: breach, basis: confident", "verdict: ok"))
    ran = watchdog("rules", "test", str(tests))
    assert ran.exit_code == 1
    lines = ran.output.splitlines()
    assert lines[0] == "failed  half of all requests fail (1 expected)"
    assert lines[1] == f"  {tests}:10: error_rate at 11 min"
    assert lines[2] == "    expected ok"
    assert lines[3].startswith(
        "    found    breach (confident): errors of requests: 50.0% in the last 60 s (300 of 600)"
    )
    assert "recent_lower" in lines[3]
    machine = watchdog("rules", "test", str(tests), "--json")
    assert machine.exit_code == 1
    [found] = json.loads(machine.output)["tests"]
    assert [(one["line"], one["expected"]) for one in found["failures"]] == [(10, "ok")]


def test_rule_tests_that_make_no_sense_are_2(watchdog: Watchdog, tests: Path) -> None:
    tests.write_text(TESTS.replace("rule: error_rate", "rule: eror_rate"))
    ran = finish("rules", "test", str(tests))
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert f"{tests}:10: tests[0].verdicts[0].rule: `eror_rate` is no rule; write `error_rate`" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_backtest_says_when_why_where_and_who(watchdog: Watchdog, rules: str, history: str) -> None:
    ran = watchdog("rules", "backtest", "--rules", rules, "--csv", history, "--t0", str(T0))
    assert ran.exit_code == 0
    text = ran.output
    assert "T-0 2025-01-01T00:10:00.000Z; baseline of 10 min before it, 3 series" in text
    row = next(line for line in text.splitlines() if line.startswith("error_rate"))
    assert "confident  stop    errors of requests: " in row
    assert "response_time  not judged" in text
    assert "the history has no latency" in text
    assert "ladder: enters at stop, begins with flag" in text
    assert "stop is passed over: nothing is being applied any more" in text
    assert "the service counted SQLSTATE 23502" in text
    assert "+5 min      stakeholders to stakeholders: sent" in text
    assert "post-mortem to responders: after the end of the history" in text
    assert "confident: both lower bounds are above 5.00%" in text
    assert "█" in text
    assert "^" in text


def test_machines_get_the_same(watchdog: Watchdog, rules: str, history: str) -> None:
    ran = watchdog("rules", "backtest", "--rules", rules, "--csv", history, "--t0", str(T0), "--json")
    assert ran.exit_code == 0
    found = json.loads(ran.output)
    rate = found["rules"][0]
    assert (rate["rule"], rate["fired"], rate["basis"]) == ("error_rate", True, "confident")
    assert rate["fired_at"] == "2025-01-01T00:10:25.000Z" or rate["seconds_after_t0"] <= 60
    assert rate["numbers"]["recent_lower"] > rate["numbers"]["threshold"]
    assert rate["why"].startswith("errors of requests: ")
    [incident] = found["incidents"]
    assert incident["enters"] == "stop"
    assert [one["would"] for one in incident["ladder"]] == ["skip", "enter", "enter", "enter"]
    assert incident["data_acts_at"] == incident["opened_at"]
    assert [one["seconds_after_opening"] for one in incident["timeline"]] == [0, 300, 900, 1800, 3600]
    assert [one["outcome"] for one in incident["timeline"]] == ["sent", "sent", "owed", "owed", "owed"]
    assert found["sweep"] == []


def test_without_t0_one_is_chosen_and_said(watchdog: Watchdog, rules: str, history: str) -> None:
    ran = watchdog("rules", "backtest", "--rules", rules, "--csv", history)
    assert ran.exit_code == 0
    assert "note: T-0 is taken to be 2025-01-01T00:06:40.000Z; say --t0" in ran.output


def test_a_sweep_is_a_table(watchdog: Watchdog, rules: str, history: str) -> None:
    words = (
        "rules",
        "backtest",
        "--rules",
        rules,
        "--csv",
        history,
        "--t0",
        "10m",
        "--sweep",
        "error_rate.above=5%,60%",
    )
    lines = watchdog(*words).output.splitlines()
    table = lines[lines.index("sweep") + 1 :]
    assert [line.split()[:3] for line in table][1:] == [
        ["5%", "error_rate", "2025-01-01T00:10:" + table[1].split(":10:")[1][:7]],
        ["60%", "error_rate", "never"],
    ]
    found = json.loads(watchdog(*words, "--json").output)["sweep"]
    assert [(one["set"], one["rules"][0]["fired"]) for one in found] == [
        ({"error_rate.above": "5%"}, True),
        ({"error_rate.above": "60%"}, False),
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--csv", "nowhere.csv"), "nowhere.csv: the file cannot be read"),
        (("--csv", "HISTORY", "--t0", "noon"), "--t0 `noon` is no time"),
        (("--csv", "HISTORY", "--t0", "2026-01-01"), "nothing is left to judge"),
        (("--csv", "HISTORY", "--sweep", "error_rate"), "write rule.parameter=value,value"),
        (("--csv", "HISTORY", "--sweep", "error_rate.above=much"), "`much` is not a share"),
        (("--csv", "HISTORY", "--baseline", "long"), "--baseline"),
        (("--csv", "HISTORY", "--prometheus", "http://127.0.0.1:9"), "one of --csv and --prometheus"),
        ((), "one of --csv and --prometheus"),
        (("--prometheus", "http://127.0.0.1:9", "--from", "noon"), "--from"),
        (("--prometheus", "http://127.0.0.1:9", "--from", "100", "--to", "5m", "--header", "x"), "--header"),
    ],
)
def test_wrong_use_is_2(watchdog: Watchdog, rules: str, history: str, words: tuple[str, ...], said: str) -> None:
    ran = watchdog("rules", "backtest", "--rules", rules, *(history if one == "HISTORY" else one for one in words))
    assert ran.exit_code == 2
    assert ran.stdout == ""
    assert said in ran.stderr


class Prometheus:
    """Answers range queries for counters of one instance, as the real one does."""

    def __init__(self) -> None:
        self.queries: list[str] = []
        self.logins: list[str] = []
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run)

    async def _answer(self, request: web.Request) -> web.Response:
        query = request.query["query"]
        self.queries.append(query)
        self.logins.append(request.headers.get("Authorization", ""))
        start, end, step = (float(request.query[name]) for name in ("start", "end", "step"))
        series: list[dict[str, Any]] = []
        if "http_requests_total" in query:
            points, at = [], start
            while at <= end:
                total = (at - start) * 10
                bad = max(0.0, at - T0) * 5
                points.append([at, str(bad if "5.." in query else total)])
                at += step
            series = [{"metric": {"instance": "a"}, "values": points}]
        return web.json_response({"status": "success", "data": {"resultType": "matrix", "result": series}})

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._up.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._runner.cleanup())
        self._loop.close()

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_get("/api/v1/query_range", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    def start(self) -> None:
        self._thread.start()
        assert self._up.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


@pytest.fixture
def prometheus() -> Iterator[Prometheus]:
    server = Prometheus()
    server.start()
    try:
        yield server
    finally:
        server.stop()


def test_history_comes_from_a_prometheus_server(
    watchdog: Watchdog, rules: str, prometheus: Prometheus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "s3cret")
    ran = watchdog(
        *("rules", "backtest", "--rules", rules, "--prometheus", f"http://127.0.0.1:{prometheus.port}"),
        *("--from", str(T0 - 600), "--to", "20m", "--step", "5s", "--t0", "10m", "--json"),
        *("--header", "Authorization: Bearer ${env:TOKEN}"),
    )
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.output)
    assert found["rules"][0]["fired"]
    assert 0 < found["rules"][0]["seconds_after_t0"] <= 60
    assert set(prometheus.logins) == {"Bearer s3cret"}
    assert 'sum by (instance) (http_requests_total{status=~"5.."})' in prometheus.queries
    assert "sum by (instance, le) (http_request_duration_seconds_bucket{})" in prometheus.queries
    assert "s3cret" not in ran.output


def test_a_server_that_is_not_there_or_knows_nothing_is_a_failure(
    watchdog: Watchdog, rules: str, prometheus: Prometheus
) -> None:
    words = ("rules", "backtest", "--rules", rules, "--from", "100", "--to", "200", "--prometheus")
    away = watchdog(*words, "http://127.0.0.1:9")
    assert (away.exit_code, away.stdout) == (1, "")
    assert "prometheus (127.0.0.1:9)" in away.stderr
    Path(rules).write_text(RULES.replace("http_requests_total", "other_total"))
    empty = watchdog(*words, f"http://127.0.0.1:{prometheus.port}")
    assert empty.exit_code == 2
    assert "knows nothing of these signals" in empty.stderr or "no rule can be judged" in empty.stderr
