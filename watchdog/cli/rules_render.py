"""Results of rule tests and backtests as lines for people."""

from collections.abc import Iterator, Sequence

from watchdog.app.backtest.history import index_at
from watchdog.app.backtest.result import Backtest, Decision, IncidentResult, RuleResult, first_to_act, why_silent
from watchdog.app.backtest.sweep import Trial
from watchdog.app.backtest.unit_run import Outcome
from watchdog.cli.output import say, word
from watchdog.cli.why import chart_lines, number_lines
from watchdog.engine.admission import Admission
from watchdog.model.attribution import Origin
from watchdog.model.time import MINUTE, Time, say_span
from watchdog.web.moments import iso

AROUND = 10 * MINUTE
"""A chart begins so long before T-0 and ends so long after the firing."""

_WOULD = {
    Admission.SKIP: "is passed over",
    Admission.ENTER: "would act",
    Admission.PROPOSE: "would ask a person",
    Admission.OBSERVE: "would only say so",
}


def backtest_lines(found: Backtest, trials: Sequence[Trial]) -> None:
    """Prints a backtest."""
    times, t0 = found.times, found.scenario.t0
    say(f"{found.source}: {len(times)} moments, one every {say_span(found.every)}, {iso(times[0])} to {iso(times[-1])}")
    say(f"T-0 {iso(t0)}; {_baseline(found)}")
    for note in found.notes:
        say(f"note: {note}", style="yellow")
    say()
    _table([("rule", "fired", "after T-0", "basis", "enters", "why"), *(_row(one, t0) for one in found.rules)])
    for incident in found.incidents:
        say()
        _incident(incident, t0)
    for result in found.rules:
        if result.firings:
            say()
            _why(result, found)
    if trials:
        say()
        _sweep(trials)


def test_lines(outcomes: Sequence[Outcome]) -> None:
    """Prints rule tests, one line each, with the failures below it."""
    for outcome in outcomes:
        word_of = word("failed" if outcome.failures else "ok", 8)
        say(word_of, f"{outcome.name} ({outcome.checked} expected)")
        for failure in outcome.failures:
            say(f"  {failure.file}:{failure.line}: {failure.what}")
            say(f"    expected {failure.expected}")
            say(f"    found    {failure.found}")
    held = sum(not outcome.failures for outcome in outcomes)
    say(f"{held} of {len(outcomes)} hold")


def _baseline(found: Backtest) -> str:
    if found.baseline is None:
        return f"no baseline: {found.baseline_refused}"
    length = say_span(found.baseline.until - found.baseline.since)
    return f"baseline of {length} before it, {len(found.baseline.entries)} series"


def _table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(result: RuleResult, t0: Time) -> tuple[str, ...]:
    name, enters = result.rule.name, str(result.rule.enters)
    if not result.firings:
        return name, "not judged" if result.why_not else "never", "", "", enters, why_silent(result)
    first = result.firings[0]
    more = f" (and {len(result.firings) - 1} more)" if len(result.firings) > 1 else ""
    after = say_span(first.at - t0)
    return name, f"{iso(first.at)}{more}", after, str(first.evidence.basis), enters, first.evidence.sentence


def _incident(incident: IncidentResult, t0: Time) -> None:
    after = say_span(incident.opened_at - t0)
    say(f"{incident.id} opens at {iso(incident.opened_at)}, {after} after T-0 ({', '.join(incident.rules)})")
    begins = first_to_act(incident.ladder)
    say(f"  ladder: enters at {incident.enters}, begins with {begins.rung if begins else 'no rung'}")
    for decision in incident.ladder:
        say(f"    {_decision(decision)}")
    if incident.data_at is not None:
        say(f"  data would act from {iso(incident.data_at)} on, if no cheaper rung had helped by then")
    if incident.attribution is not None:
        told_by = incident.attribution
        what = "what hurts is not known" if told_by.origin is Origin.UNKNOWN else f"it looks like {told_by.origin}"
        say(f"  {what}: {told_by.why}")
    for sentence in incident.proof.values():
        say(f"  evidence that the release did it: {sentence}")
    say("  communication:")
    for told in incident.told.values():
        due = say_span(told.notice.due_at - incident.opened_at)
        detail = f" ({told.detail})" if told.detail else ""
        outcome = told.outcome or "after the end of the history"
        say(f"    +{due:<10} {told.notice.topic} to {told.notice.audience}: {outcome}{detail}")
    if incident.over_at is not None:
        say(f"  well again by itself {say_span(incident.over_at - incident.opened_at)} later")


def _decision(decision: Decision) -> str:
    reason = f": {decision.reason}" if decision.reason else ""
    return f"{decision.rung} {_WOULD[decision.admission]}{reason}"


def _why(result: RuleResult, found: Backtest) -> None:
    first = result.firings[0]
    say(f"why {result.rule.name}: {first.evidence.sentence}")
    for line in number_lines(dict(first.evidence.numbers)):
        say(f"  {line}")
    for line in _chart(result, found, first.at):
        say(f"  {line}")


def _chart(result: RuleResult, found: Backtest, fired: Time) -> Iterator[str]:
    t0 = found.scenario.t0
    since = max(0, index_at(found.times, t0 - AROUND))
    until = index_at(found.times, fired + AROUND) + 1
    marked = {"0": max(t0, found.times[since]), "^": fired}
    yield from chart_lines(found.times[since:until], result.figures[since:until], marked, result.threshold)
    yield "0 is T-0, ^ is where it fired"


def _sweep(trials: Sequence[Trial]) -> None:
    say("sweep")
    head = [f"{one.rule}.{one.key}" for one in trials[0].changes]
    swept = {one.rule for one in trials[0].changes}
    rows = [(*head, "rule", "fired", "after T-0", "basis", "firings", "incidents")]
    for trial in trials:
        t0, incidents = trial.result.scenario.t0, str(len(trial.result.incidents))
        for result in trial.result.rules:
            if result.rule.name not in swept:
                continue
            name, fired, after, basis, _, _ = _row(result, t0)
            values = [one.value for one in trial.changes]
            rows.append((*values, name, fired.split(" (")[0], after, basis, str(len(result.firings)), incidents))
    _table(rows)
