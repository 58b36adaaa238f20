from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.app.backtest.conftest import T0, Write, outage
from watchdog.app.backtest.errors import InputError
from watchdog.app.backtest.history import Recorded, interval
from watchdog.app.backtest.replay import Scenario, replay
from watchdog.app.backtest.result import Backtest, backtest, first_to_act, scenario_of, why_silent
from watchdog.app.backtest.rule_set import RuleSet, load_rules, open_sources
from watchdog.app.backtest.table import read_table
from watchdog.engine.admission import Admission
from watchdog.engine.judge import judge
from watchdog.engine.windows import empty, observe_all
from watchdog.model.attribution import Attribution, Origin
from watchdog.model.rules import RatioRule, RungKind
from watchdog.model.signals import Cause, Histogram, Missing, Sample, SignalId
from watchdog.model.time import MINUTE, SECOND, Span
from watchdog.model.verdicts import Basis, Breach

START = T0 * SECOND


def held(rules: Path, history: Path, **more: Span) -> Backtest:
    found = load(rules)
    return backtest(found, read_table(history, found.kinds), Scenario(t0=START, **more))  # type: ignore[arg-type]


def load(rules: Path) -> RuleSet:
    return load_rules(open_sources([rules]))


def seconds_to_fire(found: Backtest, rule: str) -> list[float]:
    [result] = [one for one in found.rules if one.rule.name == rule]
    return [(firing.at - START) / SECOND for firing in result.firings]


def test_a_rule_fires_at_the_first_moment_at_which_the_engine_says_so(rules: Path, write: Write) -> None:
    path = write(outage(0.5))
    found = held(rules, path)
    [fired] = seconds_to_fire(found, "error_rate")
    rule_set = load(rules)
    table = read_table(path, rule_set.kinds)
    windows = empty(rule_set.specs(interval(table)), 20 * MINUTE)
    rule = rule_set.rules[0]
    assert isinstance(rule, RatioRule)
    breaches = []
    for index, at in enumerate(table.times):
        windows = observe_all(windows, table.samples(index))
        verdict = judge(rule, windows, None, at)
        if isinstance(verdict, Breach) and verdict.evidence.basis is Basis.CONFIDENT:
            breaches.append((at - START) / SECOND)
    assert fired == breaches[0]
    assert 0 < fired <= 60


def test_a_literal_breach_has_to_hold(rules: Path, write: Write) -> None:
    text = rules.read_text().replace("hold: 5m, enters: stop}", "hold: 5m, mode: literal, enters: stop}", 1)
    rules.write_text(text)
    [fired] = seconds_to_fire(held(rules, write(outage(0.5))), "error_rate")
    assert 300 <= fired <= 320
    short = held(rules, write(outage(0.5, failing=50)))
    assert seconds_to_fire(short, "error_rate") == []
    assert "not for as long as `hold` asks" in why_silent(short.rules[0])


def test_time_in_which_nobody_looked_does_not_count_as_held(rules: Path, write: Write) -> None:
    text = rules.read_text().replace("hold: 5m, enters: stop}", "hold: 5m, mode: literal, enters: stop}", 1)
    rules.write_text(text)
    header, *rows = outage(0.5).splitlines()
    without = [row for row in rows if not T0 + 120 < int(row.split(",")[0]) < T0 + 240]
    [fired] = seconds_to_fire(held(rules, write("\n".join([header, *without]) + "\n")), "error_rate")
    assert 415 <= fired <= 440


def test_what_was_broken_before_is_not_armed(rules: Path, write: Write) -> None:
    rows = "".join(f"{T0 + 5 * step},{150 if step < 60 or step > 100 else 10}\n" for step in range(-60, 120))
    found = held(rules, write("time,queue\n" + rows))
    [queue] = [one for one in found.rules if one.rule.name == "queue"]
    assert queue.unarmed
    assert seconds_to_fire(found, "queue") == [505]


def test_rules_that_the_history_cannot_judge_say_why(rules: Path, write: Write) -> None:
    found = held(rules, write(outage(0.5)))
    why = {one.rule.name: why_silent(one) for one in found.rules if not one.firings}
    assert why == {"response_time": "the history has no latency", "queue": "the history has no queue"}
    with pytest.raises(InputError, match=r"no rule can be judged: error_rate: the history has no requests"):
        held(rules, write("time,errors\n100,5\n105,6\n"))


