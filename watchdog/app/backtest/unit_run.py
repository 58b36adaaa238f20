"""Running rule tests: the series become a history, and what the engine says of it is held against what is expected."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from watchdog.app.backtest.buckets import Group, group
from watchdog.app.backtest.errors import InputError
from watchdog.app.backtest.history import Recorded, index_at
from watchdog.app.backtest.replay import Scenario, Tick, replay
from watchdog.app.backtest.result import Seen, first_to_act, scenario_of
from watchdog.app.backtest.series import MOST_VALUES, Point
from watchdog.app.backtest.unit_file import Expected, ExpectedIncident, TestFile, UnitTest
from watchdog.config.shapes import Place
from watchdog.model.signals import Sample
from watchdog.model.time import SECOND, Span, Time, say_span
from watchdog.model.verdicts import Breach, NoData, Ok, ProbeFailed, Verdict
from watchdog.web.views import verdict_word

START: Final[Time] = 1_735_689_600 * SECOND
"""The first value of every series: 2025-01-01T00:00:00Z."""


@dataclass(frozen=True)
class Failure:
    """An expectation that is not met.

    Attributes:
        line: Of the expectation.
    """

    file: str
    line: int
    test: str
    what: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.test}: {self.what}: expected {self.expected}, found {self.found}"


@dataclass(frozen=True)
class Outcome:
    """One test, run."""

    file: str
    name: str
    checked: int
    failures: tuple[Failure, ...]


def run_file(file: TestFile) -> Iterator[Outcome]:
    """Every test of a file.

    Raises:
        InputError: The series of a test make no history.
    """
    for test in file.tests:
        yield _Run(file, test).outcome()


@dataclass
class _Run:
    file: TestFile
    test: UnitTest

    def outcome(self) -> Outcome:
        history = _history(self.file, self.test)
        head = self.test.head
        base = Scenario(
            t0=START + head.t0,
            baseline=head.baseline,
            min_baseline=head.min_baseline,
            applying=head.applying,
            new_version=head.new_version,
        )
        scenario, why_not, _ = scenario_of(self.file.rules, history, base)
        seen = Seen.of(self.file.rules.rules, why_not)
        asked = self._asked(history.times)
        failures: list[Failure] = []
        for tick in replay(scenario, history):
            seen.take(tick)
            for place, expected in asked.pop(tick.at, ()) if tick.judged is not None else ():
                failures += self._held(place, expected, tick, seen)
        return Outcome(
            str(self.file.path), head.name, len(self.test.expected), tuple(sorted(failures, key=lambda one: one.line))
        )

    def _asked(self, times: Sequence[Time]) -> dict[Time, list[tuple[Place, Expected | ExpectedIncident]]]:
        """Expectations by the moment at which they are looked at."""
        asked: dict[Time, list[tuple[Place, Expected | ExpectedIncident]]] = {}
        for place, expected in self.test.expected:
            at = times[index_at(times, START + expected.at)]
            asked.setdefault(at, []).append((place, expected))
        return asked

    def _held(self, place: Place, expected: Expected | ExpectedIncident, tick: Tick, seen: Seen) -> Iterator[Failure]:
        differences = _verdict(expected, tick, seen) if isinstance(expected, Expected) else _incident(expected, seen)
        about = f"{expected.rule} at" if isinstance(expected, Expected) else "incident at"
        for key, wanted, found in differences:
            line = place.source.line((*place.path, key))
            what = f"{about} {say_span(expected.at)}"
            yield Failure(place.source.file, line, self.test.head.name, what, wanted, found)


def _verdict(expected: Expected, tick: Tick, seen: Seen) -> Iterator[tuple[str, str, str]]:
    """The key that is not met, what it expects, and what was found."""
    result = seen.rules[expected.rule]
    verdict = tick.judged.verdicts.get(expected.rule) if tick.judged else None
    found = result.why_not or said(verdict)
    if expected.verdict and _word(verdict) != expected.verdict.replace(" ", "_"):
        yield "verdict", expected.verdict, found
        return
    evidence = verdict.evidence if isinstance(verdict, Ok | Breach) else None
    if expected.basis is not None and (evidence is None or evidence.basis is not expected.basis):
        yield "basis", f"a {expected.basis} verdict", found
    if expected.cause is not None and not (isinstance(verdict, NoData) and verdict.cause is expected.cause):
        yield "cause", f"no data for the cause {expected.cause!s}", found
    if expected.sentence not in found:
        yield "sentence", f"a sentence with {expected.sentence!r}", found
    for name, number in expected.numbers.items():
        value = evidence.number(name) if evidence else None
        if value is None or not math.isclose(value, number, rel_tol=1e-3, abs_tol=1e-9):
            yield "numbers", f"{name} {number:g}", f"{name} {value:g}: {found}" if value is not None else found
    fired = bool(result.firings)
    if expected.fired is not None and fired is not expected.fired:
        yield "fired", "that it has fired" if expected.fired else "that it has not fired", _fired(result.firings, found)


def _fired(firings: Sequence[object], found: str) -> str:
    return f"that it has, {len(firings)} times; now {found}" if firings else f"that it has not: {found}"


def _incident(expected: ExpectedIncident, seen: Seen) -> Iterator[tuple[str, str, str]]:
    latest = next(reversed(seen.incidents.values()), None)
    if latest is None or not expected.opened:
        if (latest is not None) is not expected.opened:
            found = f"{latest.id}, opened by {', '.join(latest.rules)}" if latest else "none"
            yield "opened", "an incident" if expected.opened else "no incident", found
        return
    begins = first_to_act(latest.ladder)
    found = f"{latest.id} that enters at {latest.enters} and begins with {begins.rung if begins else 'no rung'}"
    if expected.enters is not None and latest.enters is not expected.enters:
        yield "enters", f"to enter at {expected.enters}", found
    if expected.begins is not None and (begins is None or begins.rung is not expected.begins):
        yield "begins", f"to begin with {expected.begins}", found
    acts = latest.data_at is not None
    if expected.data is not None and acts is not expected.data:
        reason = f": {latest.data.reason}" if latest.data and latest.data.reason else ""
        wanted = "data to be rolled back by itself" if expected.data else "data not to be rolled back by itself"
        yield "data", wanted, f"that it {'would' if acts else 'would not'}{reason}"


def said(verdict: Verdict | None) -> str:
    """A verdict with its numbers, for failures."""
    match verdict:
        case Ok(evidence) | Breach(evidence):
            numbers = ", ".join(f"{name} {value:.4g}" for name, value in evidence.numbers)
            return f"{verdict_word(verdict)} ({evidence.basis}): {evidence.sentence} [{numbers}]"
        case NoData(cause, detail):
            return f"no_data ({cause}): {detail}"
        case ProbeFailed(error):
            return f"probe_failed: {error}"
        case _:
            return "no verdict"


def _word(verdict: Verdict | None) -> str:
    return verdict_word(verdict).replace(" ", "_")


def _history(file: TestFile, test: UnitTest) -> Recorded:
    groups, wrong = group([one.signal for one in test.series], file.rules.kinds)
    for position, message in sorted(wrong.items()):
        series = test.series[position]
        raise InputError(f"{_at(series.place, 'series')}: {series.signal} {message}")
    length = max(len(one.points) for one in test.series)
    last = max((one.at for _, one in test.expected), default=0)
    count = max(length, last // file.interval + 1)
    if count > MOST_VALUES:
        raise InputError(f"{file.path}: {test.head.name}: expects something after {MOST_VALUES} intervals; write less")
    samples = list(_samples(test, list(groups.values()), length, file.interval))
    return Recorded.of(str(file.path), samples, (START + index * file.interval for index in range(count)))


def _samples(test: UnitTest, groups: Sequence[Group], length: int, interval: Span) -> Iterator[Sample]:
    for index in range(length):
        row: list[Point] = [one.points[index] if index < len(one.points) else None for one in test.series]
        for one in groups:
            try:
                value = one.value(row)
            except ValueError as error:
                where = _at(test.series[one.positions[0]].place, "values")
                raise InputError(f"{where}: value {index + 1}: {error}") from error
            if value is not None:
                yield Sample(one.signal, START + index * interval, value)


def _at(place: Place, key: str) -> str:
    return f"{place.source.file}:{place.source.line((*place.path, key))}"
