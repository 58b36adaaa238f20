from dataclasses import replace

from tests.engine.series import at, read, signal, windows
from watchdog.engine.proof import proof
from watchdog.engine.windows import Windows
from watchdog.model.guards import SchemaErrors
from watchdog.model.rules import CheckRule, GaugeRule, Rule
from watchdog.model.signals import Selector
from watchdog.model.time import MINUTE
from watchdog.model.verdicts import Basis, Breach, Evidence, Ok, Verdict

SPECS = (signal("db_errors"),)
MISSING_COLUMN = (("sqlstate", "42703"),)
DEADLOCK = (("sqlstate", "40P01"),)
T_ZERO = at(60)
COUNTERS = (SchemaErrors("db_errors"),)
ORPHANS = CheckRule(name="orphans", of=(Selector("orphans"),), proves=True)


def found(made: Windows, now: int = 120) -> dict[str, str]:
    return proof(made, (), {}, COUNTERS, T_ZERO, at(now))


def test_errors_that_point_at_the_schema_are_proof() -> None:
    made = windows(SPECS, read("db_errors", [0] * 13 + [0, 2, 5, 9], labels=MISSING_COLUMN))
    assert found(made) == {"SQLSTATE 42703": "the service counted SQLSTATE 42703 9 times in 20 s"}


def test_too_few_of_them_are_none() -> None:
    assert found(windows(SPECS, read("db_errors", [0] * 13 + [0, 2], labels=MISSING_COLUMN))) == {}
    assert found(windows(SPECS)) == {}


def test_errors_of_another_kind_are_none() -> None:
    assert found(windows(SPECS, read("db_errors", [0] * 13 + [500], labels=DEADLOCK))) == {}


def test_as_many_as_before_the_release_are_none() -> None:
    steady = [10.0 * tick for tick in range(25)]
    assert found(windows(SPECS, read("db_errors", steady, labels=MISSING_COLUMN))) == {}
    jump = [*steady[:13], *(steady[12] + 100 * tick for tick in range(1, 5))]
    assert found(windows(SPECS, read("db_errors", jump, labels=MISSING_COLUMN)))


def test_a_counter_that_is_born_after_t0_needs_no_past() -> None:
    made = windows(SPECS, read("db_errors", [1, 9], start=at(70), labels=MISSING_COLUMN))
    assert "8 times" in found(made)["SQLSTATE 42703"]


def verdicts(rule: Rule, basis: Basis = Basis.CONFIDENT) -> dict[str, Verdict]:
    return {rule.name: Breach(Evidence(rule.name, at(60), "2 orphans", basis))}


def test_a_breach_of_a_rule_that_proves_damage_is_proof() -> None:
    given = proof(windows(SPECS), (ORPHANS,), verdicts(ORPHANS), (), T_ZERO, at(90))
    assert given == {"integrity orphans": "2 orphans"}


def test_other_rules_and_other_verdicts_prove_nothing() -> None:
    plain = replace(ORPHANS, proves=False)
    assert proof(windows(SPECS), (plain,), verdicts(plain), (), T_ZERO, at(90)) == {}
    fine: dict[str, Verdict] = {"orphans": Ok(Evidence("orphans", at(60), "", Basis.CONFIDENT))}
    assert proof(windows(SPECS), (ORPHANS,), fine, (), T_ZERO, at(90)) == {}
    assert proof(windows(SPECS), (ORPHANS,), {}, (), T_ZERO, at(90)) == {}


def test_a_literal_breach_proves_only_when_it_need_not_hold() -> None:
    rule = GaugeRule(name="lost_rows", of=Selector("lost_rows"), above=0, proves=True)
    assert proof(windows(SPECS), (rule,), verdicts(rule, Basis.LITERAL), (), T_ZERO, at(90))
    held = replace(rule, hold=MINUTE)
    assert proof(windows(SPECS), (held,), verdicts(held, Basis.LITERAL), (), T_ZERO, at(90)) == {}


def with_traffic(codes: float, failed: float) -> Windows:
    """A tick after T-0: how many errors of the code, how many failed requests."""
    specs = (*SPECS, signal("bad"))
    ticks = range(13)
    return windows(
        specs,
        read("db_errors", [0] * 13 + [codes * tick for tick in ticks], labels=MISSING_COLUMN),
        read("bad", [0] * 13 + [failed * tick for tick in ticks]),
    )


def test_a_code_that_explains_next_to_nothing_of_what_fails_proves_nothing() -> None:
    counters = (SchemaErrors("db_errors", bad=Selector("bad")),)
    assert proof(with_traffic(1, 100), (), {}, counters, T_ZERO, at(120)) == {}
    assert proof(with_traffic(30, 100), (), {}, counters, T_ZERO, at(120)).keys() == {"SQLSTATE 42703"}
    assert proof(with_traffic(1, 0), (), {}, counters, T_ZERO, at(120)) == {}
