from dataclasses import replace

from tests.engine.climb import ORPHANS, SETTINGS, Climb, breach, judged
from tests.engine.series import read, signal, windows
from watchdog.engine.assess import assess
from watchdog.engine.windows import Windows
from watchdog.model import inputs
from watchdog.model.guards import Guard, Incident, SchemaErrors
from watchdog.model.signals import SignalKind
from watchdog.model.time import SECOND
from watchdog.model.verdicts import Breach, NoData, Recovery

SPECS = (signal("bad"), signal("total"), signal("orphans", SignalKind.CHECK), signal("db_errors"))
WATCHING = replace(SETTINGS, evidence=(SchemaErrors("db_errors"),))


def bad_until(ticks: int) -> Windows:
    """100 % errors for so many ticks of five seconds from T-0 on, then none; two orphans throughout."""
    failed = [min(tick, ticks) * 250.0 for tick in range(20)]
    return windows(
        SPECS,
        read("bad", failed),
        read("total", [tick * 250.0 for tick in range(20)]),
        read("orphans", [2.0] * 20),
        read("db_errors", failed, labels=(("sqlstate", "42703"),)),
    )


def test_every_rule_is_judged_without_a_release_and_proof_is_not_looked_for() -> None:
    found = assess(Guard(WATCHING), bad_until(20), Climb().now + 60 * SECOND)
    assert isinstance(found.verdicts["errors"], Breach)
    assert isinstance(found.verdicts["orphans"], Breach)
    assert found.proof == {}
    assert found.rechecks == ()


def test_under_a_release_proof_is_looked_for() -> None:
    climb = Climb(WATCHING)
    climb.start()
    found = assess(climb.guard, bad_until(20), climb.now + 60 * SECOND)
    assert found.proof.keys() == {"SQLSTATE 42703", "integrity orphans"}


def test_a_rule_that_was_in_breach_before_the_release_proves_nothing_against_it() -> None:
    climb = Climb(WATCHING)
    climb.start(orphans=breach("orphans"))
    assert ORPHANS.name in climb.release.unarmed
    found = assess(climb.guard, bad_until(20), climb.now + 60 * SECOND)
    assert found.proof.keys() == {"SQLSTATE 42703"}


def test_rules_of_the_incident_are_judged_again_after_a_rung_only() -> None:
    climb = Climb(WATCHING)
    climb.start()
    climb.now += 30 * SECOND
    climb.say(judged(errors=breach()))
    assert assess(climb.guard, bad_until(6), climb.now).rechecks == ()
    climb.steps()
    found = assess(climb.guard, bad_until(6), climb.now + 30 * SECOND)
    assert [(one.rule, one.outcome) for one in found.rechecks] == [("errors", Recovery.RECOVERED)]


def test_a_trigger_without_a_release_judges_without_a_baseline() -> None:
    climb = Climb(WATCHING)
    climb.say(inputs.Freeze("ann", "drill"))
    climb.say(inputs.Trigger("ann", "it hurts"))
    assert assess(climb.guard, bad_until(6), climb.now).rechecks == ()
    judging = replace(climb.guard, incident=triggered_and_judging())
    found = assess(judging, bad_until(0), climb.now + 60 * SECOND)
    assert [one.rule for one in found.rechecks] == ["errors", "orphans"]


def triggered_and_judging() -> Incident:
    climb = Climb(WATCHING)
    climb.start()
    climb.say(inputs.Trigger("ann", "it hurts"))
    climb.steps()
    assert climb.judging
    return climb.incident


def test_samples_of_an_incident_that_is_dealt_with_open_no_other() -> None:
    climb = Climb(WATCHING)
    climb.breached()
    climb.now += 50 * SECOND
    climb.after_flag_recovers()
    made = bad_until(8)
    at_recovery = assess(climb.guard, made, climb.now)
    assert isinstance(at_recovery.verdicts["errors"], NoData)
    later = assess(climb.guard, made, climb.now + 30 * SECOND)
    assert not isinstance(later.verdicts["errors"], Breach)
    assert "SQLSTATE 42703" not in later.proof
