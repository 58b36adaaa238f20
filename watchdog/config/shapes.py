"""Shapes: which keys a mapping in a file may have, and what they make.

One mapping often feeds several dataclasses (a rule and the parameters of its confidence, a step and the options of
its kind), so a shape is a flat union of their fields.
"""

import functools
import re
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from watchdog.config.explain import advised, problems_of
from watchdog.config.mirror import hints_of, key_of, model_of, required_of, values_of
from watchdog.config.problems import Findings, one_of, quoted
from watchdog.config.scalars import Scope
from watchdog.config.tree import Entries, Items, Position, Source, Tree

VERSION: Final = "1"
T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """A dataclass that takes some of a mapping's keys.

    Attributes:
        omit: Fields that the file does not say.
    """

    type: type
    omit: frozenset[str] = frozenset()


def part(kind: type, *omit: str) -> Part:
    """A part without some fields."""
    return Part(kind, frozenset(omit))


@dataclass(frozen=True)
class Values:
    """What one mapping said, checked.

    Attributes:
        given: By the name of the field; without those that are wrong.
        sound: Whether nothing was wrong or missing.
    """

    given: Mapping[str, Any]
    sound: bool = True

    def of(self, kind: type) -> dict[str, Any]:
        """The values for the fields of a dataclass; those that the file does not say are absent."""
        return {item.name: self.given[item.name] for item in fields(kind) if item.name in self.given}

    def build(self, target: type[T], /, **more: object) -> T:
        """The dataclass from what the file said and `more`."""
        return target(**{**self.of(target), **more})


@dataclass(frozen=True)
class Shape:
    """The keys that a mapping may have."""

    model: type[BaseModel]
    hints: Mapping[str, Any] = field(compare=False)

    @property
    def keys(self) -> tuple[str, ...]:
        """Its keys as they are written."""
        return tuple(key_of(name) for name in self.hints)

    @functools.cached_property
    def _adapters(self) -> Mapping[str, TypeAdapter[Any]]:
        return {name: TypeAdapter(hint) for name, hint in self.hints.items()}

    def sound_parts(self, node: Entries, wrong: AbstractSet[object], scope: Scope) -> dict[str, Any]:
        """The values of a mapping's keys, without those that are wrong."""
        return {
            name: adapter.validate_python(node[key_of(name)], context=scope)
            for name, adapter in self._adapters.items()
            if key_of(name) in node and key_of(name) not in wrong
        }


@functools.cache
def shape(title: str, *parts: Part) -> Shape:
    """The shape of a mapping that feeds these parts. A key that two of them have goes to both."""
    hints: dict[str, Any] = {}
    required: set[str] = set()
    for each in parts:
        own = hints_of(each.type)
        kept = [name for name in own if name not in each.omit and name not in hints]
        hints |= {name: own[name] for name in kept}
        required |= required_of(each.type) & set(kept)
    return Shape(model_of(title, hints, required), hints)


@dataclass(frozen=True)
class Place:
    """A place in a file that is being read: where problems are reported from."""

    findings: Findings
    source: Source
    scope: Scope
    path: Position = ()

    def at(self, *more: str | int) -> "Place":
        """A place further in."""
        return Place(self.findings, self.source, self.scope, (*self.path, *more))

    @property
    def node(self) -> Tree:
        """What stands here."""
        return self.source.node(self.path)

    def error(self, message: str, instead: str = "") -> None:
        """Reports a mistake here."""
        self.findings.error(self.source.problem(self.path, message, instead))

    def warn(self, message: str, instead: str = "") -> None:
        """Reports here what is probably not meant."""
        self.findings.warn(self.source.problem(self.path, message, instead))

    def entries(self) -> Iterator[tuple[str, "Place"]]:
        """The entries of the mapping that stands here; none when nothing does. Reports anything else."""
        node = self.node
        if isinstance(node, Entries):
            for key in node:
                yield key, self.at(key)
        elif node is not None:
            self.error("must be a mapping", "`name:` and its keys below it")

    def items(self) -> Iterator["Place"]:
        """The items of the list that stands here; none when nothing does. Reports anything else."""
        node = self.node
        if isinstance(node, Items):
            for position in range(len(node)):
                yield self.at(position)
        elif node is not None:
            self.error("must be a list", "`- …` for each item")

    def read(self, wanted: Shape) -> Values | None:
        """Reads the mapping that stands here; reports what is wrong with it and answers None then."""
        values = self.read_parts(wanted)
        return values if values is not None and values.sound else None

    def read_parts(self, wanted: Shape) -> Values | None:
        """Reads what is right in the mapping that stands here, and reports what is not; None when it is no mapping."""
        node = self.node
        if not isinstance(node, Entries):
            self.error("is empty" if node is None else "must be a mapping", f"its keys: {', '.join(wanted.keys)}")
            return None
        self.scope.known[id(node)] = wanted.keys
        try:
            return Values(values_of(wanted.model.model_validate(node, context=self.scope)))
        except ValidationError as error:
            problems = list(problems_of(error, self.source, self.path, self.scope.known))
            wrong = {detail["loc"][0] for detail in error.errors(include_url=False, include_input=False)}
        seen: set[tuple[int, str]] = set()
        for problem in problems:
            if (problem.line, problem.key) not in seen:  # members of a union complain one by one
                seen.add((problem.line, problem.key))
                self.findings.error(problem)
        return Values(wanted.sound_parts(node, wrong, self.scope), sound=False)

    def build(self, values: Values, kind: type[T]) -> T | None:
        """Builds options, which may check themselves; reports what they say, at the key that they begin with."""
        try:
            return values.build(kind)
        except (ValueError, TypeError) as error:
            said = str(error)
            first = re.match(r"\w+", said)
            named = first is not None and any(first[0] == item.name for item in fields(kind))  # type: ignore[arg-type]
            place = self.at(key_of(first[0])) if first and named else self
            place.error(*advised(said))
            return None

    def kind(self, key: str, known: Mapping[str, T], what: str) -> T | None:
        """The registered kind that this mapping names under a key."""
        node = self.node
        if not isinstance(node, Entries):
            self.error("is empty" if node is None else "must be a mapping", f"`{key}: …` and its options")
            return None
        name = node.get(key)
        if isinstance(name, str) and name in known:
            return known[name]
        if name is None:
            self.at(key).error("is missing", one_of("", known))
        elif not isinstance(name, str):
            self.at(key).error("must be text", one_of("", known))
        else:
            self.at(key).error(f"{quoted(name)} is no {what}", one_of(name, known))
        return None


def place_of(
    path: Path, source: Source, findings: Findings, environ: Mapping[str, str], *, journaled: bool = False
) -> Place:
    """The top of a file."""
    return Place(findings, source, Scope(str(path), path.parent, environ, journaled=journaled))


def right_version(top: Place) -> bool:
    """Whether the file is written for this version; one that does not say so is reported, and read all the same."""
    version = top.node.get("version") if isinstance(top.node, Entries) else None
    if version is None:
        top.at("version").error("is missing", f"`version: {VERSION}`")
        return True
    if version == VERSION:
        return True
    shown = quoted(version) if isinstance(version, str) else "this"
    top.at("version").error(
        f"{shown} is another version; this watchdog reads version {VERSION}",
        f"`version: {VERSION}` and what the changelog says of it",
    )
    return False
