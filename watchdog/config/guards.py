"""A guard put together from the files that it names, and what can only be seen then."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from watchdog.config.config_file import ConfigFile, DeclaredGuard
from watchdog.config.configuration import ConfiguredProbe, ConfiguredTarget, DiscovererKind, GuardConfiguration
from watchdog.config.discover import check_discover
from watchdog.config.options import leaves, mentions
from watchdog.config.playbook_file import PlaybookFile
from watchdog.config.problems import one_of, quoted
from watchdog.config.rules_file import DeclaredProbe, DeclaredRule, DeclaredSignal, RulesFile
from watchdog.config.shapes import Place
from watchdog.config.sparse import check_days, warn_sparse
from watchdog.model.communication import Plan
from watchdog.model.guards import GuardSettings
from watchdog.model.rules import CompositeRule, RungKind
from watchdog.model.signals import Selector, SignalKind, SignalSpec
from watchdog.model.time import MINUTE, SECOND, say_span
from watchdog.ports.kinds import Role

SHORTEST_BAKE = 10 * MINUTE
SHORTEST_BASELINE = 5 * MINUTE
SHORTEST_INTERVAL = 5 * SECOND


@dataclass(frozen=True, kw_only=True)
class GuardFiles:
    """A guard with the files that it names, as far as they could be read."""

    guard: DeclaredGuard
    config: ConfigFile
    rules: tuple[RulesFile, ...]
    playbook: PlaybookFile | None
    complete: bool
    discoverers: Mapping[str, DiscovererKind] = field(default_factory=dict)

    @property
    def roles(self) -> Mapping[str, str]:
        """The target's name for each role."""
        return {name: name for name in self.config.targets} | dict(self.guard.head.targets)

    @property
    def signals(self) -> Mapping[str, DeclaredSignal]:
        """Every declared signal; of those declared twice the first."""
        found: dict[str, DeclaredSignal] = {}
        for file in self.rules:
            for signal in file.signals:
                found.setdefault(signal.name, signal)
        return found


def assemble(files: GuardFiles) -> GuardConfiguration | None:
    """Checks a guard against everything that it names; None when it cannot be put together."""
    _check_roles(files)
    _check_signals(files)
    _check_rules(files)
    _check_evidence(files)
    _check_versions(files)
    _check_queries(files)
    _check_brakes(files)
    _check_discover(files)
    plan = _plan(files)
    _warn_short(files, plan)
    days = files.guard.values.given.get("baseline_days", 0)
    check_days(files.guard.place.at("baseline_days"), days, (probe for file in files.rules for probe in file.probes))
    warn_sparse((declared for file in files.rules for declared in file.rules), _intervals(files))
    if files.playbook is None or files.playbook.playbook is None or plan is None or not files.complete:
        return None
    guard = files.guard
    probes = tuple(_probes(files))
    settings = guard.values.build(
        GuardSettings,
        name=guard.name,
        rules=tuple(declared.rule for file in files.rules for declared in file.rules if declared.rule is not None),
        signals=tuple(_specs(files)),
        playbook=files.playbook.playbook,
        plan=plan,
        evidence=tuple(declared.errors for file in files.rules for declared in file.evidence),
        versions=tuple(declared.comparison for file in files.rules for declared in file.versions),
        queries=tuple(declared.queries for file in files.rules for declared in file.queries),
        brakes=tuple(declared.brake for file in files.rules for declared in file.brakes),
    )
    head = guard.head
    return GuardConfiguration(
        settings=settings, probes=probes, roles=files.roles, demo=head.demo, discover=head.discover
    )


def _check_roles(files: GuardFiles) -> None:
    targets = files.config.targets
    for role, target in files.guard.head.targets.items():
        if target not in targets:
            place = files.guard.place.at("targets", role)
            place.error(f"{quoted(target)} is no target", one_of(target, targets))
    for file in files.rules:
        for probe in file.probes:
            at = probe.place.at("target")
            if probe.target:
                _check_role(files, at, probe.target, probe.kind.targets, f"a {quoted(probe.kind.name)} probe reads")
            _check_options(files, probe.place, probe.options)
    for step in files.playbook.steps if files.playbook else ():
        if step.target:
            at = step.place.at("target")
            _check_role(files, at, step.target, step.kind.targets, f"a {quoted(step.kind.name)} step acts on")
        _check_options(files, step.place, step.options)


def _check_options(files: GuardFiles, place: Place, options: Any) -> None:
    for leaf in leaves(options):
        if mentions(leaf.hint, Role) and isinstance(leaf.value, str) and leaf.value:
            _check_role(files, place.at(*leaf.path), leaf.value, (), "")


def _check_role(files: GuardFiles, place: Place, role: str, kinds: tuple[str, ...], does: str) -> None:
    """A role must name a target, of a kind that its user can work with."""
    targets, name = files.config.targets, files.guard.name
    if role not in files.roles:
        place.error(f"guard {quoted(name)} has no target {quoted(role)}", one_of(role, files.roles))
        return
    target = targets.get(files.roles[role])
    if target is None or not kinds or target.kind in kinds:
        return
    fitting = [each for each, to in files.roles.items() if _kind(targets.get(to)) in kinds]
    wanted = " or ".join(kinds)
    instead = one_of("", fitting) or f"a target of kind {wanted}"
    place.error(f"{quoted(role)} is of kind {quoted(target.kind)}, but {does} {wanted}", instead)


