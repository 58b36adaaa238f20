"""Reads a configuration with everything that it names, and reports everything that is wrong at once."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from watchdog.config.config_file import NAME_HELP, NAMES, ConfigFile, DeclaredGuard, read_config
from watchdog.config.configuration import Configuration, GuardConfiguration, Registries, Report
from watchdog.config.guards import GuardFiles, assemble
from watchdog.config.playbook_file import PlaybookFile, read_playbook
from watchdog.config.problems import LONGEST_PATH, ConfigError, Findings, one_of, quoted
from watchdog.config.rules_file import RulesFile, read_rules
from watchdog.config.shapes import Place, place_of, right_version
from watchdog.config.tree import read_source


def load(path: Path, registries: Registries, *, environ: Mapping[str, str] = os.environ) -> Configuration:
    """The configuration.

    Args:
        path: Of `config.yaml`; `rules/` and `rollbacks/` stand beside it.
        registries: The kinds that may be configured.
        environ: What `${env:…}` refers to; secrets read it again whenever they are revealed.

    Raises:
        ConfigError: With every problem.
    """
    report = inspect(path, registries, environ=environ)
    if report.configuration is None:
        raise ConfigError(report.problems)
    return report.configuration


def inspect(path: Path, registries: Registries, *, environ: Mapping[str, str] = os.environ) -> Report:
    """Everything that is wrong with a configuration, and the configuration if nothing is."""
    loading = _Loading(path, registries, environ)
    configuration = loading.read()
    problems = tuple(sorted(loading.findings.errors))
    warnings = tuple(sorted(loading.findings.warnings))
    if problems or configuration is None:
        return Report(configuration=None, problems=problems, warnings=warnings)
    return Report(configuration=replace(configuration, warnings=warnings), problems=(), warnings=warnings)


@dataclass
class _Loading:
    """One reading; each file is read once, however many guards name it."""

    path: Path
    registries: Registries
    environ: Mapping[str, str]
    findings: Findings = field(default_factory=Findings)
    rules: dict[str, RulesFile | None] = field(default_factory=dict)
    playbooks: dict[str, PlaybookFile | None] = field(default_factory=dict)

    def read(self) -> Configuration | None:
        top = self.open(self.path)
        if top is None or not right_version(top):
            return None
        file = read_config(top, self.registries)
        guards = [assemble(self.files(file, guard)) for guard in file.guards]
        _warn_unused(file)
        return _configuration(self.path, file, [guard for guard in guards if guard is not None])

    def open(self, path: Path, *, journaled: bool = False) -> Place | None:
        source = read_source(path, self.findings)
        return None if source is None else place_of(path, source, self.findings, self.environ, journaled=journaled)

    def files(self, config: ConfigFile, guard: DeclaredGuard) -> GuardFiles:
        place = guard.place
        if guard.head.rules == () and "rules" in guard.values.given:
            place.at("rules").error("a guard without rules sees nothing", "`[automatic]`")
        rules = []
        for position, name in enumerate(guard.head.rules):
            if name in guard.head.rules[:position]:
                place.at("rules", position).error(f"{quoted(name)} stands twice", "it once")
                continue
            rules.append(self.rules_file(name, place.at("rules", position)))
        playbook = self.playbook(guard.head.playbook, place.at("playbook")) if guard.head.playbook else None
        read = tuple(file for file in rules if file is not None)
        complete = len(read) == len(guard.head.rules)
        return GuardFiles(
            guard=guard,
            config=config,
            rules=read,
            playbook=playbook,
            complete=complete,
            discoverers=self.registries.discoverers,
        )

    def rules_file(self, name: str, place: Place) -> RulesFile | None:
        if name not in self.rules:
            folder = self.path.parent / "rules"
            known = [each.stem for each in folder.glob("*.yaml")]
            path = self.named(name, folder / f"{name}.yaml", known, place)
            top = self.open(path) if path else None
            self.rules[name] = read_rules(top, self.registries.probes) if top else None
        return self.rules[name]

    def playbook(self, name: str, place: Place) -> PlaybookFile | None:
        if name not in self.playbooks:
            folder = self.path.parent / "rollbacks"
            known = [each.parent.name for each in folder.glob("*/playbook.yaml")]
            path = self.named(name, folder / name / "playbook.yaml", known, place)
            top = self.open(path, journaled=True) if path else None
            self.playbooks[name] = read_playbook(top, name, self.registries.actions) if top else None
        return self.playbooks[name]

    def named(self, name: str, path: Path, known: list[str], place: Place) -> Path | None:
        """The path of a file that is named without its folder, if it is there."""
        if not NAMES.fullmatch(name):
            place.error(f"{quoted(name)} is no name of a file there", NAME_HELP)
        elif name not in known:
            place.error(f"there is no {quoted(str(path), LONGEST_PATH)}", one_of(name, known))
        else:
            return path
        return None


def _warn_unused(file: ConfigFile) -> None:
    """Plans that no guard has, and channels that no plan names."""
    plans = {guard.head.plan for guard in file.guards}
    for name in file.plans.keys() - plans:
        file.place.at("plans", name).warn("no guard has this plan", "`plan:` in a guard, or leave it out")
    channels = {
        channel
        for plan in file.plans.values()
        if plan is not None
        for channel in (plan.updates, *(beat.channel for beat in plan.beats))
    }
    for name in file.channels.keys() - channels if None not in file.plans.values() else ():
        file.place.at("channels", name).warn("no plan uses this channel", "it in a plan, or leave it out")


def _configuration(path: Path, file: ConfigFile, guards: list[GuardConfiguration]) -> Configuration | None:
    if file.state is None or file.journal is None or file.web is None:
        return None
    return Configuration(
        path=path,
        state=file.state,
        targets={name: target for name, target in file.targets.items() if target is not None},
        guards=tuple(guards),
        journal=file.journal,
        web=file.web,
        notifiers={name: notifier for name, notifier in file.notifiers.items() if notifier is not None},
        channels={name: channel for name, channel in file.channels.items() if channel is not None},
    )
