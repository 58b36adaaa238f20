"""Pydantic's errors as problems: with the line, the key as written, and what to write instead."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from watchdog.config.problems import Problem, one_of, quoted
from watchdog.config.tree import Entries, Items, Position, Source, Text, Tree

_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "string_type": ("must be text", "text"),
    "string_unicode": ("is not text", "text"),
    "int_type": ("must be a whole number", "a number like 3"),
    "int_parsing": ("is not a whole number", "a number like 3"),
    "int_parsing_size": ("is too large", "a smaller number"),
    "int_from_float": ("is not a whole number", "a number like 3"),
    "float_type": ("must be a number", "a number like 0.5"),
    "float_parsing": ("is not a number", "a number like 0.5"),
    "finite_number": ("is not a finite number", "a number like 0.5"),
    "bool_type": ("must be true or false", "true or false"),
    "bool_parsing": ("is neither true nor false", "true or false"),
    "tuple_type": ("must be a list", "`[…]`"),
    "list_type": ("must be a list", "`[…]`"),
    "frozen_set_type": ("must be a list", "`[…]`"),
    "dict_type": ("must be a mapping", "`key: value` lines"),
    "model_type": ("must be a mapping", "`key: value` lines"),
    "none_required": ("must be empty", "nothing"),
}

_BOUNDS: Final = re.compile(
    r"\bmust be "
    r"((?:greater|less) than (?:or equal to )?-?[0-9.]+|at least -?[0-9.]+|(?:from|between) -?[0-9.]+ \w+ -?[0-9.]+)"
)


def problems_of(
    error: ValidationError, source: Source, path: Position, known: Mapping[int, tuple[str, ...]]
) -> Iterator[Problem]:
    """Each of pydantic's errors as a problem of this file.

    Args:
        path: Of the part that was validated.
        known: The keys of each mapping that was read, by the mapping's id.
    """
    for detail in error.errors(include_url=False, include_input=False):
        yield _problem(detail, source, path, known)


def _problem(detail: ErrorDetails, source: Source, path: Position, known: Mapping[int, tuple[str, ...]]) -> Problem:
    kind, context = detail["type"], detail.get("ctx", {})
    full, parent = _place(detail["loc"], source, path, ends_at_key=kind in {"missing", "extra_forbidden"})
    if kind == "missing":
        return source.problem(full, "is missing", f"`{full[-1]}: …`")
    if kind == "extra_forbidden":
        return source.problem(full, "unknown key", one_of(str(full[-1]), known.get(id(parent), ())))
    node = source.node(full)
    if at := context.get("at"):
        full = (*full, at)
    message, instead = _words(kind, context, detail["msg"], node)
    if isinstance(node, Text) and context.get("shown", True):
        message = f"{quoted(node)} {message}"
    elif node is None and kind != "complaint":
        message = "is empty"
    return source.problem(full, message, instead)


def _place(loc: tuple[int | str, ...], source: Source, path: Position, *, ends_at_key: bool) -> tuple[Position, Tree]:
    """Where pydantic's location is in the tree: it also names members of unions, which no file holds."""
    full, node = path, source.node(path)
    parent = node
    for position, part in enumerate(loc):
        last = ends_at_key and position == len(loc) - 1
        if (isinstance(node, Entries) and isinstance(part, str) and part in node) or last:
            parent, node = node, node.get(str(part)) if isinstance(node, Entries) else None
        elif isinstance(node, Items) and isinstance(part, int) and part < len(node):
            parent, node = node, node[part]
        else:
            continue
        full = (*full, part)
    return full, parent


def _words(kind: str, context: Mapping[str, Any], said: str, node: Tree) -> tuple[str, str]:
    if kind == "complaint":
        return str(context["message"]), str(context["instead"])
    if kind in {"literal_error", "enum"}:
        allowed = re.findall(r"'([^']*)'", str(context["expected"])) or [str(context["expected"])]
        return "is not known here", one_of(node if isinstance(node, Text) else "", allowed)
    if kind in _WORDS:
        return _WORDS[kind]
    message = said.removeprefix("Value error, ").replace("Input should be", "must be")
    return advised(message)


def advised(message: str) -> tuple[str, str]:
    """A message without its advice, and what to write instead: its advice, or a number within the bounds it names."""
    said, _, instead = message.partition("; write ")
    bounds = _BOUNDS.search(message)
    return said, instead or (f"a number {bounds[1]}" if bounds else "")
