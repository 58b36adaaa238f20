from pathlib import Path

import pytest

from watchdog.app.backtest.errors import InputError
from watchdog.app.backtest.unit_file import read_tests
from watchdog.app.backtest.unit_run import Outcome, run_file

HEALTHY = "{series: requests, values: 0+50x180}"
FAILING = "{series: errors, values: 0x120 25+25x59}"
PROVEN = "{series: 'db_errors{sqlstate=\"23502\"}', values: 0x120 25+25x59}"


def written(rules: Path, *expected: str, series: tuple[str, ...] = (HEALTHY, FAILING), more: str = "") -> Path:
    path = rules.with_name("shop.test.yaml")
    lines = [
        "rule_files: [shop.yaml]",
        "interval: 5s",
        "tests:",
        "  - name: half of all requests fail",
        "    input_series:",
        *(f"      - {one}" for one in series),
        "    t0: 10m",
        more,
        *expected,
    ]
    path.write_text("\n".join(line for line in lines if line) + "\n")
    return path


def verdicts(*lines: str) -> tuple[str, ...]:
    return ("    verdicts:", *(f"      - {line}" for line in lines))


def incidents(*lines: str) -> tuple[str, ...]:
    return ("    incidents:", *(f"      - {line}" for line in lines))


def run(path: Path) -> Outcome:
    [outcome] = run_file(read_tests(path))
    return outcome


def test_what_is_as_expected_has_no_failure(rules: Path) -> None:
    path = written(
        rules,
        *verdicts(
            "{at: 10m, rule: error_rate, verdict: ok, fired: false}",
            "{at: 11m, rule: error_rate, verdict: breach, basis: confident, sentence: threshold 5.0%, fired: true}",
            "{at: 11m, rule: error_rate, fired: true, numbers: {recent_bad: 300, recent_total: 600, threshold: 0.05}}",
            "{at: 30m, rule: error_rate, verdict: no data, cause: too old}",
        ),
        *incidents("{at: 10m, opened: false}", "{at: 11m, enters: stop, begins: flag, data: false}"),
    )
    outcome = run(path)
    assert outcome.failures == ()
    assert outcome.checked == 6


def test_proof_lets_data_act(rules: Path) -> None:
    series = (HEALTHY, FAILING, PROVEN)
    assert run(written(rules, *incidents("{at: 12m, data: true}"), series=series)).failures == ()
    [failure] = run(written(rules, *incidents("{at: 12m, data: false}"), series=series)).failures
    assert failure.expected == "data not to be rolled back by itself"


@pytest.mark.parametrize(
    ("line", "expected", "found"),
    [
        ("{at: 10m, rule: error_rate, verdict: breach}", "breach", "ok (literal): errors of requests: 0.0%"),
        ("{at: 11m, rule: error_rate, verdict: ok}", "ok", "recent_bad 300, recent_total 600"),
        ("{at: 11m, rule: error_rate, verdict: breach, basis: literal}", "a literal verdict", "breach (confident)"),
        ("{at: 11m, rule: error_rate, verdict: breach, sentence: 99%}", "a sentence with '99%'", "50.0%"),
        ("{at: 11m, rule: error_rate, fired: false}", "that it has not fired", "that it has, 1 times; now breach"),
        ("{at: 10m, rule: error_rate, fired: true}", "that it has fired", "that it has not: ok"),
        ("{at: 11m, rule: error_rate, fired: true, numbers: {bad: 5}}", "bad 5", "bad 300"),
        ("{at: 11m, rule: error_rate, fired: true, numbers: {sum: 5}}", "sum 5", "breach (confident)"),
        ("{at: 11m, rule: error_rate, fired: true, cause: no traffic}", "no data for the cause no traffic", "breach"),
        ("{at: 11m, rule: queue, verdict: ok}", "ok", "the history has no queue"),
    ],
)
def test_what_is_not_as_expected_is_said_with_line_and_numbers(
    rules: Path, line: str, expected: str, found: str
) -> None:
    path = written(rules, *verdicts("{at: 10m, rule: error_rate, verdict: ok}", line))
    [failure] = run(path).failures
    assert (failure.file, failure.line, failure.test) == (str(path), 11, "half of all requests fail")
    assert failure.expected == expected
    assert found in failure.found
    rule = "queue" if "queue" in line else "error_rate"
    assert str(failure).startswith(f"{path}:11: half of all requests fail: {rule} at 1")


