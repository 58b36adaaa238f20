"""Files of rule tests: YAML that a user writes, in the manner of `promtool test rules`."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from watchdog.app.backtest.errors import InputError
from watchdog.app.backtest.rule_set import RuleSet, load_rules, open_sources
from watchdog.app.backtest.series import Point, parse_series, parse_values
from watchdog.config.problems import Findings, one_of, quoted
from watchdog.config.scalars import Length, Name, PositiveLength, Raw
from watchdog.config.schema import Schemas, listed
from watchdog.config.shapes import VERSION, Place, part, place_of, shape
from watchdog.config.tree import read_source
from watchdog.model.rules import RungKind
from watchdog.model.signals import Cause, SignalId
from watchdog.model.time import MINUTE, Span
from watchdog.model.verdicts import Basis

VERDICTS: Final = ("ok", "breach", "no_data", "probe_failed")


@dataclass(frozen=True, kw_only=True)
class FileHead:
    """The top of the file.

    Attributes:
        rule_files: Beside this file.
        interval: Of the values of every series.
    """

    rule_files: tuple[str, ...]
    interval: PositiveLength
    tests: Raw
    version: str = VERSION


@dataclass(frozen=True, kw_only=True)
class TestHead:
    """One test.

    Attributes:
        t0: When the release begins, counted from the first value.
        applying: How long after that its changes are applied.
        new_version: The release's code, as labels name it.
    """

    name: str
    input_series: Raw
    verdicts: Raw | None = None
    incidents: Raw | None = None
    t0: Length = 0
    applying: Length = 0
    baseline: PositiveLength = 10 * MINUTE
    min_baseline: Length = MINUTE
    new_version: str = "new"


@dataclass(frozen=True, kw_only=True)
class SeriesHead:
    """One series."""

    series: str
    values: str


@dataclass(frozen=True, kw_only=True)
class Expected:
    """A verdict that is expected.

    Attributes:
        at: Counted from the first value; the latest judgement at or before is meant.
        verdict: One of `VERDICTS`.
        sentence: Text that its sentence holds.
        fired: Whether the rule has opened an incident or joined one by then, its hold respected.
        numbers: Figures of its evidence.
    """

    at: Length
    rule: Name
    verdict: str = ""
    basis: Basis | None = None
    cause: Cause | None = None
    sentence: str = ""
    fired: bool | None = None
    numbers: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ExpectedIncident:
    """An incident that is expected, or with `opened: false` none.

    Attributes:
        at: It is open then.
        begins: The rung that a ladder which may act begins with.
        data: Whether data would be rolled back by itself at that time at the latest.
    """

    at: Length
    opened: bool = True
    enters: RungKind | None = None
    begins: RungKind | None = None
    data: bool | None = None


@dataclass(frozen=True)
class Series:
    """One series with its values."""

    signal: SignalId
    points: Sequence[Point]
    place: Place


@dataclass(frozen=True)
class UnitTest:
    """One test, ready to be run."""

    head: TestHead
    series: tuple[Series, ...]
    expected: tuple[tuple[Place, Expected | ExpectedIncident], ...]


@dataclass(frozen=True)
class TestFile:
    """A file of tests with the rules that it is about."""

    path: Path
    interval: Span
    rules: RuleSet
    tests: tuple[UnitTest, ...]


def read_tests(path: Path) -> TestFile:
    """Reads a file of rule tests.

    Raises:
        InputError: With everything that is wrong, each with its file and line.
    """
    findings = Findings()
    source = read_source(path, findings)
    top = place_of(path, source, findings, os.environ) if source else None
    values = top.read(shape("rule tests", part(FileHead))) if top else None
    if top is None or values is None:
        raise _refused(findings)
    head = values.build(FileHead)
    if head.version != VERSION:
        top.at("version").error(f"is another version; this watchdog reads version {VERSION}", f"`version: {VERSION}`")
    if not head.rule_files:
        top.at("rule_files").error("names no file", "`[rules.yaml]`, beside this file")
        raise _refused(findings)
    rules = load_rules(open_sources(path.parent / name for name in head.rule_files))
    tests = tuple(test for place in top.at("tests").items() if (test := _test(place, rules)) is not None)
    if findings.errors:
        raise _refused(findings)
    if not tests:
        raise InputError(f"{path}: there is no test in it; write one under `tests:`")
    return TestFile(path, head.interval, rules, tests)


def tests_schema() -> dict[str, Any]:
    """The JSON Schema of a file of rule tests, for editors."""
    schemas = Schemas()
    test = schemas.inline(shape("rule test", part(TestHead)))
    test["properties"] |= {
        "input_series": listed(schemas.inline(shape("series", part(SeriesHead)))),
        "verdicts": listed(schemas.inline(shape("expected verdict", part(Expected)))),
        "incidents": listed(schemas.inline(shape("expected incident", part(ExpectedIncident)))),
    }
    top = schemas.inline(shape("rule tests", part(FileHead)))
    top["properties"] |= {"version": {"const": int(VERSION)}, "tests": listed(test)}
    return schemas.document("migration-watchdog rule tests", top)


def _refused(findings: Findings) -> InputError:
    return InputError("\n".join(str(problem) for problem in sorted(findings.errors)))


def _test(place: Place, rules: RuleSet) -> UnitTest | None:
    values = place.read(shape("rule test", part(TestHead)))
    if values is None:
        return None
    series = tuple(one for at in place.at("input_series").items() if (one := _series(at)) is not None)
    expected: list[tuple[Place, Expected | ExpectedIncident]] = []
    expected += _verdicts(place.at("verdicts"), rules)
    expected += _incidents(place.at("incidents"))
    if place.at("verdicts").node is None and place.at("incidents").node is None:
        place.error("expects nothing", "what is expected under `verdicts:` or `incidents:`")
    if not series:
        place.at("input_series").error("has no series", "`- {series: errors, values: 0+1x10}`")
    return UnitTest(values.build(TestHead), series, tuple(expected))


def _series(place: Place) -> Series | None:
    values = place.read(shape("series", part(SeriesHead)))
    if values is None:
        return None
    head = values.build(SeriesHead)
    try:
        signal = parse_series(head.series)
    except ValueError as error:
        place.at("series").error(f"{quoted(head.series)} {error}")
        return None
    try:
        return Series(signal, parse_values(head.values), place)
    except ValueError as error:
        place.at("values").error(str(error))
        return None


def _verdicts(section: Place, rules: RuleSet) -> Iterator[tuple[Place, Expected]]:
    names = [rule.name for rule in rules.rules]
    for place in section.items():
        values = place.read(shape("expected verdict", part(Expected)))
        if values is None:
            continue
        expected = values.build(Expected)
        verdict = expected.verdict.replace(" ", "_")
        if expected.rule not in names:
            place.at("rule").error(f"{quoted(expected.rule)} is no rule", one_of(expected.rule, names))
        if verdict and verdict not in VERDICTS:
            place.at("verdict").error(f"{quoted(expected.verdict)} is no verdict", one_of(verdict, VERDICTS))
        if not verdict and expected.fired is None:
            place.error("expects nothing", "`verdict: breach`, `ok`, `no_data` or `probe_failed`, or `fired: true`")
        yield place, expected


def _incidents(section: Place) -> Iterator[tuple[Place, ExpectedIncident]]:
    for place in section.items():
        values = place.read(shape("expected incident", part(ExpectedIncident)))
        if values is not None:
            yield place, values.build(ExpectedIncident)