def test_the_climb_begins_where_the_ladder_says(rules: Path, write: Write) -> None:
    found = held(rules, write(outage(0.5)))
    [incident] = found.incidents
    assert incident.enters is RungKind.STOP
    assert [one.admission for one in incident.ladder[:2]] == [Admission.SKIP, Admission.ENTER]
    begins = first_to_act(incident.ladder)
    assert begins is not None
    assert begins.rung is RungKind.FLAG
    applying = held(rules, write(outage(0.5)), applying=10 * MINUTE)
    begins = first_to_act(applying.incidents[0].ladder)
    assert begins is not None
    assert begins.rung is RungKind.STOP


def test_data_acts_by_itself_on_proof_only(rules: Path, write: Write) -> None:
    [without] = held(rules, write(outage(0.5))).incidents
    assert (without.data_at, without.proof) == (None, {})
    assert without.data is not None
    assert "no positive evidence" in without.data.reason
    [proven] = held(rules, write(outage(0.5, schema=True))).incidents
    assert proven.data_at == proven.opened_at
    assert list(proven.proof) == ["SQLSTATE 23502"]


def test_people_are_told_by_the_plan(rules: Path, write: Write) -> None:
    [incident] = held(rules, write(outage(0.5, failing=300))).incidents
    told = {one.notice.topic: (one.notice.due_at - incident.opened_at, one.outcome) for one in incident.told.values()}
    assert told == {
        "detected": (0, "sent"),
        "stakeholders": (5 * MINUTE, "sent"),
        "status page": (15 * MINUTE, "sent"),
        "customers": (30 * MINUTE, ""),
        "post-mortem": (60 * MINUTE, ""),
    }


def test_an_incident_ends_when_its_rules_are_well_and_the_next_is_another(rules: Path, write: Write) -> None:
    rows, total, bad = [], 0, 0
    for step in range(-120, 900):
        total += 50
        bad += 25 if 0 < step <= 60 or 600 < step <= 660 else 0
        rows.append(f"{T0 + 5 * step},{total},{bad}")
    found = held(rules, write("time,requests,errors\n" + "\n".join(rows) + "\n"))
    first, second = found.incidents
    assert first.over_at is not None
    assert first.over_at < START + 10 * MINUTE
    assert START + 50 * MINUTE < second.opened_at < START + 52 * MINUTE
    customers = next(one for one in first.told.values() if one.notice.topic == "customers")
    assert customers.outcome in {"sent", "skipped"}
    assert len(seconds_to_fire(found, "error_rate")) == 2


def test_nothing_fires_after_the_bake(rules: Path, write: Write) -> None:
    rows = "".join(f"{T0 + 5 * step},{150 if step > 100 else 10}\n" for step in range(-60, 120))
    path = write("time,queue\n" + rows)
    assert seconds_to_fire(held(rules, path), "queue") == [505]
    assert seconds_to_fire(held(rules, path, bake=5 * MINUTE), "queue") == []


def test_t0_between_rows_and_before_all_of_them(rules: Path, write: Write) -> None:
    found = load(rules)
    table = read_table(write(outage(0.5)), found.kinds)
    for t0 in (START - 2 * SECOND, table.times[0] - MINUTE, table.times[-1] + MINUTE):
        scenario, _, _ = scenario_of(found, table, Scenario(t0=t0))
        ticks = list(replay(scenario, table))
        assert [tick.at for tick in ticks if tick.judged is None] == [t0]
        assert sorted(tick.at for tick in ticks) == [tick.at for tick in ticks]
    early = backtest(found, table, Scenario(t0=table.times[0] - MINUTE))
    assert early.baseline is None
    assert early.baseline_refused


def test_checks_are_judged_as_far_as_they_are_in_the_history(tmp_path: Path, write: Write) -> None:
    path = tmp_path / "checks.yaml"
    path.write_text(
        "version: 1\nrules:\n  integrity: {kind: check, of: [orphans, nulls], enters: data, proves: true}\n"
    )
    rows = "".join(f"{T0 + 15 * step},{3 if step > 5 else 0}\n" for step in range(-20, 20))
    found = held(path, write("time,orphans\n" + rows))
    assert seconds_to_fire(found, "integrity") == [105]
    assert found.notes == ("integrity is judged without nulls, which the history does not have",)
    [incident] = found.incidents
    assert incident.enters is RungKind.DATA
    assert incident.data_at == incident.opened_at


