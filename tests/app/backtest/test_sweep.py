from pathlib import Path

import pytest

from tests.app.backtest.conftest import T0, Write, outage
from watchdog.app.backtest import sweep as module
from watchdog.app.backtest.errors import InputError
from watchdog.app.backtest.replay import Scenario
from watchdog.app.backtest.rule_set import Change, load_rules, open_sources
from watchdog.app.backtest.sweep import parse_sweep, sweep, trials
from watchdog.app.backtest.table import read_table
from watchdog.model.time import SECOND


def test_a_sweep_names_rule_parameter_and_values() -> None:
    assert parse_sweep("error_rate.above=2%, 5%,2%") == (
        Change("error_rate", "above", "2%"),
        Change("error_rate", "above", "5%"),
    )


@pytest.mark.parametrize("text", ["", "above=5%", "error_rate.above", "error_rate.above=", "error_rate.above=5%,,2%"])
def test_what_is_no_sweep_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"write rule\.parameter=value,value"):
        parse_sweep(text)


def test_several_sweeps_multiply_and_a_stricter_rule_fires_later(rules: Path, write: Write) -> None:
    sources = open_sources([rules])
    combinations = trials(sources, ["error_rate.above=5%,20%,60%", "error_rate.z=1,3"])
    history = read_table(write(outage(0.5)), load_rules(sources).kinds)
    found = list(sweep(combinations, history, Scenario(t0=T0 * SECOND)))
    fired = {
        tuple(change.value for change in trial.changes): [one.at for one in trial.result.rules[0].firings]
        for trial in found
    }
    assert len(fired) == 6
    assert fired["60%", "1"] == fired["60%", "3"] == []
    assert fired["5%", "1"] < fired["5%", "3"] < fired["20%", "3"]


def test_values_are_checked_before_anything_is_replayed(rules: Path) -> None:
    with pytest.raises(InputError, match=r"--sweep error_rate.above=much: .*shop.yaml:16"):
        trials(open_sources([rules]), ["error_rate.above=5%,much"])


def test_too_many_combinations_are_refused(rules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    with pytest.raises(InputError, match="asks for 4 combinations, more than 3"):
        trials(open_sources([rules]), ["error_rate.above=5%,6%", "error_rate.z=1,2"])
