"""What is asked of a Prometheus server, and what comes of a real one's answers."""

from pathlib import Path

import pytest

from tests.support.prometheus import prometheus
from watchdog.app.backtest.replay import Scenario
from watchdog.app.backtest.result import Backtest, backtest
from watchdog.app.backtest.rule_set import load_rules, open_sources
from watchdog.app.backtest.server import Range, in_promql, read_server
from watchdog.app.backtest.table import read_table
from watchdog.model.time import MINUTE, SECOND, Time
from watchdog.probes.metrics import MetricRead
from watchdog.runtime.clock import SystemClock
from watchdog.servers.paths import scratch_dir

STEP = 5 * SECOND


@pytest.mark.parametrize(
    ("read", "query"),
    [
        (MetricRead(metric="up"), "sum (up{})"),
        (MetricRead(metric="up", split=("zone",)), "sum by (zone) (up{})"),
        (
            MetricRead(metric="http_total", kind="counter", where={"status": "5.."}, not_={"path": '/a"b\\d'}),
            'sum by (instance) (http_total{status=~"5..", path!~"/a\\"b\\\\d"})',
        ),
        (
            MetricRead(metric="seconds", kind="distribution", split=("version",)),
            "sum by (version, instance, le) (seconds_bucket{})",
        ),
    ],
)
def test_what_a_probe_reads_at_the_service_is_asked_of_the_server(read: MetricRead, query: str) -> None:
    asked = in_promql(read)
    assert asked.query == query
    assert (asked.kind, asked.split) == (read.kind, read.split)


def test_what_was_never_counted_is_zero_only_where_the_rules_say_so() -> None:
    assert in_promql(MetricRead(metric="errors", kind="counter", absent="zero")).absent == "zero"
    assert in_promql(MetricRead(metric="errors", kind="counter")).absent == "no_traffic"


def past(t0: Time) -> tuple[str, str]:
    """Ten minutes before T-0 and five after it, in which every other request fails: for a server, and as CSV."""
    requests, errors, buckets, rows = (
        [],
        [],
        [],
        ['time,requests,errors,latency_bucket{le="0.1"},latency_bucket{le="+Inf"}'],
    )
    for step in range(-120, 61):
        at = (t0 + step * STEP) // SECOND
        total, bad = 50 * (step + 120), 25 * max(0, step)
        requests.append(f'http_requests_total{{instance="a",status="200"}} {total - bad} {at}')
        errors.append(f'http_requests_total{{instance="a",status="500"}} {bad} {at}')
        for bound, count in (("0.1", total - bad), ("+Inf", total)):
            buckets.append(f'http_request_duration_seconds_bucket{{instance="a",le="{bound}"}} {count} {at}')
        rows.append(f"{at},{total},{bad},{total - bad},{total}")
    families = [
        ("http_requests", "counter", [*requests, *errors]),
        ("http_request_duration_seconds", "histogram", buckets),
    ]
    text = "".join(f"# TYPE {name} {kind}\n" + "\n".join(lines) + "\n" for name, kind, lines in families)
    return text + "# EOF\n", "\n".join(rows) + "\n"


def fired(found: Backtest) -> dict[str, list[Time]]:
    return {one.rule.name: [firing.at for firing in one.firings] for one in found.rules}


async def test_a_server_and_a_file_of_the_same_history_say_the_same(rules: Path, tmp_path: Path) -> None:
    t0 = (SystemClock().now() - 30 * MINUTE) // MINUTE * MINUTE
    openmetrics, table = past(t0)
    (tmp_path / "history.csv").write_text(table)
    rule_set = load_rules(open_sources([rules]))
    with scratch_dir("prometheus") as directory:
        async with prometheus(directory, openmetrics) as url:
            wanted = Range(url=url, start=t0 - 10 * MINUTE, end=t0 + 5 * MINUTE, step=STEP, headers={})
            served = await read_server(rule_set, wanted)
    by_server = backtest(rule_set, served, Scenario(t0=t0))
    by_file = backtest(rule_set, read_table(tmp_path / "history.csv", rule_set.kinds), Scenario(t0=t0))
    assert fired(by_server) == fired(by_file)
    assert all(fired(by_server)[name] for name in ("error_rate", "response_time"))
    assert [one.why_not for one in by_server.rules] == ["", "", "the history has no queue"]
