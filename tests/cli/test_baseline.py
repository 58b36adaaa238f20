import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Live, Watchdog
from watchdog.cli import baseline, render
from watchdog.model.releases import Release


def start(live: Live, seconds: int = 30) -> None:
    live.seconds(seconds)
    live.do(live.site.daemon.start_release("shop", Release("r1", ())))


def test_every_series_and_what_is_usual_are_shown(live: Live, watchdog: Watchdog) -> None:
    live.site.shop.errors = 0.02
    start(live)
    ran = watchdog("baseline", "show", "shop")
    assert (ran.exit_code, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    assert lines[0].startswith("shop, release r1: baseline of ")
    assert lines[1].endswith("T-0 at 2025-01-08T09:30:30.250Z")
    assert "  requests  50 a second (" in ran.stdout
    assert "  errors    1 a second (" in ran.stdout
    assert "  usual for error_rate: 2.00% in " in ran.stdout


def test_machines_get_all_of_it(live: Live, watchdog: Watchdog) -> None:
    start(live)
    said = json.loads(watchdog("baseline", "show", "shop", "--json").output)
    assert said["baseline"]["usual"]["error_rate"]["share"] == 0.0
    assert [one["rate"] for one in said["baseline"]["series"]] == [0.0, 50.0]


def test_a_table_of_it_goes_to_a_file(live: Live, watchdog: Watchdog, tmp_path: Path) -> None:
    live.site.shop.errors = 0.02
    start(live)
    assert watchdog("baseline", "show", "shop", "--csv", str(tmp_path / "b.csv")).exit_code == 0
    with (tmp_path / "b.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["what"], row["name"], row["kind"], row["rate"]) for row in rows] == [
        ("series", "errors", "counter", "1.0"),
        ("series", "requests", "counter", "50.0"),
        ("rule", "error_rate", "", ""),
    ]
    assert float(rows[2]["share"]) == pytest.approx(0.02)


def test_a_file_that_cannot_be_written_is_one_line(live: Live, watchdog: Watchdog, tmp_path: Path) -> None:
    start(live)
    ran = watchdog("baseline", "show", "shop", "--csv", str(tmp_path / "no" / "b.csv"))
    assert (ran.exit_code, len(ran.stderr.splitlines())) == (1, 1)


def test_a_refused_baseline_says_why(live: Live, watchdog: Watchdog) -> None:
    start(live, seconds=3)
    ran = watchdog("baseline", "show", "shop")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert ran.stderr.startswith("watchdog: release r1 has no baseline, it was refused: only ")
    assert "baseline refused: only " in watchdog("status").output
    ran = watchdog("baseline", "show", "shop", "--json")
    assert (ran.exit_code, json.loads(ran.stdout)["baseline"]) == (1, None)


def test_without_a_release_there_is_none(live: Live, watchdog: Watchdog) -> None:
    live.seconds(1)
    ran = watchdog("baseline", "show", "shop")
    assert ran.exit_code == 1
    assert ran.stderr == (
        "watchdog: guard shop has no release, so no baseline: start one with `watchdog release start`\n"
    )


def test_the_status_has_a_line_of_it(live: Live, watchdog: Watchdog) -> None:
    start(live)
    shown = watchdog("status").output
    assert "    baseline of " in shown
    assert " s from 2025-01-08T09:30:" in shown
    assert ", 2 series\n" in shown


def test_the_days_before_are_shown_with_why_one_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    def series(**figures: Any) -> dict[str, Any]:
        nothing = dict.fromkeys(("rate", "mean", "low", "high", "p50_seconds", "p95_seconds"))
        return {"signal": "s", "labels": {}, "samples": 4, **nothing, **figures}

    found = {
        "since": "A",
        "until": "B",
        "seconds": 600,
        "series": [
            series(labels={"endpoint": "10.0.0.1:80"}, mean=2.0, low=1.0, high="inf"),
            series(rate=1.0, p50_seconds=0.1, p95_seconds=0.25),
        ],
        "usual": {"slow": {"share": 0.05, "burstiness": 0.2, "readings": 40}},
        "slowest_seconds": {"slow": 0.4},
        "days": [
            {"since": "D1", "left_out": "", "shares": {"slow": 0.01}},
            {"since": "D2", "left_out": "40.0% failed", "shares": {}},
        ],
    }
    baseline._lines({"guard": "shop", "release": "r1", "t0": "B"}, found)
    assert capsys.readouterr().out.splitlines() == [
        "shop, release r1: baseline of 10 min",
        "  from A to B, T-0 at B",
        '  s{endpoint="10.0.0.1:80"}  mean 2, 1 to inf (4 samples)',
        "  s                          1 a second, p50 0.1 s, p95 0.25 s (4 samples)",
        "  usual for slow: 5.00% in 40 readings, burstiness 0.200, slowest quantile 0.4 s",
        "  D1: slow 1.00%",
        "  D2: left out: 40.0% failed",
    ]


def test_labels_in_the_table_can_be_read_back() -> None:
    nothing = dict.fromkeys(("samples", "rate", "mean", "low", "high", "p50_seconds", "p95_seconds"), 1.0)
    labels = {"route": '/a,"b"'}
    series = [{"signal": "s", "labels": one, "kind": "gauge", **nothing} for one in ({}, labels)]
    plain, split = baseline._rows({"series": series, "usual": {}})
    assert plain["labels"] == ""
    assert json.loads(split["labels"]) == labels


def test_the_line_of_the_status_counts_the_days_before() -> None:
    found = {"seconds": 600, "since": "A", "series": 3}
    assert render._baseline({**found, "days": 0}) == "baseline of 10 min from A, 3 series"
    assert render._baseline({**found, "days": 2}) == (
        "baseline of 10 min from A, 3 series, and the same time of 2 days before"
    )
