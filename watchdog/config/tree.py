"""YAML as a tree that remembers its lines.

Every scalar stays the text that was written, so `version: 1.10`, `no` and `2025-01-08` mean what they show; the type
of the field that takes it decides how it is read. Nothing in a file can make an object: tags are refused.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import yaml
from yaml.composer import Composer
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from watchdog.config.problems import Findings, Problem, dotted, quoted

NODES: Final = 100_000
_TAG: Final = "tag:yaml.org,2002:"
_KNOWN_TAGS: Final = frozenset(_TAG + kind for kind in ("str", "int", "float", "bool", "null", "seq", "map", "merge"))
_QUOTED: Final = re.compile(r"'[^']*'|\"[^\"]*\"")
_TOKEN: Final = re.compile(r".?|\\t|<[a-z ]+>")
"""What PyYAML quotes of its own, and single characters."""
_YAML: Final = "`key: value` lines indented with spaces, and quotes around values that hold `: `, ` #`, `{` or `[`"
_INSTEAD: Final = (
    ("control character", "the text without it, or an escape in double quotes"),
    ("undefined alias", "the anchor (`&name`) before its alias, or quotes around a value that begins with `*`"),
    ("duplicate anchor", "another name for the anchor"),
    ("'\\t'", "spaces in place of the tab"),
    ("mapping values are not allowed", "each key on a line of its own, or quotes around a value that holds `: `"),
    ("expected ',' or ']'", "the `]` that closes the list"),
    ("expected ',' or '}'", "the `}` that closes the mapping"),
    ("while scanning a quoted", "the quote that ends the text"),
    ("found unexpected end of stream", "the quote or bracket that is missing"),
    ("found unknown escape", "single quotes, in which `\\` is itself"),
    ("cannot start any token", "quotes around the value"),
    ("expected <block end>", "the same indentation for keys that belong together"),
    ("could not find expected ':'", "`key: value`"),
)

Position: TypeAlias = tuple[str | int, ...]
"""A path into a file: keys and list positions."""


class Text(str):
    """A scalar as it is written.

    Attributes:
        line: Where its first line of text stands.
        plain: It has no quotes, so where anything may stand, `5` is a number.
    """

    __slots__ = ("line", "plain")
    line: int
    plain: bool


class Entries(dict[str, "Tree"]):
    """A mapping, with the line of each key."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}


