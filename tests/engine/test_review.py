"""What a reviewer found: a wrong step for each of these would have been taken."""

from dataclasses import replace

import pytest

from tests.engine.climb import ERRORS, NO_DATA, SETTINGS, Climb, breach, judged, ok
from tests.engine.series import at, histogram, read, windows
from tests.engine.shares import CHECK, GAUGE, LATENCY, RATIO, SPECS, end, traffic
from watchdog.engine.admission import Admission, admit
from watchdog.engine.baseline import freeze
from watchdog.engine.judge import judge
from watchdog.engine.proof import proof
from watchdog.engine.recheck import recheck
from watchdog.engine.windows import observe_all
from watchdog.model import events as ev
from watchdog.model.guards import SchemaErrors
from watchdog.model.rules import CountRule, Mode, RungKind
from watchdog.model.signals import Cause, Missing, Selector
from watchdog.model.time import MINUTE, SECOND
from watchdog.model.verdicts import Basis, Breach, NoData, Ok, ProbeFailed, Recovery

LITERAL = breach(basis=Basis.LITERAL)
BROKEN = Missing(Cause.PROBE_BROKEN, "no such metric")


def test_a_counter_of_errors_that_is_lost_is_no_zero() -> None:
    made = observe_all(traffic([0] * 60, [100] * 60), read("bad", [BROKEN], start=at(301)))
    assert isinstance(judge(RATIO, made, None, end(60) + SECOND), ProbeFailed)
    assert recheck(RATIO, made, None, end(30), end(60) + SECOND).outcome is Recovery.UNDECIDED


def test_the_usual_rate_of_a_code_is_known_as_long_as_the_release_is() -> None:
    code = (("sqlstate", "23502"),)
    specs = (*SPECS, replace(SPECS[0], name="db_errors"))
    steady = [float(tick) for tick in range(600)]
    whole = windows(specs, read("db_errors", steady[:120], labels=code), read("total", steady[:120]))
    baseline, why = freeze(whole, end(119), 10 * MINUTE, SECOND)
    assert baseline is not None, why
    late = windows(specs, read("db_errors", steady, labels=code), keep=10 * MINUTE)
    counters = (SchemaErrors("db_errors"),)
    assert proof(late, (), {}, counters, end(120), end(599)), "without a baseline nothing is known of before"
    assert proof(late, (), {}, counters, end(120), end(599), baseline=baseline) == {}


def test_time_without_data_does_not_hold() -> None:
    climb = Climb()
    climb.start()
    climb.say(judged(errors=LITERAL))
    climb.say(judged(errors=NO_DATA))
    unreachable = NoData(Cause.UNREACHABLE, "no answer")
    climb.say(judged(errors=LITERAL))
    climb.say(judged(errors=unreachable))
    climb.now += MINUTE
    climb.say(judged(errors=unreachable))
    assert climb.guard.pending == {}
    climb.now += ERRORS.hold
    climb.say(judged(errors=LITERAL))
    assert climb.guard.incident is None


def test_one_silent_part_of_a_sum_is_no_low_sum() -> None:
    one, other = (("endpoint", "a"),), (("endpoint", "b"),)
    both = windows(SPECS, read("gauge", [4.0] * 5, labels=one), read("gauge", [4.0] * 5, labels=other))
    rule = replace(GAUGE, above=None, below=8.0)
    assert isinstance(judge(rule, both, None, end(4)), Ok)
    silent = read("gauge", [Missing(Cause.UNREACHABLE, "b: no answer")], start=end(5), labels=other)
    without = observe_all(both, [*read("gauge", [4.0], start=end(5), labels=one), *silent])
    assert isinstance(judge(rule, without, None, end(5)), NoData)


def test_several_processes_under_one_name_are_no_errors() -> None:
    turns = [value for life in range(6) for value in (1000.0 + life, 10.0 + life)]
    made = windows(SPECS, read("bad", turns), read("total", [10 * value for value in turns]))
    verdict = judge(RATIO, made, None, end(11))
    assert isinstance(verdict, ProbeFailed)
    assert "several processes answer under one name" in verdict.error


def test_a_version_with_other_buckets_is_counted() -> None:
    other = (0.2, 1.0, float("inf"))
    before = windows(SPECS, read("latency", [histogram(100 * n, 100 * n, 100 * n) for n in range(121)]))
    baseline, why = freeze(before, end(120), 10 * MINUTE, SECOND, (LATENCY,))
    assert baseline is not None, why
    slow = [histogram(0, 0, 900 * n, bounds=other) for n in range(61)]
    both = observe_all(before, read("latency", slow, start=end(121), labels=(("version", "v2"),)))
    assert isinstance(judge(replace(LATENCY, mode=Mode.CONFIDENT), both, baseline, end(181)), Breach)


def test_a_count_of_nothing_has_recovered() -> None:
    rule = CountRule(name="none", of=Selector("bad"), above=0)
    assert recheck(rule, traffic([0] * 30, [1] * 30), None, at(0), end(30)).outcome is Recovery.RECOVERED


@pytest.mark.parametrize(("climbs", "admission"), [(True, Admission.ENTER), (False, Admission.PROPOSE)])
def test_a_rule_may_call_for_its_own_rung_only(climbs: bool, admission: Admission) -> None:  # noqa: FBT001 - a parameter
    rule = replace(ERRORS, enters=RungKind.STOP, climbs=climbs)
    climb = Climb(replace(SETTINGS, rules=(rule, replace(CHECK, name="orphans"))))
    climb.breached()
    flag = climb.run.playbook.rungs[1]
    decision = admit(climb.guard, climb.incident, climb.run, flag, climb.now)
    assert decision.admission is admission
    assert climbs or decision.reason == "errors calls for rung stop only"


def test_within_the_cool_down_of_a_reversal_a_further_one_proposes_and_after_it_acts() -> None:
    climb = Climb(replace(SETTINGS, cool_down=10 * MINUTE))
    climb.breached()
    climb.after_flag_recovers()
    climb.now += MINUTE
    climb.say(judged(errors=ok()))
    climb.say(judged(errors=breach()))
    assert climb.events(ev.RungProposed)[-1].reason.startswith("the cool-down of 10 min runs: incident shop-1 was over")
    later = climb.now + 4 * MINUTE
    shorter = replace(climb.guard, settings=replace(climb.guard.settings, cool_down=2 * MINUTE))
    assert admit(shorter, climb.incident, climb.run, climb.run.playbook.rungs[1], later).admission is Admission.ENTER


def test_a_breach_just_after_a_time_without_data_opens_nothing_by_what_was_pending_before() -> None:
    climb = Climb()
    climb.start()
    climb.say(judged(errors=LITERAL))
    climb.now += ERRORS.hold - 2 * MINUTE
    climb.say(judged(errors=NoData(Cause.UNREACHABLE, "no answer")))
    climb.now += 2 * MINUTE
    climb.say(judged(errors=LITERAL))
    assert climb.guard.incident is None
    assert climb.guard.pending == {}


def test_a_count_above_nothing_has_to_be_shown_to_have_recovered() -> None:
    ten = CountRule(name="ten", of=Selector("bad"), above=10)
    made = traffic([0.75] * 13, [1] * 13)
    assert recheck(ten, made, None, at(0), end(13)).outcome is Recovery.UNDECIDED
