"""`rules/<name>.yaml`: signals, evidence and rules."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from watchdog.config.complaints import report_complaints
from watchdog.config.problems import quoted
from watchdog.config.rule_checks import check_rule
from watchdog.config.scalars import Name, PositiveLength, Raw
from watchdog.config.shapes import Part, Place, Shape, Values, part, right_version, shape
from watchdog.model.attribution import Comparison, Queries
from watchdog.model.guards import SchemaErrors
from watchdog.model.rules import (
    Brake,
    CheckRule,
    CollapseRule,
    CompositeRule,
    Confidence,
    CountRule,
    GaugeRule,
    LatencyRule,
    RatioRule,
    Rule,
    RungKind,
    StallRule,
)
from watchdog.model.signals import Selector, SignalKind
from watchdog.model.time import SECOND, Span
from watchdog.ports.kinds import ProbeKind

SQLSTATE: Final = re.compile(r"[0-9A-Z]{5}")
EXAMPLE_CODES: Final = '`["42703", "42P01"]`'
SIGNAL_NAME: Final = "letters, digits and `_`, beginning with a letter"

RuleType: TypeAlias = (
    type[RatioRule]
    | type[LatencyRule]
    | type[CountRule]
    | type[GaugeRule]
    | type[CheckRule]
    | type[StallRule]
    | type[CollapseRule]
    | type[CompositeRule]
)
RULE_KINDS: Final[Mapping[str, RuleType]] = {
    "ratio": RatioRule,
    "latency": LatencyRule,
    "count": CountRule,
    "gauge": GaugeRule,
    "check": CheckRule,
    "stall": StallRule,
    "collapse": CollapseRule,
    "composite": CompositeRule,
}


NEEDS: Final[Mapping[RuleType, Mapping[str, SignalKind]]] = {
    RatioRule: {"bad": SignalKind.COUNTER, "total": SignalKind.COUNTER},
    LatencyRule: {"of": SignalKind.DISTRIBUTION},
    CountRule: {"of": SignalKind.COUNTER},
    GaugeRule: {"of": SignalKind.GAUGE},
    CheckRule: {"of": SignalKind.CHECK},
    StallRule: {"in_flight": SignalKind.GAUGE, "completed": SignalKind.COUNTER},
    CollapseRule: {"of": SignalKind.COUNTER},
    CompositeRule: {},
}
"""The kind of signal that each key of a rule names."""


@dataclass(frozen=True, kw_only=True)
class RulesHead:
    """The top of the file."""

    version: Raw | None = None
    signals: Raw | None = None
    evidence: Raw | None = None
    versions: Raw | None = None
    queries: Raw | None = None
    brakes: Raw | None = None
    rules: Raw | None = None


@dataclass(frozen=True, kw_only=True)
class ProbeHead:
    """What every probe has."""

    probe: Name
    target: Name
    read: Raw
    every: PositiveLength = 15 * SECOND
    timeout: PositiveLength = 5 * SECOND


@dataclass(frozen=True, kw_only=True)
class ReadHead:
    """What every signal has."""

    help: str = ""


@dataclass(frozen=True, kw_only=True)
class RuleHead:
    """What tells rules apart."""

    kind: str


@dataclass(frozen=True, kw_only=True)
class DeclaredSignal:
    """A signal as a file declares it; `kind` and `options` are None where they could not be read.

    Attributes:
        labels: Those that tell its series apart.
    """

    name: str
    place: Place
    kind: SignalKind | None = None
    options: Any = None
    labels: tuple[str, ...] = ()
    help: str = ""


@dataclass(frozen=True, kw_only=True)
class DeclaredProbe:
    """A probe as a file declares it; `options` is None where something in it is wrong."""

    place: Place
    kind: ProbeKind[Any, Any]
    target: str
    every: Span
    timeout: Span
    options: Any
    signals: tuple[DeclaredSignal, ...]


@dataclass(frozen=True, kw_only=True)
class DeclaredRule:
    """A rule as a file declares it.

    Attributes:
        rule: None where something in it is wrong.
        reads: The key, the list position if any, the series named there, and the kind that they must be of.
    """

    name: str
    place: Place
    rule: Rule | None
    enters: RungKind
    reads: tuple[tuple[str, int | None, Selector, SignalKind], ...]


@dataclass(frozen=True, kw_only=True)
class DeclaredEvidence:
    """Evidence, and where it stands."""

    place: Place
    errors: SchemaErrors


@dataclass(frozen=True, kw_only=True)
class DeclaredVersions:
    """A comparison of versions, with its place."""

    place: Place
    comparison: Comparison


@dataclass(frozen=True, kw_only=True)
class DeclaredQueries:
    """A comparison of statements, with its place."""

    place: Place
    queries: Queries


@dataclass(frozen=True, kw_only=True)
class DeclaredBrake:
    """A brake, with its place."""

    place: Place
    brake: Brake


@dataclass(frozen=True, kw_only=True)
class RulesFile:
    """What could be read of one file; what could not is reported.

    Attributes:
        signals: Also those of probes that could not be read, so that a rule which names one is not blamed for it.
    """

    place: Place
    probes: tuple[DeclaredProbe, ...]
    signals: tuple[DeclaredSignal, ...]
    rules: tuple[DeclaredRule, ...]
    evidence: tuple[DeclaredEvidence, ...]
    versions: tuple[DeclaredVersions, ...]
    queries: tuple[DeclaredQueries, ...]
    brakes: tuple[DeclaredBrake, ...]


def head_shape() -> Shape:
    """The top of the file."""
    return shape("rules file", part(RulesHead))


def probe_shape(kind: ProbeKind[Any, Any]) -> Shape:
    """A probe of this kind."""
    return shape(f"{kind.name} probe", part(ProbeHead), part(kind.options))


def signal_shape(kind: ProbeKind[Any, Any]) -> Shape:
    """A signal read by this kind of probe."""
    return shape(f"{kind.name} signal", part(ReadHead), part(kind.read))


def rule_shape(name: str) -> Shape:
    """A rule of this kind."""
    kind = RULE_KINDS[name]
    parts = [part(RuleHead), part(kind, "name", "confidence")]
    if issubclass(kind, RatioRule | LatencyRule):
        parts.append(Part(Confidence))
    return shape(f"{name} rule", *parts)


def evidence_shape() -> Shape:
    """Evidence that a release hurts the schema."""
    return shape("evidence", part(SchemaErrors))


def versions_shape() -> Shape:
    """How versions of the service are told apart."""
    return shape("comparison of versions", part(Comparison))


def queries_shape() -> Shape:
    """How the time that statements take is compared."""
    return shape("comparison of statements", part(Queries))


def brake_shape() -> Shape:
    """A level whose change speaks against the release as the cause."""
    return shape("brake", part(Brake))


def read_rules(top: Place, probes: Mapping[str, ProbeKind[Any, Any]]) -> RulesFile | None:
    """Reads a rules file; None when it is written for another version."""
    if not right_version(top):
        return None
    top.read(head_shape())
    read: list[DeclaredProbe] = []
    signals: list[DeclaredSignal] = []
    for place in top.at("signals").items():
        found = tuple(_signals(place, probes))
        probe = _probe(place, found, probes)
        if probe is not None:
            found = tuple(_with_labels(found, getattr(probe.options, "labels", ())))
            probe = replace(probe, signals=tuple(signal for signal in found if signal.options is not None))
            read.append(probe)
        signals.extend(found)
    return RulesFile(
        place=top,
        probes=tuple(read),
        signals=tuple(signals),
        rules=tuple(_rules(top.at("rules"))),
        evidence=tuple(_evidence(top.at("evidence"))),
        versions=tuple(_versions(top.at("versions"))),
        queries=tuple(_queries(top.at("queries"))),
        brakes=tuple(_brakes(top.at("brakes"))),
    )


def _probe(
    place: Place, signals: tuple[DeclaredSignal, ...], probes: Mapping[str, ProbeKind[Any, Any]]
) -> DeclaredProbe | None:
    kind = place.kind("probe", probes, "kind of probe")
    values = place.read_parts(probe_shape(kind)) if kind else None
    if kind is None or values is None:
        return None
    if not signals and place.at("read").node is None:
        place.at("read").error("is empty", "a name for each signal and what it reads")
    head = ProbeHead(**{"probe": kind.name, "target": "", "read": None, **values.of(ProbeHead)})
    return DeclaredProbe(
        place=place,
        kind=kind,
        target=head.target,
        every=head.every,
        timeout=head.timeout,
        options=place.build(values, kind.options) if values.sound else None,
        signals=tuple(signal for signal in signals if signal.options is not None),
    )


def _signals(place: Place, probes: Mapping[str, ProbeKind[Any, Any]]) -> Iterator[DeclaredSignal]:
    name_of_kind = place.at("probe").node
    kind = probes.get(name_of_kind) if isinstance(name_of_kind, str) else None
    for name, at in place.at("read").entries():
        if not (name.isascii() and name.isidentifier()):
            at.error(f"{quoted(name)} is no name of a signal", SIGNAL_NAME)
        values = at.read(signal_shape(kind)) if kind else None
        options = at.build(values, kind.read) if kind and values else None
        if kind is None or values is None or options is None:
            yield DeclaredSignal(name=name, place=at)
            continue
        said = values.build(ReadHead).help
        report_complaints(at, kind.complaints, options)
        yield DeclaredSignal(
            name=name,
            place=at,
            kind=kind.signal_kind(options),
            options=options,
            labels=kind.labels(options),
            help=said,
        )


def _with_labels(signals: tuple[DeclaredSignal, ...], labels: tuple[str, ...]) -> Iterator[DeclaredSignal]:
    """The signals with the labels that the probe itself gives to each of their series."""
    for signal in signals:
        for label in set(labels) & set(signal.labels):
            message = f"{quoted(label)} is what this probe calls the address of an endpoint"
            signal.place.at("split").error(message, "another label, or `endpoints: one`")
        yield replace(signal, labels=(*signal.labels, *labels))


def _rules(section: Place) -> Iterator[DeclaredRule]:
    for name, place in section.entries():
        kind = place.kind("kind", RULE_KINDS, "kind of rule")
        if kind is None:
            continue
        values = place.read_parts(rule_shape(str(place.at("kind").node)))
        if values is None:
            continue
        rule = _rule(name, kind, values) if values.sound else None
        if rule is not None:
            check_rule(place, rule)
        enters = values.given.get("enters", RungKind.STOP)
        yield DeclaredRule(name=name, place=place, rule=rule, enters=enters, reads=tuple(_reads(kind, values)))


def _rule(name: str, kind: RuleType, values: Values) -> Rule:
    if issubclass(kind, RatioRule | LatencyRule):
        return values.build(kind, name=name, confidence=values.build(Confidence))
    return values.build(kind, name=name)


def _reads(kind: RuleType, values: Values) -> Iterator[tuple[str, int | None, Selector, SignalKind]]:
    for key, needed in NEEDS[kind].items():
        match values.given.get(key):
            case Selector() as selector:
                yield key, None, selector, needed
            case tuple() as selectors:
                for position, selector in enumerate(selectors):
                    yield key, position, selector, needed
            case _:
                pass


def _evidence(section: Place) -> Iterator[DeclaredEvidence]:
    for place in section.items():
        values = place.read(evidence_shape())
        if values is not None:
            errors = values.build(SchemaErrors)
            _check_codes(place, errors)
            yield DeclaredEvidence(place=place, errors=errors)


def _versions(section: Place) -> Iterator[DeclaredVersions]:
    for place in section.items():
        values = place.read(versions_shape())
        if values is not None:
            yield DeclaredVersions(place=place, comparison=values.build(Comparison))


def _queries(place: Place) -> Iterator[DeclaredQueries]:
    values = place.read(queries_shape()) if place.node is not None else None
    if values is not None:
        queries = values.build(Queries)
        if queries.times <= 2:
            place.at("times").error("is too little: others must stay under half of it, and 1 is as before T-0", "3")
        yield DeclaredQueries(place=place, queries=queries)


def _brakes(section: Place) -> Iterator[DeclaredBrake]:
    for place in section.items():
        values = place.read(brake_shape())
        if values is not None:
            yield DeclaredBrake(place=place, brake=values.build(Brake))


def _check_codes(place: Place, errors: SchemaErrors) -> None:
    if not errors.codes:
        place.at("codes").error("names no code", EXAMPLE_CODES)
    for position, code in enumerate(errors.codes):
        if not SQLSTATE.fullmatch(code):
            place.at("codes", position).error(f"{quoted(code)} is no SQLSTATE of five characters", EXAMPLE_CODES)