def _kind(target: ConfiguredTarget | None) -> str:
    return target.kind if target else ""


def _check_signals(files: GuardFiles) -> None:
    first = files.signals
    for file in files.rules:
        for signal in file.signals:
            other = first[signal.name]
            if other.place != signal.place:
                where = f"{other.place.source.file}:{other.place.source.line(other.place.path)}"
                message = f"the signal {quoted(signal.name)} is declared already in {where}"
                signal.place.error(message, "another name, or leave one out")


def _check_rules(files: GuardFiles) -> None:
    signals = files.signals
    first: dict[str, DeclaredRule] = {}
    for file in files.rules:
        for declared in file.rules:
            place = declared.place
            if declared.name in first:
                where = first[declared.name].place.source.file
                place.error(f"guard {quoted(files.guard.name)} has this rule already, from {where}", "another name")
            first.setdefault(declared.name, declared)
            for key, position, selector, kind in declared.reads:
                at = place.at(key) if position is None else place.at(key, position)
                _check_signal(signals, at, selector.signal, kind, f"this rule needs a {kind}")
                for label, _ in selector.where:
                    _check_label(signals, at.at("where", label), selector.signal, label)
                each = getattr(declared.rule, "each", "")
                if each:
                    _check_label(signals, place.at("each"), selector.signal, each)
            _check_enters(files, declared)
    for file in files.rules:
        for declared in file.rules:
            _check_members(declared, first)


def _check_members(declared: DeclaredRule, rules: Mapping[str, DeclaredRule]) -> None:
    """A composite rule is made of rules that read signals themselves."""
    rule = declared.rule
    for position, name in enumerate(rule.of if isinstance(rule, CompositeRule) else ()):
        place = declared.place.at("of", position)
        simple = [one for one, other in rules.items() if not isinstance(other.rule, CompositeRule)]
        if name not in rules:
            place.error(f"{quoted(name)} is no rule of this guard", one_of(name, simple))
        elif isinstance(rules[name].rule, CompositeRule):
            place.error(f"{quoted(name)} is a composite rule itself", one_of("", simple))
        elif (member := rules[name].rule) is not None and member.hold and rule is not None and not rule.hold:
            message = f"the rule {quoted(name)} has to hold, and together with others it would not"
            declared.place.at("of", position).error(message, f"`hold: {say_span(member.hold)}` for the composite rule")


def _check_signal(signals: Mapping[str, DeclaredSignal], place: Place, name: str, kind: SignalKind, needs: str) -> None:
    signal = signals.get(name)
    if signal is None:
        place.error(f"{quoted(name)} is no signal", one_of(name, signals) or "a signal under `signals:`")
    elif signal.kind is not None and signal.kind is not kind:
        fitting = [each.name for each in signals.values() if each.kind is kind]
        instead = one_of("", fitting) or f"the name of a {kind}"
        place.error(f"{quoted(name)} is a {signal.kind}, but {needs}", instead)


def _check_label(signals: Mapping[str, DeclaredSignal], place: Place, name: str, label: str) -> None:
    """A label by which the signal is not split chooses nothing, for ever."""
    signal = signals.get(name)
    if signal is None or signal.options is None or label in signal.labels:
        return
    instead = one_of(label, signal.labels) or f"{quoted(label)} under `split` of the signal"
    place.error(f"the signal {quoted(name)} is not split by {quoted(label)}, so nothing is ever counted", instead)


def _check_where(signals: Mapping[str, DeclaredSignal], place: Place, selector: Selector) -> None:
    for label, _ in selector.where:
        _check_label(signals, place.at("where", label), selector.signal, label)


def _check_enters(files: GuardFiles, declared: DeclaredRule) -> None:
    order = list(RungKind)
    strongest = files.playbook.strongest if files.playbook else None
    if strongest is not None and order.index(declared.enters) > order.index(strongest):
        name = quoted(files.guard.head.playbook)
        message = f"enters at {quoted(declared.enters)}, but the playbook {name} ends at {quoted(strongest)}"
        declared.place.at("enters").error(message, f"{strongest}, or give the playbook that rung")


def _check_evidence(files: GuardFiles) -> None:
    for file in files.rules:
        for declared in file.evidence:
            place = declared.place.at("signal")
            signal, label, bad = declared.errors.signal, declared.errors.label, declared.errors.bad
            _check_signal(files.signals, place, signal, SignalKind.COUNTER, "evidence needs a counter")
            _check_label(files.signals, declared.place.at("label"), signal, label)
            if bad is not None:
                at = declared.place.at("bad")
                _check_signal(files.signals, at, bad.signal, SignalKind.COUNTER, "evidence needs a counter")
                _check_where(files.signals, at, bad)


