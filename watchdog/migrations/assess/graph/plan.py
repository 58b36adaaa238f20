"""The plan of a statement, as the server's EXPLAIN answers it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

NAME: Final = r"(?:`(?:[^`]|``)+`|\w+)"
LABELS: Final = rf"{NAME}(?:[:&|]{NAME})*"
_OPENING, _CLOSING = "([{", ")]}"
_QUOTES = "`'\""
_LABEL_TEST: Final = re.compile(rf"\(?{NAME}:{LABELS}(?:(?: AND | OR ){NAME}:{LABELS})*\)?")
_NARROWING: Final = ("Limit", "Top", "Skip", "ExhaustiveLimit", "PartialTop")


@dataclass(frozen=True)
class Operator:
    """One operator with those that feed it.

    Attributes:
        name: Without the database: `NodeByLabelScan`.
        details: What it works on, as the server writes it; texts and numbers of the script are parameters there.
        rows: How many rows it is estimated to answer; 0 where the server says nothing.
    """

    name: str
    details: str
    rows: float
    children: tuple["Operator", ...] = ()

    def walk(self) -> Iterator["Operator"]:
        """It and all below it, from the top."""
        yield self
        for child in self.children:
            yield from child.walk()

    @property
    def narrows(self) -> bool:
        """Whether it leaves out some of what carries the labels that are named."""
        if self.name == "Filter":
            return not _LABEL_TEST.fullmatch(self.details)
        return "Seek" in self.name or "Expand" in self.name or self.name.startswith(_NARROWING)


def read_plan(answer: Mapping[str, Any]) -> Operator:
    """The operators of the driver's plan."""
    arguments = answer.get("args", {})
    return Operator(
        answer["operatorType"].partition("@")[0].partition("(")[0],
        arguments.get("Details") or "",
        float(arguments.get("EstimatedRows") or 0),
        tuple(map(read_plan, answer.get("children", ()))),
    )


def plain(name: str) -> str:
    """A name without its quotes."""
    return name[1:-1].replace("``", "`") if name.startswith("`") else name


def names(listed: str) -> tuple[str, ...]:
    """The labels or types in `A:B`, `A|B` or `A&B`."""
    return tuple(map(plain, re.findall(NAME, listed)))


def parts(text: str) -> Iterator[str]:
    """What stands between the commas of the outermost level."""
    depth, quote, start = 0, "", 0
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in _QUOTES:
            quote = letter
        elif letter in _OPENING:
            depth += 1
        elif letter in _CLOSING:
            depth -= 1
        elif letter == "," and not depth:
            yield text[start:place].strip()
            start = place + 1
    if text[start:].strip():
        yield text[start:].strip()
