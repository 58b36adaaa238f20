"""Rules that only together say something."""

from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.climb import SETTINGS, Climb, breach, judged, ok
from tests.engine.series import read, windows
from tests.engine.shares import COUNT, GAUGE, SPECS, end
from watchdog.engine.assess import assess
from watchdog.engine.composite import judge_composite, recheck_composite
from watchdog.model.guards import Guard
from watchdog.model.rules import CompositeRule, Mode
from watchdog.model.signals import Cause
from watchdog.model.time import SECOND
from watchdog.model.verdicts import Basis, Breach, NoData, Ok, Recheck, Recovery, Verdict

Need = Literal["all", "any"] | int
NAMES = ("a", "b", "c")
LITERAL = breach(basis=Basis.LITERAL)
NOTHING = NoData(Cause.TOO_OLD, "")


def rule(need: Need = "all") -> CompositeRule:
    return CompositeRule(name="both", of=NAMES, need=need)


def verdict(need: Need, *found: Verdict) -> Verdict:
    return judge_composite(rule(need), dict(zip(NAMES, found, strict=False)), end(1))


@pytest.mark.parametrize(
    ("need", "found", "expected"),
    [
        ("all", (breach(), breach(), breach()), Breach),
        ("all", (breach(), breach(), ok()), Ok),
        ("any", (ok(), ok(), breach()), Breach),
        (2, (ok(), breach(), breach()), Breach),
        (2, (ok(), ok(), breach()), Ok),
        (2, (ok(), NOTHING, breach()), NoData),
        (2, (ok(), ok(), NOTHING), Ok),
        ("any", (breach(), NOTHING, NOTHING), Breach),
        ("all", (breach(), breach()), Ok),
    ],
)
def test_enough_of_them(need: Need, found: tuple[Verdict, ...], expected: type[Verdict]) -> None:
    assert isinstance(verdict(need, *found), expected)


def test_it_is_confident_when_enough_of_them_are() -> None:
    firm = verdict(2, breach(), breach(), LITERAL)
    weak = verdict(2, breach(), LITERAL, ok())
    assert isinstance(firm, Breach)
    assert firm.evidence.basis is Basis.CONFIDENT
    assert isinstance(weak, Breach)
    assert weak.evidence.basis is Basis.LITERAL
    assert weak.evidence.number("in_breach") == 2


@given(st.lists(st.sampled_from([breach(), LITERAL, ok(), NOTHING]), min_size=3, max_size=3), st.integers(1, 3))
def test_one_more_breach_never_makes_it_better(found: list[Verdict], need: int) -> None:
    before = verdict(need, *found)
    for place in range(3):
        worse = verdict(need, *found[:place], breach(), *found[place + 1 :])
        assert isinstance(worse, Breach) or not isinstance(before, Breach)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ((Recovery.RECOVERED, Recovery.STILL_BROKEN, Recovery.STILL_BROKEN), Recovery.STILL_BROKEN),
        ((Recovery.RECOVERED, Recovery.RECOVERED, Recovery.STILL_BROKEN), Recovery.RECOVERED),
        ((Recovery.RECOVERED, Recovery.UNDECIDED, Recovery.STILL_BROKEN), Recovery.UNDECIDED),
    ],
)
def test_it_has_recovered_when_too_few_can_be_broken(found: tuple[Recovery, ...], expected: Recovery) -> None:
    checks = {name: Recheck(name, one, "") for name, one in zip(NAMES, found, strict=True)}
    assert recheck_composite(rule(2), checks).outcome is expected


def test_its_rules_open_no_incident_by_themselves_when_they_do_not_stand_alone() -> None:
    member = replace(COUNT, mode=Mode.LITERAL, alone=False)
    level = replace(GAUGE, alone=False)
    both = CompositeRule(name="both", of=(member.name, level.name), enters=SETTINGS.rules[0].enters)
    climb = Climb(replace(SETTINGS, rules=(member, level, both)))
    climb.start()
    climb.say(judged(count=breach("count"), gauge=ok("gauge"), both=ok("both")))
    assert climb.guard.incident is None
    assert climb.guard.pending == {}
    climb.say(judged(count=breach("count"), gauge=breach("gauge"), both=breach("both")))
    assert climb.incident.rules == ("both",)


def test_assessing_puts_them_together_and_judges_its_rules_again_after_a_rung() -> None:
    member = replace(COUNT, alone=False)
    both = CompositeRule(name="both", of=(member.name, GAUGE.name))
    settings = replace(SETTINGS, rules=(member, replace(GAUGE, alone=False), both), evidence=())
    made = windows(SPECS, read("bad", [tick * 100.0 for tick in range(13)]), read("gauge", [9.0] * 13))
    found = assess(Guard(settings), made, end(12))
    assert isinstance(found.verdicts["both"], Breach)
    climb = Climb(settings)
    climb.start()
    climb.say(judged(both=breach("both")))
    climb.steps()
    again = assess(climb.guard, made, climb.now + 30 * SECOND)
    assert [one.rule for one in again.rechecks] == ["both"]