def _check_versions(files: GuardFiles) -> None:
    for file in files.rules:
        for declared in file.versions:
            for name, selector in (("bad", declared.comparison.bad), ("total", declared.comparison.total)):
                place = declared.place.at(name)
                why = "versions are compared by counters"
                _check_signal(files.signals, place, selector.signal, SignalKind.COUNTER, why)
                _check_label(files.signals, declared.place.at("label"), selector.signal, declared.comparison.label)
                _check_where(files.signals, place, selector)


def _check_queries(files: GuardFiles) -> None:
    for declared in (one for file in files.rules for one in file.queries):
        for key, name in (("seconds", declared.queries.seconds), ("calls", declared.queries.calls)):
            why = "statements are compared by counters"
            _check_signal(files.signals, declared.place.at(key), name, SignalKind.COUNTER, why)
            _check_label(files.signals, declared.place.at("label"), name, declared.queries.label)


def _check_brakes(files: GuardFiles) -> None:
    for file in files.rules:
        for declared in file.brakes:
            why = "a brake looks at a gauge"
            _check_signal(files.signals, declared.place.at("of"), declared.brake.of.signal, SignalKind.GAUGE, why)
            _check_where(files.signals, declared.place.at("of"), declared.brake.of)
            if not declared.brake.during:
                declared.place.at("during").error("is empty, so the brake never holds", "`[baking]`, or leave it out")


def _check_discover(files: GuardFiles) -> None:
    discover = files.guard.head.discover
    if discover is None:
        return
    place = files.guard.place.at("discover")
    for position, role in enumerate(discover.targets):
        kinds = tuple(files.discoverers)
        _check_role(files, place.at("targets", position), role, kinds, "releases are discovered in")
    kinds_of = {role: _kind(files.config.targets.get(target)) for role, target in files.roles.items()}
    check_discover(place, discover, kinds_of, files.discoverers)


def _plan(files: GuardFiles) -> Plan | None:
    name = files.guard.head.plan
    if not name:
        return Plan()
    if name not in files.config.plans:
        files.guard.place.at("plan").error(f"{quoted(name)} is no plan", one_of(name, files.config.plans))
    return files.config.plans.get(name)


def _warn_short(files: GuardFiles, plan: Plan | None) -> None:
    """Values that suit a demonstration."""
    if files.guard.head.demo:
        return
    guard, given, head = files.guard.place, files.guard.values.given, files.guard.head
    meant = "or `demo: true` if this is meant"
    if given.get("bake", SHORTEST_BAKE) < SHORTEST_BAKE:
        guard.at("bake").warn("is short: later damage finds nobody armed", f"10m or more, {meant}")
    if given.get("baseline", SHORTEST_BASELINE) < SHORTEST_BASELINE:
        guard.at("baseline").warn("is short: noise will look like a change", f"5m or more, {meant}")
    if head.every is not None and head.every < SHORTEST_INTERVAL:
        guard.at("every").warn("is often: probes load their targets", f"5s or more, {meant}")
    if head.discover is not None and head.discover.every < SHORTEST_INTERVAL:
        guard.at("discover", "every").warn("is often: every look loads its targets", f"5s or more, {meant}")
    if plan is not None and plan.clock != 1:
        place = files.config.place.at("plans", head.plan, "clock")
        place.warn(f"guard {quoted(files.guard.name)} would tell people at the wrong times", f"1, {meant}")
    for probe in (probe for file in files.rules for probe in file.probes):
        if head.every is None and probe.every < SHORTEST_INTERVAL:
            probe.place.at("every").warn("is often: probes load their targets", f"5s or more, {meant}")
        if probe.timeout >= _interval(files, probe):
            message = f"a reading may take as long as the interval of {say_span(_interval(files, probe))}"
            probe.place.at("timeout").warn(message, f"less than `every`, {meant}")


def _interval(files: GuardFiles, probe: DeclaredProbe) -> int:
    return files.guard.head.every or probe.every


def _intervals(files: GuardFiles) -> dict[str, int]:
    probes = (probe for file in files.rules for probe in file.probes)
    return {signal.name: _interval(files, probe) for probe in probes for signal in probe.signals}


def _probes(files: GuardFiles) -> Iterator[ConfiguredProbe]:
    counts: dict[str, int] = {}
    for file in files.rules:
        for probe in file.probes:
            name = f"{probe.kind.name}:{probe.target}"
            counts[name] = counts.get(name, 0) + 1
            configured = ConfiguredProbe(
                kind=probe.kind.name,
                name=name,
                target=probe.target,
                every=_interval(files, probe),
                timeout=probe.timeout,
                options=probe.options,
                reads={signal.name: signal.options for signal in probe.signals},
            )
            yield configured if counts[name] == 1 else replace(configured, name=f"{name}#{counts[name]}")


def _specs(files: GuardFiles) -> Iterator[SignalSpec]:
    for file in files.rules:
        for probe in file.probes:
            for signal in probe.signals:
                if signal.kind is not None:
                    yield SignalSpec(signal.name, signal.kind, probe.target, _interval(files, probe), signal.help)