def figures(found: Backtest) -> Sequence[float]:
    return found.rules[0].figures


def test_there_is_a_figure_for_each_moment(rules: Path, write: Write) -> None:
    found = held(rules, write(outage(0.5)))
    assert len(figures(found)) == len(found.times)
    assert figures(found)[-1] == 0.5
    assert found.rules[0].threshold == 0.05


SIGNALS = ("requests", "errors", "queue", "latency", "db_errors")


@st.composite
def histories(draw: st.DrawFn) -> Recorded:
    """Anything that can be read at all, at any instants."""
    samples = []
    for name in draw(st.lists(st.sampled_from(SIGNALS), min_size=1, unique=True)):
        for second in draw(st.lists(st.integers(0, 1_200), max_size=40, unique=True)):
            value: float | Histogram | Missing = draw(st.floats(0, 1e6) | st.just(Missing(Cause.UNREACHABLE)))
            if name == "latency" and isinstance(value, float):
                value = Histogram((0.1, float("inf")), (value / 2, value), 0.0)
            samples.append(Sample(SignalId(name), START + (second - 600) * SECOND, value))
    return Recorded.of("anything", samples, [START - 600 * SECOND, START + 600 * SECOND])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(histories())
def test_no_history_breaks_it_and_nothing_fires_without_evidence(rules: Path, history: Recorded) -> None:
    try:
        found = backtest(load(rules), history, Scenario(t0=START))
    except InputError as error:
        assert "no rule can be judged" in str(error)  # noqa: PT017  # some histories have no signal of any rule
        return
    for result in found.rules:
        assert all(firing.at >= START and firing.evidence.sentence for firing in result.firings)
        assert result.firings or why_silent(result)
    assert all(one.ladder and one.rules for one in found.incidents)


def test_a_brake_is_taken_along_and_a_composite_needs_all_its_rules(rules: Path, write: Write) -> None:
    text = rules.read_text().replace("rules:\n", "brakes:\n  - {of: queue, why: a failover}\n\nrules:\n", 1)
    text += "  both: {kind: composite, of: [error_rate, queue], need: any, enters: stop}\n"
    rules.write_text(text)
    found = held(rules, write(outage(0.5)))
    [both] = [one for one in found.rules if one.rule.name == "both"]
    assert both.why_not == "it needs queue"
    assert [brake.of.signal for brake in load(rules).brakes] == ["queue"]


QUERIES = """
  - probe: statements
    target: db
    tables: [assessments]
    read:
      calls: {of: calls}
      seconds: {of: seconds}
queries: {seconds: seconds, calls: calls}
evidence:"""
SLOWER = "statements on the release's tables take 4.0 times as long as before T-0, others 1.0 times"


def with_statements(text: str) -> str:
    """A statement on the release's tables takes 10 ms before T-0 and 40 ms after it, another one 20 ms."""
    head, *lines = text.splitlines()
    for touches in ("release", "other"):
        head += "".join(f',"{name}{{touches=""{touches}""}}"' for name in ("calls", "seconds"))
    made, took = [head], 0.0
    for step, line in enumerate(lines):
        took += 0.4 if line.split(",")[0] <= str(T0) else 1.6
        made.append(f"{line},{step * 40},{took},{step * 10},{step * 0.2}")
    return "\n".join(made) + "\n"


def test_slower_statements_on_the_release_s_tables_are_said_of_an_incident(rules: Path, write: Write) -> None:
    rules.write_text(rules.read_text().replace("\nevidence:", QUERIES, 1))
    found = held(rules, write(with_statements(outage(0.5))))
    assert found.scenario.queries == load(rules).queries != ()
    [incident] = found.incidents
    assert incident.attribution == Attribution(Origin.UNKNOWN, SLOWER)
    assert incident.data_at is None
    assert incident.proof == {}
    bare = held(rules, write(outage(0.5)))
    assert bare.scenario.queries == ()
    assert bare.incidents[0].attribution is None
