"""`rollbacks/<playbook>/playbook.yaml`: the ladder, with its scripts read in."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from watchdog.config.complaints import report_complaints
from watchdog.config.fences import FencingStep, check_fences
from watchdog.config.options import canonical, leaves, plain_of
from watchdog.config.problems import quoted
from watchdog.config.scalars import Raw
from watchdog.config.secrets import ConfiguredText
from watchdog.config.shapes import Place, Shape, part, right_version, shape
from watchdog.config.tree import Text
from watchdog.model.playbooks import Autonomy, Playbook, Rung, Step
from watchdog.model.rules import RungKind
from watchdog.model.time import Span, say_span
from watchdog.ports.errors import WatchdogError
from watchdog.ports.kinds import ActionKind


@dataclass(frozen=True, kw_only=True)
class PlaybookHead:
    """The top of the file."""

    version: Raw | None = None
    rungs: Raw | None = None


@dataclass(frozen=True, kw_only=True)
class RungHead:
    """What a rung says beside its settings."""

    rung: RungKind
    steps: Raw | None = None
    compensate: Raw | None = None


@dataclass(frozen=True, kw_only=True)
class DeclaredStep:
    """A step as the file declares it; `step` and `options` are None where something in it is wrong."""

    place: Place
    kind: ActionKind[Any]
    target: str
    step: Step | None
    options: Any


@dataclass(frozen=True, kw_only=True)
class PlaybookFile:
    """What could be read of a playbook.

    Attributes:
        playbook: None when something in it is wrong.
        strongest: The strongest rung that the file names, also when that rung is wrong.
    """

    place: Place
    playbook: Playbook | None
    steps: tuple[DeclaredStep, ...]
    strongest: RungKind | None


@dataclass(frozen=True)
class _ReadRung:
    kind: RungKind
    rung: Rung | None
    steps: tuple[DeclaredStep, ...]
    place: Place


def head_shape() -> Shape:
    """The top of the file."""
    return shape("playbook", part(PlaybookHead), part(Playbook, "name", "hash", "rungs"))


def rung_shape() -> Shape:
    """A rung."""
    return shape("rung", part(RungHead), part(Rung, "kind", "steps", "compensate"))


def step_shape(kind: ActionKind[Any]) -> Shape:
    """A step of this kind."""
    return shape(f"{kind.name} step", part(Step, "options", "transactional"), part(kind.options))


def read_playbook(top: Place, name: str, actions: Mapping[str, ActionKind[Any]]) -> PlaybookFile | None:
    """Reads a playbook with its scripts; None when it is written for another version."""
    if not right_version(top):
        return None
    before = len(top.findings.errors)
    values = top.read(head_shape())
    section = top.at("rungs")
    if section.node in (None, []):
        section.error("the ladder is empty", "at least one rung: `- rung: stop`")
    read = [rung for place in section.items() if (rung := _rung(place, actions)) is not None]
    _check_order(read)
    if values is not None:
        _check_budget(read, values.given.get("budget", Playbook.budget))
    steps = tuple(step for rung in read for step in rung.steps)
    playbook = None
    if values is not None and len(top.findings.errors) == before:
        rungs = tuple(rung.rung for rung in read if rung.rung is not None)
        playbook = values.build(Playbook, name=name, hash="", rungs=rungs)
        playbook = values.build(Playbook, name=name, hash=_hash(playbook, steps), rungs=rungs)
    order = list(RungKind)
    strongest = max((rung.kind for rung in read), key=order.index, default=None)
    return PlaybookFile(place=top, playbook=playbook, steps=steps, strongest=strongest)


def _rung(place: Place, actions: Mapping[str, ActionKind[Any]]) -> _ReadRung | None:
    before = len(place.findings.errors)
    values = place.read(rung_shape())
    section = place.at("steps")
    steps = tuple(step for at in section.items() if (step := _step(at, actions)) is not None)
    _check_names(section)
    otherwise = place.at("compensate")
    undo = tuple(step for at in otherwise.items() if (step := _step(at, actions)) is not None)
    _check_names(otherwise)
    _check_conditions(section, otherwise)
    if values is None:
        named = place.at("rung").node
        known = [kind for kind in RungKind if isinstance(named, str) and kind.value == named]
        return _ReadRung(known[0], None, (*steps, *undo), place) if known else None
    _check_data(values.given["rung"], steps, undo)
    if len(place.findings.errors) == before:
        _check_fences(values.given["rung"], steps, undo)
    rung = values.build(
        Rung,
        kind=values.given["rung"],
        steps=tuple(step.step for step in steps if step.step is not None),
        compensate=tuple(step.step for step in undo if step.step is not None),
    )
    if rung.autonomy is Autonomy.ACT and section.node in (None, []):
        message = f"the {rung.kind} rung acts by itself but has no steps"
        (section.error if rung.kind is RungKind.DATA else section.warn)(message, "its steps, or leave the rung out")
    return _ReadRung(rung.kind, rung, (*steps, *undo), place)


def _step(place: Place, actions: Mapping[str, ActionKind[Any]]) -> DeclaredStep | None:
    kind = place.kind("kind", actions, "kind of step")
    values = place.read_parts(step_shape(kind)) if kind else None
    if kind is None or values is None:
        return None
    target = str(values.given.get("target", ""))
    if kind.targets and not target and place.at("target").node is None:
        place.at("target").error("is missing", f"the role of a target ({', '.join(kind.targets)})")
    if not kind.targets and target:
        place.at("target").error(f"a {quoted(kind.name)} step acts on no target", "the step without it")
    options = place.build(values, kind.options) if values.sound else None
    step = None
    if options is not None:
        _check_secrets(place, options)
        report_complaints(place, kind.complaints, options)
        step = values.build(Step, options=canonical(plain_of(options)), transactional=kind.transactional(options))
    return DeclaredStep(place=place, kind=kind, target=target, step=step, options=options)


def _check_order(rungs: list[_ReadRung]) -> None:
    order = list(RungKind)
    seen: list[RungKind] = []
    for rung in rungs:
        if rung.kind in seen:
            rung.place.at("rung").error(f"the rung {quoted(rung.kind)} stands twice", "its steps into the first one")
        elif seen and order.index(rung.kind) < max(map(order.index, seen)):
            ladder = ", ".join(order)
            rung.place.at("rung").error(f"{quoted(rung.kind)} is out of order", f"the rungs in the order {ladder}")
        seen.append(rung.kind)


def _check_names(section: Place) -> None:
    seen: dict[str, int] = {}
    for place in section.items() if isinstance(section.node, list) else ():
        name = place.at("name").node
        if not isinstance(name, Text):
            continue
        line = place.source.line(place.at("name").path)
        if name in seen:
            message = f"{quoted(name)} is the name of another step of this rung, in line {seen[name]}"
            place.at("name").error(message, "another name")
        seen.setdefault(name, line)


def _check_conditions(steps: Place, compensate: Place) -> None:
    """A condition names a step of the rung, and only a step that compensates has one."""
    names = [place.at("name").node for place in _listed(steps)]
    for key in ("only_after", "unless_after"):
        for place in _listed(steps):
            if place.at(key).node is not None:
                place.at(key).error("is for steps under `compensate`", "the step without it")
        for place in _listed(compensate):
            if (named := place.at(key).node) is not None and named not in names:
                place.at(key).error(f"{quoted(str(named))} is no step of this rung", "the name of one of its steps")


def _listed(section: Place) -> tuple[Place, ...]:
    return tuple(section.items()) if isinstance(section.node, list) else ()


def _check_secrets(place: Place, options: Any) -> None:
    """A secret written out would go into the journal with the step."""
    for leaf in leaves(options):
        if isinstance(leaf.value, ConfiguredText) and leaf.value.configured and not leaf.value.refers:
            place.at(*leaf.path).error("a secret is written out here", "`${env:NAME}` or `${file:/path}`")


def _check_data(rung: RungKind, steps: Sequence[DeclaredStep], undo: Sequence[DeclaredStep]) -> None:
    """Data is destroyed in the data rung alone, where the brakes are."""
    for step in (*steps, *undo) if rung is not RungKind.DATA else ():
        if _destroys(step):
            message = f"it destroys data, but the {rung} rung has none of the data rung's brakes"
            step.place.error(message, "the step into the data rung")


def _destroys(step: DeclaredStep) -> bool:
    try:
        return step.options is not None and step.kind.destroys(step.options)
    except WatchdogError:  # it has complaints
        return False


def _check_fences(rung: RungKind, steps: Sequence[DeclaredStep], undo: Sequence[DeclaredStep]) -> None:
    fencing = _fencing(steps)
    check_fences(fencing, _fencing(undo))
    if rung is RungKind.DATA and steps and all(step.fencing.lifts for step in fencing):
        steps[0].place.warn(
            "the data rung lets users write while it rolls back, and what they write then may be lost",
            "a step that fences their roles first, and one that lifts it at the end",
        )


def _fencing(steps: Sequence[DeclaredStep]) -> tuple[FencingStep, ...]:
    return tuple(
        FencingStep(step.place, step.target, fencing)
        for step in steps
        if step.options is not None and (fencing := step.kind.fencing(step.options)) is not None
    )


def _check_budget(rungs: Sequence[_ReadRung], budget: Span) -> None:
    for step in chain.from_iterable(rung.steps for rung in rungs):
        if step.step is not None and step.step.timeout > budget:
            message = f"is longer than the whole budget of {say_span(budget)}"
            step.place.at("timeout").warn(message, "less, or a larger `budget`")


def _hash(playbook: Playbook, steps: tuple[DeclaredStep, ...]) -> str:
    """Over everything that the playbook does, scripts in full; where it stands in the file does not count."""
    plain = plain_of(playbook)
    options: Iterator[DeclaredStep] = iter(steps)
    for rung in plain["rungs"]:
        for step in (*rung["steps"], *rung["compensate"]):
            step["options"] = plain_of(next(options).options, sources=False)
    return hashlib.sha256(canonical(plain).encode()).hexdigest()
