"""Rules files by themselves: no configuration, no target, no guard."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from watchdog.app.backtest.errors import InputError
from watchdog.app.registries import registries
from watchdog.config.problems import Findings, one_of, quoted
from watchdog.config.rules_file import DeclaredProbe, DeclaredRule, RulesFile, read_rules
from watchdog.config.shapes import Place, place_of
from watchdog.config.tree import Entries, Source, Text, read_source
from watchdog.model.attribution import Comparison, Queries
from watchdog.model.guards import SchemaErrors
from watchdog.model.rules import Brake, Mode, Rule, signals_of
from watchdog.model.signals import SignalKind, SignalSpec
from watchdog.model.time import Span


@dataclass(frozen=True)
class RuleSet:
    """What rules files say.

    Attributes:
        kinds: Every signal that is declared, or that a rule reads where no signal is declared at all.
        every: The declared interval of each signal.
    """

    rules: tuple[Rule, ...]
    kinds: Mapping[str, SignalKind]
    every: Mapping[str, Span]
    evidence: tuple[SchemaErrors, ...]
    versions: tuple[Comparison, ...] = ()
    brakes: tuple[Brake, ...] = ()
    probes: tuple[DeclaredProbe, ...] = ()
    queries: tuple[Queries, ...] = ()

    @property
    def read(self) -> frozenset[str]:
        """Signals that a rule, evidence, a comparison or a brake reads."""
        return frozenset(
            {
                *(name for rule in self.rules for name in signals_of(rule)),
                *(one.signal for one in self.evidence),
                *(one.bad.signal for one in self.evidence if one.bad is not None),
                *(one.of.signal for one in self.brakes),
                *(name for one in self.versions for name in (one.bad.signal, one.total.signal)),
                *(name for one in self.queries for name in (one.seconds, one.calls)),
            }
        )

    def specs(self, interval: Span) -> tuple[SignalSpec, ...]:
        """The signals, none of them read more often than every `interval`, as in a history."""
        return tuple(
            SignalSpec(name, kind, "history", max(self.every.get(name, 0), interval))
            for name, kind in self.kinds.items()
        )


@dataclass(frozen=True)
class Change:
    """Another value for one parameter of a rule."""

    rule: str
    key: str
    value: str

    def __str__(self) -> str:
        return f"{self.rule}.{self.key}={self.value}"


def open_sources(paths: Iterable[Path]) -> tuple[Source, ...]:
    """Rules files as trees.

    Raises:
        InputError: With everything that is no YAML.
    """
    findings = Findings()
    sources = [read_source(path, findings) for path in paths]
    _refuse(findings)
    return tuple(source for source in sources if source is not None)


def load_rules(sources: Sequence[Source], changes: Sequence[Change] = (), *, where: str = "") -> RuleSet:
    """The rules of these files, with changed parameters.

    Args:
        where: Said in front of problems that the changes bring.

    Raises:
        InputError: With everything that is wrong, each with its file and line.
    """
    for change in changes:
        sources = _changed(sources, change, where)
    findings = Findings()
    kinds = registries().probes
    read = [read_rules(place_of(Path(one.file), one, findings, os.environ), kinds) for one in sources]
    files = [file for file in read if file is not None]
    found = _rule_set(files)
    _refuse(findings, where)
    if not found.rules:
        names = ", ".join(source.file for source in sources)
        raise InputError(f"{names}: there is no rule in it; write one under `rules:`")
    return found


def _refuse(findings: Findings, where: str = "") -> None:
    if findings.errors:
        said = "\n".join(str(problem) for problem in sorted(findings.errors))
        raise InputError(f"{where}: {said}" if where else said)


def _changed(sources: Sequence[Source], change: Change, where: str) -> tuple[Source, ...]:
    known: list[str] = []
    changed: list[Source] = []
    for source in sources:
        rules = source.root.get("rules")
        names = list(rules) if isinstance(rules, Entries) else []
        known += names
        changed.append(_with(source, change) if change.rule in names else source)
    if change.rule not in known:
        raise InputError(f"{where}: {quoted(change.rule)} is no rule; write {one_of(change.rule, known)}")
    return tuple(changed)


def _with(source: Source, change: Change) -> Source:
    """The file as if it said so; the file itself is not touched."""
    line = source.line(("rules", change.rule))
    text = Text(change.value)
    text.line, text.plain = line, True
    root, rules = _copy(source.root), _copy(source.root["rules"])
    rule = _copy(rules[change.rule])
    rule[change.key] = text
    rule.lines.setdefault(change.key, line)
    if change.key == "mode" and change.value == Mode.CONFIDENT:
        rule.pop("hold", None)  # such a rule has none, and nobody wants to say so for each value
    rules[change.rule] = rule
    root["rules"] = rules
    return Source(source.file, root)


def _copy(tree: object) -> Entries:
    copied = Entries(tree.line if isinstance(tree, Entries) else 0)
    if isinstance(tree, Entries):
        copied.update(tree)
        copied.lines.update(tree.lines)
    return copied


def _rule_set(files: Sequence[RulesFile]) -> RuleSet:
    kinds: dict[str, SignalKind] = {}
    every: dict[str, Span] = {}
    half_read: set[str] = set()
    for file in files:
        for signal in file.signals:
            if signal.name in kinds:
                signal.place.error(f"the signal {quoted(signal.name)} is declared already", "another name")
            if signal.kind is None:
                half_read.add(signal.name)
            else:
                kinds[signal.name] = signal.kind
        for probe in file.probes:
            every |= {signal.name: probe.every for signal in probe.signals}
    bare = not kinds and not half_read
    rules: dict[str, Rule] = {}
    for file in files:
        for declared in file.rules:
            if declared.name in rules:
                declared.place.error("there is such a rule already", "another name")
            _check_reads(declared, kinds, half_read, bare=bare)
            if declared.rule is not None:
                rules[declared.name] = declared.rule
        for place, name, needed in _others(file):
            if bare:
                kinds.setdefault(name, needed)
            _check_read(place, name, needed, kinds, half_read)
    evidence = tuple(one.errors for file in files for one in file.evidence)
    versions = tuple(one.comparison for file in files for one in file.versions)
    probes = tuple(probe for file in files for probe in file.probes)
    brakes = tuple(one.brake for file in files for one in file.brakes)
    queries = tuple(one.queries for file in files for one in file.queries)
    return RuleSet(tuple(rules.values()), kinds, every, evidence, versions, brakes, probes, queries)


def _others(file: RulesFile) -> Iterator[tuple[Place, str, SignalKind]]:
    """What no rule reads: evidence, versions and statements compared, and brakes."""
    for evidence in file.evidence:
        yield evidence.place.at("signal"), evidence.errors.signal, SignalKind.COUNTER
        if evidence.errors.bad is not None:
            yield evidence.place.at("bad"), evidence.errors.bad.signal, SignalKind.COUNTER
    for versions in file.versions:
        yield versions.place.at("bad"), versions.comparison.bad.signal, SignalKind.COUNTER
        yield versions.place.at("total"), versions.comparison.total.signal, SignalKind.COUNTER
    for queries in file.queries:
        yield queries.place.at("seconds"), queries.queries.seconds, SignalKind.COUNTER
        yield queries.place.at("calls"), queries.queries.calls, SignalKind.COUNTER
    for brake in file.brakes:
        yield brake.place.at("of"), brake.brake.of.signal, SignalKind.GAUGE


def _check_reads(declared: DeclaredRule, kinds: dict[str, SignalKind], half_read: set[str], *, bare: bool) -> None:
    """A rule's signals must be there and of the right kind; where none is declared, the rules say what they are."""
    for key, position, selector, needed in declared.reads:
        place = declared.place.at(key) if position is None else declared.place.at(key, position)
        if bare:
            kinds.setdefault(selector.signal, needed)
        _check_read(place, selector.signal, needed, kinds, half_read)


def _check_read(
    place: Place, name: str, needed: SignalKind, kinds: Mapping[str, SignalKind], half_read: set[str]
) -> None:
    if name in half_read:
        return
    if name not in kinds:
        place.error(f"{quoted(name)} is no signal", one_of(name, kinds) or "a signal under `signals:`")
    elif kinds[name] is not needed:
        fitting = [each for each, kind in kinds.items() if kind is needed]
        instead = one_of("", fitting) or f"the name of a {needed}"
        place.error(f"{quoted(name)} is a {kinds[name]}, but a {needed} is needed here", instead)
