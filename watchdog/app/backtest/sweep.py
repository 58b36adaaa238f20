"""The same history with other parameters."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, TypeAlias

from watchdog.app.backtest.errors import InputError
from watchdog.app.backtest.history import History
from watchdog.app.backtest.replay import Scenario
from watchdog.app.backtest.result import Backtest, backtest
from watchdog.app.backtest.rule_set import Change, RuleSet, load_rules
from watchdog.config.problems import quoted
from watchdog.config.tree import Source

MOST: Final = 200
"""Combinations; each is a replay of the whole history."""

Combinations: TypeAlias = Sequence[tuple[tuple[Change, ...], RuleSet]]
"""Changed parameters, and the rules with them."""

_SWEEP: Final = re.compile(r"([^.=]+)\.([A-Za-z_]+)=(.+)")


@dataclass(frozen=True)
class Trial:
    """One combination, with what came out."""

    changes: tuple[Change, ...]
    result: Backtest


def parse_sweep(text: str) -> tuple[Change, ...]:
    """`error_rate.above=2%,5%,10%`.

    Raises:
        InputError: It is no such text.
    """
    found = _SWEEP.fullmatch(text)
    values = [value.strip() for value in found[3].split(",")] if found else []
    if found is None or not all(values):
        raise InputError(f"--sweep {quoted(text)} cannot be read; write rule.parameter=value,value")
    return tuple(Change(found[1], found[2], value) for value in dict.fromkeys(values))


def trials(sources: Sequence[Source], sweeps: Sequence[str]) -> Combinations:
    """Every combination with its rules, checked before anything is replayed.

    Raises:
        InputError: A sweep cannot be read, its values are wrong, or there are too many combinations.
    """
    axes = [parse_sweep(text) for text in sweeps]
    combinations = list(product(*axes))
    if len(combinations) > MOST:
        raise InputError(f"--sweep asks for {len(combinations)} combinations, more than {MOST}; leave out some values")
    return [(each, load_rules(sources, each, where=f"--sweep {_said(each)}")) for each in combinations]


def sweep(combinations: Combinations, history: History, base: Scenario) -> Iterator[Trial]:
    """The history held against each combination.

    Raises:
        InputError: There is no rule that the history can judge.
    """
    for changes, rules in combinations:
        yield Trial(changes, backtest(rules, history, base))


def _said(changes: Sequence[Change]) -> str:
    return " ".join(map(str, changes))
