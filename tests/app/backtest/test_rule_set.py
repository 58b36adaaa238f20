from pathlib import Path

import pytest

from watchdog.app.backtest.errors import InputError
from watchdog.app.backtest.rule_set import Change, RuleSet, load_rules, open_sources
from watchdog.model.attribution import Queries
from watchdog.model.rules import GaugeRule, LatencyRule, Mode, RatioRule
from watchdog.model.signals import Selector, SignalKind
from watchdog.model.time import MINUTE, SECOND

BARE = """\
version: 1
evidence:
  - {signal: db_errors}
rules:
  error_rate: {kind: ratio, bad: errors, total: requests, above: 5%}
  slow: {kind: latency, of: latency}
"""


def load(path: Path, *changes: Change) -> RuleSet:
    return load_rules(open_sources([path]), changes, where="--sweep")


def test_rules_come_with_their_signals(rules: Path) -> None:
    found = load(rules)
    assert [rule.name for rule in found.rules] == ["error_rate", "response_time", "queue"]
    assert found.kinds["latency"] is SignalKind.DISTRIBUTION
    assert found.evidence[0].codes == ("23502",)
    assert found.read == {"requests", "errors", "latency", "queue", "db_errors"}


def test_a_signal_is_not_expected_more_often_than_the_history_has_it(rules: Path) -> None:
    found = load(rules)
    assert {spec.every for spec in found.specs(SECOND)} == {5 * SECOND}
    assert {spec.every for spec in found.specs(MINUTE)} == {MINUTE}


def test_without_signals_the_rules_say_what_their_signals_are(tmp_path: Path) -> None:
    (tmp_path / "bare.yaml").write_text(BARE)
    assert load(tmp_path / "bare.yaml").kinds == {
        "errors": SignalKind.COUNTER,
        "requests": SignalKind.COUNTER,
        "latency": SignalKind.DISTRIBUTION,
        "db_errors": SignalKind.COUNTER,
    }


def test_a_signal_cannot_be_two_kinds_at_once(tmp_path: Path) -> None:
    (tmp_path / "bare.yaml").write_text(BARE + "  queue: {kind: gauge, of: requests, above: 5}\n")
    with pytest.raises(InputError, match=r"bare.yaml:7: rules.queue.of: `requests` is a counter, but a gauge"):
        load(tmp_path / "bare.yaml")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("bad: errors", "bad: eror", "shop.yaml:16: rules.error_rate.bad: `eror` is no signal; write `errors`"),
        ("of: queue", "of: errors", "rules.queue.of: `errors` is a counter, but a gauge is needed here"),
        ("signal: db_errors", "signal: dberrors", "evidence[0].signal: `dberrors` is no signal"),
        ("above: 5%", "above: five", "shop.yaml:16: rules.error_rate.above: `five`"),
        ("version: 1", "version: 2", "shop.yaml:1: version: `2` is another version"),
        ("version: 1", "version: 1\n\t", "this is not YAML"),
        ("kind: gauge}", "kind: gage}", "`gage`"),
    ],
)
def test_every_mistake_has_its_line(rules: Path, old: str, new: str, said: str) -> None:
    text = rules.read_text()
    assert old in text
    rules.write_text(text.replace(old, new))
    with pytest.raises(InputError) as caught:
        load(rules)
    assert said in str(caught.value)
    assert caught.value.exit_status == 2


def test_a_file_without_a_rule_is_refused(rules: Path) -> None:
    rules.write_text("version: 1\n")
    with pytest.raises(InputError, match="there is no rule in it"):
        load(rules)


def test_two_files_are_put_together_and_may_not_contradict(rules: Path, tmp_path: Path) -> None:
    more = tmp_path / "more.yaml"
    more.write_text("version: 1\nrules:\n  long: {kind: gauge, of: queue, above: 500}\n")
    found = load_rules(open_sources([rules, more]))
    assert found.rules[-1] == GaugeRule(name="long", of=Selector("queue"), above=500)
    more.write_text("version: 1\nrules:\n  queue: {kind: gauge, of: queue, above: 500}\n")
    with pytest.raises(InputError, match=r"more.yaml:3: rules.queue: there is such a rule already"):
        load_rules(open_sources([rules, more]))


def test_parameters_are_changed_as_if_the_file_said_so(rules: Path) -> None:
    before = rules.read_text()
    found = load(rules, Change("error_rate", "above", "10%"), Change("response_time", "z", "3"))
    ratio, latency, _ = found.rules
    assert isinstance(ratio, RatioRule)
    assert isinstance(latency, LatencyRule)
    assert (ratio.above, ratio.hold, latency.confidence.z) == (0.1, 5 * MINUTE, 3)
    assert rules.read_text() == before
    assert load(rules).rules[0] == RatioRule(**{**vars(ratio), "above": 0.05})


def test_a_rule_made_confident_needs_no_hold(rules: Path) -> None:
    changed = load(rules, Change("error_rate", "mode", "confident")).rules[0]
    assert (changed.mode, changed.hold) == (Mode.CONFIDENT, 0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (Change("error_rat", "above", "5%"), "`error_rat` is no rule; write `error_rate`"),
        (Change("error_rate", "abov", "5%"), "unknown key; write `above`"),
        (Change("error_rate", "above", "much"), "`much` is not a share"),
    ],
)
def test_a_wrong_change_is_refused(rules: Path, change: Change, said: str) -> None:
    with pytest.raises(InputError) as caught:
        load(rules, change)
    assert str(caught.value).startswith("--sweep: ")
    assert said in str(caught.value)


def test_a_comparison_of_statements_reads_two_counters(tmp_path: Path) -> None:
    path = tmp_path / "bare.yaml"
    path.write_text(BARE + "queries: {seconds: took, calls: ran}\n")
    found = load(path)
    assert found.queries == (Queries("took", "ran"),)
    assert {"took", "ran"} <= found.read
    assert (found.kinds["took"], found.kinds["ran"]) == (SignalKind.COUNTER, SignalKind.COUNTER)
    path.write_text(BARE + "  queue: {kind: gauge, of: queue, above: 5}\nqueries: {seconds: took, calls: queue}\n")
    with pytest.raises(InputError, match=r"bare.yaml:8: queries.calls: `queue` is a gauge, but a counter"):
        load(path)
