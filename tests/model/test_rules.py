import pytest

from watchdog.model.rules import CheckRule, CountRule, GaugeRule, LatencyRule, RatioRule, Rule, StallRule, signals_of
from watchdog.model.signals import Selector

A, B = Selector("a"), Selector("b")


@pytest.mark.parametrize(
    ("rule", "names"),
    [
        (RatioRule(name="r", bad=A, total=B, above=0.1), ("a", "b")),
        (CheckRule(name="r", of=(A, B)), ("a", "b")),
        (StallRule(name="r", in_flight=A, completed=B), ("a", "b")),
        (LatencyRule(name="r", of=A), ("a",)),
        (CountRule(name="r", of=A, above=1), ("a",)),
        (GaugeRule(name="r", of=A), ("a",)),
    ],
)
def test_a_rule_names_the_signals_that_it_reads(rule: Rule, names: tuple[str, ...]) -> None:
    assert signals_of(rule) == names