@pytest.mark.parametrize(
    ("line", "expected", "found"),
    [
        ("{at: 11m, opened: false}", "no incident", "backtest-1, opened by error_rate"),
        ("{at: 10m}", "an incident", "none"),
        ("{at: 11m, enters: data}", "to enter at data", "enters at stop and begins with flag"),
        ("{at: 11m, begins: stop}", "to begin with stop", "begins with flag"),
        ("{at: 11m, data: true}", "data to be rolled back by itself", "no positive evidence"),
    ],
)
def test_incidents_are_held_against_what_is_expected(rules: Path, line: str, expected: str, found: str) -> None:
    [failure] = run(written(rules, *incidents(line))).failures
    assert failure.expected == expected
    assert found in failure.found


def test_a_release_under_way_begins_with_stop(rules: Path) -> None:
    path = written(rules, *incidents("{at: 11m, begins: stop}"), more="    applying: 5m")
    assert run(path).failures == ()


def test_histograms_and_gaps(rules: Path) -> None:
    series = (
        "{series: 'latency_bucket{le=\"0.1\"}', values: 0+50x120 _x10 stalex10}",
        "{series: 'latency_bucket{le=\"0.5\"}', values: 0+50x120 _x10 stalex10}",
        "{series: 'latency_bucket{le=\"+Inf\"}', values: 0+50x120 _x10 stalex10}",
        "{series: queue, values: 5x120 brokenx20}",
    )
    path = written(
        rules,
        *verdicts(
            "{at: 10m, rule: response_time, verdict: ok}",
            "{at: 10m35s, rule: response_time, verdict: no_data, cause: too old}",
            "{at: 11m, rule: response_time, verdict: no_data, cause: unreachable}",
            "{at: 11m, rule: queue, verdict: probe_failed}",
        ),
        series=series,
    )
    assert run(path).failures == ()


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("interval: 5s", "interval: 0s", 2, "must be longer than nothing"),
        ("interval: 5s", "intervall: 5s", 1, "shop.test.yaml:2: intervall: unknown key; write `interval`"),
        ("rule_files: [shop.yaml]", "rule_files: []", 1, "names no file"),
        ("rule_files: [shop.yaml]", "rule_files: [shop.yaml]\nversion: 2", 2, "another version"),
        ("rule: error_rate", "rule: error_rat", 10, "`error_rat` is no rule; write `error_rate`"),
        ("verdict: ok", "verdict: fine", 10, "`fine` is no verdict"),
        (", verdict: ok", "", 10, "expects nothing"),
        ("series: errors", "series: 5xx", 7, "`5xx` is no series"),
        ("series: errors", "series: eror", 7, "eror is no signal of these rules; write `errors`"),
        ("series: errors", "series: latency", 7, "is a distribution: give its buckets"),
        ("25+25x59", "25+25", 7, "has '25+25' without how often"),
        ("values: 0x120 25", "values: -5 25", 7, "value 1: errors is negative"),
        ("t0: 10m", "t0: ten", 8, "`ten` is not a length of time"),
        ("at: 10m", "at: 9999d", 0, ""),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_with_its_line(
    rules: Path, old: str, new: str, line: int, said: str
) -> None:
    path = written(rules, *verdicts("{at: 10m, rule: error_rate, verdict: ok}"))
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        run(path)
    place = f"{path}:{line}: " if line else f"{path}: half of all requests fail: expects something after"
    assert str(caught.value).startswith(place)
    assert not line or said in str(caught.value)


def test_a_test_without_series_or_expectations_is_refused(rules: Path) -> None:
    path = written(rules, series=("{series: queue, values: 5}",))
    with pytest.raises(InputError, match=r":4: tests\[0\]: expects nothing"):
        read_tests(path)
    path.write_text("rule_files: [shop.yaml]\ninterval: 5s\ntests: []\n")
    with pytest.raises(InputError, match="there is no test in it"):
        read_tests(path)
    path.write_text("rule_files: [nowhere.yaml]\ninterval: 5s\ntests: []\n")
    with pytest.raises(InputError, match=r"nowhere.yaml: the file cannot be read"):
        read_tests(path)
    with pytest.raises(InputError, match=r"no.yaml: the file cannot be read"):
        read_tests(path.with_name("no.yaml"))
