"""Small YAML files that describe a migration: read strictly, every mistake with its line and what to write instead."""

import difflib
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TypeVar

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from watchdog.ports.errors import WatchdogError

Choice = TypeVar("Choice", bound=str)

_LONGEST = 2**20
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZES = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_TRUE, _FALSE = frozenset({"true", "yes", "on"}), frozenset({"false", "no", "off"})


class FileError(WatchdogError):
    """A migration file cannot be used; holds every problem, each with file and line."""

    exit_status = 2

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def read_text(source: Path | str) -> tuple[str, str]:
    """What a file is called in errors, and its text; a string is the text itself.

    Raises:
        FileError: It cannot be read.
    """
    if isinstance(source, str):
        return "migration", source
    try:
        raw = source.read_bytes()
        return str(source), raw.decode("utf-8-sig")
    except OSError as error:
        raise FileError((f"{source}: the file cannot be read ({error.strerror})",)) from error
    except UnicodeDecodeError as error:
        raise FileError((f"{source}: the file is not UTF-8",)) from error


class Problems:
    """Collects what is wrong in one file."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._found: dict[tuple[int, str], None] = {}

    def add(self, line: int, key: str, message: str) -> None:
        """Adds a mistake; lines count from 1."""
        self._found[line, f"{self._file}:{line}: {f'{key}: ' if key else ''}{message}"] = None

    def finish(self) -> None:
        """Raises FileError when anything is wrong."""
        if self._found:
            raise FileError(tuple(text for _, text in sorted(self._found)))


class Section:
    """One mapping of the file; what is asked for by name is known, all else is complained of by `finish`."""

    def __init__(self, node: MappingNode, key: str, problems: Problems) -> None:
        self._key = key
        self._line = node.start_mark.line + 1 if node.start_mark else 1
        self._problems = problems
        self._known: set[str] = set()
        self._nodes: dict[str, Node] = {}
        self._lines: dict[str, int] = {}
        for name, value in node.value:
            self._enter(name, value)

    def _enter(self, name: Node, value: Node) -> None:
        line = name.start_mark.line + 1
        if not isinstance(name, ScalarNode):
            self._problems.add(line, self._key, "a key must be text; write `key: value`")
        elif name.value in self._nodes:
            self._problems.add(line, self._path(name.value), "stands twice; write it once")
        else:
            self._nodes[name.value], self._lines[name.value] = value, line

    def complain(self, name: str, message: str) -> None:
        """Adds a mistake at a key, or at the mapping where the key is missing."""
        self._problems.add(self._lines.get(name, self._line), self._path(name), message)

    def has(self, name: str) -> bool:
        """Whether a key is there with a value."""
        self._known.add(name)
        node = self._nodes.get(name)
        return node is not None and not (isinstance(node, ScalarNode) and node.tag.endswith(":null"))

    def is_mapping(self, name: str) -> bool:
        """Whether a key holds a mapping."""
        return self.has(name) and isinstance(self._nodes[name], MappingNode)

    def text(self, name: str, default: str | None = None) -> str:
        """A text; without a default it must be there and not be empty."""
        if not self.has(name):
            if default is None:
                self.complain(name, "is missing; write it")
            return default or ""
        node = self._nodes[name]
        if not isinstance(node, ScalarNode) or not node.value.strip():
            self.complain(name, "must be a text")
            return default or ""
        return str(node.value)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts; one text stands for a list of one."""
        if not self.has(name):
            return ()
        node = self._nodes[name]
        if isinstance(node, ScalarNode):
            return (self.text(name),)
        if not isinstance(node, SequenceNode) or not all(isinstance(each, ScalarNode) for each in node.value):
            self.complain(name, "must be a list of texts")
            return ()
        return tuple(str(each.value) for each in node.value)

    def pairs(self, name: str) -> dict[str, str]:
        """A mapping of texts."""
        if not self.has(name):
            return {}
        node = self._nodes[name]
        flat = isinstance(node, MappingNode) and all(
            isinstance(each, ScalarNode) for pair in node.value for each in pair
        )
        if not flat:
            self.complain(name, "must be a mapping of texts")
            return {}
        return {str(key.value): str(value.value) for key, value in node.value}

    def whole(self, name: str, default: int | None, *, least: int, most: int) -> int:
        """A whole number within bounds."""
        if not self.has(name) and default is not None:
            return default
        text = self.text(name)
        if text and not (re.fullmatch(r"[0-9]{1,15}", text) and least <= int(text) <= most):
            self.complain(name, f"must be a whole number from {least:,} to {most:,}")
            return least
        return int(text) if text else least

    def ratio(self, name: str, default: float) -> float:
        """A share from 0 to 1."""
        text = self.text(name, str(default))
        if not re.fullmatch(r"0(\.[0-9]{1,9})?|1(\.0+)?", text):
            self.complain(name, "must be a share from 0 to 1, as 0.01")
            return default
        return float(text)

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false."""
        text = self.text(name, "true" if default else "false").lower()
        if text not in _TRUE | _FALSE:
            self.complain(name, "must be true or false")
        return text in _TRUE

    def seconds(self, name: str, default: str) -> int:
        """A length of time as `30s`, `5m`, `1h` or `7d`, in seconds."""
        found = re.fullmatch(r"([0-9]{1,6})([smhd])", self.text(name, default))
        if not found or found[1].strip("0") == "":
            self.complain(name, "must be a length of time above zero: 30s, 5m, 1h or 7d")
            return 1
        return int(found[1]) * _UNITS[found[2]]

    def bytes(self, name: str, default: str) -> int:
        """A size as `64MiB`, in bytes."""
        found = re.fullmatch(r"([0-9]{1,12})(|KiB|MiB|GiB)", self.text(name, default))
        if not found:
            self.complain(name, "must be a size: 512KiB, 64MiB or 1GiB")
            return 0
        return int(found[1]) * _SIZES[found[2]]

    def choice(self, name: str, choices: Collection[Choice], default: Choice | None = None) -> Choice:
        """One of some words."""
        text = self.text(name, default)
        for one in choices:
            if one == text:
                return one
        if text:
            self.complain(name, f"`{text[:60]}` is unknown; write {_one_of(text, choices)}")
        return next(iter(choices))

    def section(self, name: str) -> "Section":
        """A mapping below a key; an empty one where it is missing, which is complained of."""
        if self.has(name):
            return _section(self._nodes[name], self._path(name), self._problems)
        self.complain(name, "is missing; write a mapping")
        return _section(MappingNode("", []), self._path(name), Problems(""))

    def sections(self, name: str) -> list["Section"]:
        """A list of mappings."""
        node = self._nodes.get(name) if self.has(name) else None
        if not isinstance(node, SequenceNode) or not node.value:
            self.complain(name, "must be a list with something in it")
            return []
        key = self._path(name)
        return [_section(each, f"{key}[{number}]", self._problems) for number, each in enumerate(node.value)]

    def finish(self) -> None:
        """Complains of every key that nobody asked for."""
        for name in self._nodes.keys() - self._known:
            self.complain(name, f"is unknown; write {_one_of(name, self._known)}")

    def _path(self, name: str) -> str:
        if not name:
            return self._key
        shown = name if re.fullmatch(r"[\w.-]{1,60}", name) else "…"
        return f"{self._key}.{shown}" if self._key else shown


def parse(text: str, file: str) -> tuple[Section, Problems]:
    """The top of a file of version 1.

    Raises:
        FileError: It is no YAML, or its top is no mapping.
    """
    problems = Problems(file)
    try:
        node = _node(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problems.add(
            mark.line + 1 if mark else 1, "", "this is not YAML; write `key: value` lines indented with spaces"
        )
        node = None
    except (RecursionError, ValueError, OverflowError):
        problems.add(1, "", "the file is too long, nested too deeply, or holds an impossible escape")
        node = None
    problems.finish()
    if not isinstance(node, MappingNode):
        problems.add(1, "", "the file must be a mapping; write `version: 1` first")
        problems.finish()
        node = MappingNode("", [])
    top = _section(node, "", problems)
    if top.text("version") not in {"", "1"}:
        top.complain("version", "this program reads version 1; write `version: 1` and what docs say of it")
    return top, problems


def _node(text: str) -> Node | None:
    if len(text) > _LONGEST:
        raise ValueError
    # An alias would let a short file stand for an endless one; no migration needs any.
    if any(isinstance(each, yaml.AliasEvent) for each in yaml.parse(text, Loader=yaml.SafeLoader)):
        raise yaml.YAMLError
    return yaml.compose(text, Loader=yaml.SafeLoader)


def _section(node: Node, key: str, problems: Problems) -> Section:
    if isinstance(node, MappingNode):
        return Section(node, key, problems)
    problems.add(node.start_mark.line + 1, key, "must be a mapping")
    return Section(MappingNode("", [], node.start_mark, node.end_mark), key, Problems(""))


def _one_of(wrong: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(wrong, names, n=1)
    return f"`{near[0]}`" if near else f"one of {', '.join(names)}"