class Items(list["Tree"]):
    """A list, with the line of each item."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: list[int] = []


Tree: TypeAlias = Text | Entries | Items | None


@dataclass(frozen=True)
class Source:
    """One file that was read."""

    file: str
    root: Entries

    def node(self, path: Position) -> Tree:
        """What stands at a path; None when nothing does."""
        node: Tree = self.root
        for part in path:
            node = _child(node, part)
        return node

    def line(self, path: Position) -> int:
        """The line of a path, or of the nearest part of it that is there."""
        line = self.root.line
        node: Tree = self.root
        for part in path:
            found = _line_below(node, part)
            if found is None:
                break
            line, node = found, _child(node, part)
        return line

    def problem(self, path: Position, message: str, instead: str = "") -> Problem:
        """A problem at a path."""
        return Problem(self.file, self.line(path), dotted(path), message, instead)


def _child(node: Tree, part: str | int) -> Tree:
    if isinstance(node, Entries) and isinstance(part, str):
        return node.get(part)
    if isinstance(node, Items) and isinstance(part, int) and part < len(node):
        return node[part]
    return None


def _line_below(node: Tree, part: str | int) -> int | None:
    if isinstance(node, Entries) and isinstance(part, str):
        return node.lines.get(part)
    if isinstance(node, Items) and isinstance(part, int) and part < len(node.lines):
        return node.lines[part]
    return None


def read_source(path: Path, findings: Findings) -> Source | None:
    """Reads a YAML file whose top is a mapping; reports and answers None when it cannot be read at all."""
    file = str(path)
    try:
        raw = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a path"
        findings.error(Problem(file, 0, "", f"the file cannot be read: {reason}", "a file that this user can read"))
        return None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        findings.error(Problem(file, line, "", "the file is not UTF-8", "it again as UTF-8"))
        return None
    return parse(text, file, findings)


def parse(text: str, file: str, findings: Findings) -> Source | None:
    """Parses the text of a file; reports what is no YAML, duplicate keys, tags, and a top that is no mapping."""
    reading = _Reading(file, findings)
    try:
        node = _Composer(text).get_single_node()
        tree = None if node is None else reading.tree(node, ())
    except yaml.YAMLError as error:
        said = _say(error)
        findings.error(Problem(file, _line_of(error, text), "", f"this is not YAML: {said}", _instead(said)))
        return None
    except (ValueError, OverflowError):  # PyYAML on escapes and directives that stand for no number
        message = "this is not YAML: an escape or a directive has an impossible number"
        findings.error(Problem(file, 0, "", message, "the character itself, or leave the directive out"))
        return None
    except RecursionError:
        findings.error(Problem(file, 0, "", "lists and mappings are nested too deeply", "it flatter"))
        return None
    except _TooLargeError:
        message = f"with its anchors unfolded the file has more than {NODES} values"
        findings.error(Problem(file, 0, "", message, "fewer aliases (`*name`)"))
        return None
    if not isinstance(tree, Entries):
        what = "the file is empty" if tree is None else "the file must be a mapping"
        findings.error(Problem(file, 1, "", what, "`version: 1` first"))
        return None
    return Source(file, tree)


class _TooLargeError(Exception):
    pass


class _Composer(Reader, Scanner, Parser, Composer, BaseResolver):
    """PyYAML up to nodes, with null and merge as the only plain scalars that are not text."""

    def __init__(self, stream: str) -> None:
        Reader.__init__(self, stream)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseResolver.__init__(self)


_Composer.add_implicit_resolver(f"{_TAG}null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Composer.add_implicit_resolver(f"{_TAG}merge", re.compile(r"^<<$"), ["<"])


class _Reading:
    """Turns nodes into a tree."""

    def __init__(self, file: str, findings: Findings) -> None:
        self.file = file
        self.findings = findings
        self.count = 0
        self.open: set[int] = set()

    def report(self, node: Node, path: Position, message: str, instead: str = "") -> None:
        self.findings.error(Problem(self.file, node.start_mark.line + 1, dotted(path), message, instead))

    def tree(self, node: Node, path: Position) -> Tree:
        self.count += 1
        if self.count > NODES:
            raise _TooLargeError
        if node.tag not in _KNOWN_TAGS:
            self.report(node, path, "tags are not read", "the value without a tag (in quotes if it begins with `!`)")
            return None
        if isinstance(node, ScalarNode):
            return self.scalar(node, path)
        if id(node) in self.open:
            self.report(node, path, "an anchor holds itself", "the alias outside of what it names")
            return None
        self.open.add(id(node))
        try:
            return self.mapping(node, path) if isinstance(node, MappingNode) else self.sequence(node, path)
        finally:
            self.open.discard(id(node))

    def scalar(self, node: ScalarNode, path: Position) -> Text | None:
        if node.tag == f"{_TAG}null":
            return None
        if any("\ud800" <= mark <= "\udfff" for mark in node.value):
            self.report(node, path, "half of a surrogate pair is no text", "the character itself")
            return None
        text = Text(node.value)
        text.plain = node.style is None
        text.line = node.start_mark.line + (2 if node.style in {"|", ">"} else 1)
        return text

    def sequence(self, node: Node, path: Position) -> Items:
        items = Items(node.start_mark.line + 1)
        if isinstance(node, SequenceNode):
            for position, item in enumerate(node.value):
                items.append(self.tree(item, (*path, position)))
                items.lines.append(item.start_mark.line + 1)
        return items

    def mapping(self, node: MappingNode, path: Position) -> Entries:
        entries = Entries(node.start_mark.line + 1)
        merged: list[Tree] = []
        for key_node, value_node in node.value:
            if key_node.tag == f"{_TAG}merge":
                value = self.tree(value_node, path)
                merged.extend(value if isinstance(value, Items) else [value])
                continue
            if not isinstance(key_node, ScalarNode):
                self.report(key_node, path, "a key must be text", "`key: value`")
                continue
            key = str(key_node.value)
            if key in entries.lines:
                first = entries.lines[key]
                self.report(key_node, (*path, key), f"{quoted(key)} stands twice, first in line {first}", "it once")
                continue
            entries.lines[key] = key_node.start_mark.line + 1
            entries[key] = self.tree(value_node, (*path, key))
        for other in merged:
            if not isinstance(other, Entries):
                self.report(node, path, "`<<` takes a mapping", "`<<: *anchor` with the anchor at a mapping")
                continue
            for key in other.keys() - entries.keys():
                entries[key] = other[key]
                entries.lines[key] = other.lines[key]
        return entries


def _line_of(error: yaml.YAMLError, text: str) -> int:
    if isinstance(error, ReaderError):
        return text.count("\n", 0, int(error.position)) + 1
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return mark.line + 1 if mark else 0


def _instead(said: str) -> str:
    """What to write where PyYAML stumbles."""
    return next((instead for words, instead in _INSTEAD if words in said), _YAML)


def _say(error: yaml.YAMLError) -> str:
    """PyYAML's own words without what it quotes from the file: that may be a password in the wrong place."""
    if isinstance(error, ReaderError):
        return "it holds a control character"
    said = getattr(error, "problem", None) or getattr(error, "context", None) or "it cannot be parsed"
    return _QUOTED.sub(lambda match: match[0] if _TOKEN.fullmatch(match[0][1:-1]) else "…", str(said)).replace(
        "\n", " "
    )
