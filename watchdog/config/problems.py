"""What is wrong in a file: where, what, and what to write instead."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from watchdog.ports.errors import WatchdogError

LISTED: Final = 12
LONGEST_PATH: Final = 400


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake.

    Attributes:
        file: As the user named it.
        line: Counted from 1; 0 when the whole file is meant.
        key: Dotted, list positions in brackets.
        instead: What to write, so that it reads on after `write`.
    """

    file: str
    line: int
    key: str
    message: str
    instead: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        what = f"{self.key}: {self.message}" if self.key else self.message
        return f"{place}: {what}; write {self.instead}" if self.instead else f"{place}: {what}"


class ConfigError(WatchdogError):
    """The configuration cannot be used. Holds every problem, not only the first."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n".join([f"{count} in the configuration:", *(f"  {problem}" for problem in problems)]))
        self.problems = problems


@dataclass(frozen=True)
class Findings:
    """Collects problems while files are read; what two guards share is said once."""

    errors: dict[Problem, None] = field(default_factory=dict)
    warnings: dict[Problem, None] = field(default_factory=dict)

    def error(self, problem: Problem) -> None:
        """Adds a mistake that keeps the daemon from starting."""
        self.errors[problem] = None

    def warn(self, problem: Problem) -> None:
        """Adds something that is allowed but probably not meant."""
        self.warnings[problem] = None


def one_of(wrong: str, known: Iterable[str]) -> str:
    """What to write in place of a wrong name: the nearest known one, else all of them."""
    names = sorted(dict.fromkeys(known))
    near = difflib.get_close_matches(wrong, names, n=1, cutoff=0.6)
    if near:
        return quoted(near[0])
    if not names:
        return ""
    shown = ", ".join(names[:LISTED]) + (", …" if len(names) > LISTED else "")
    return f"one of {shown}" if len(names) > 1 else quoted(names[0])


def quoted(text: str, longest: int = 60) -> str:
    """A text from a file as a message shows it: short, on one line, in backquotes."""
    short = text if len(text) <= longest else text[: longest - 1] + "…"
    visible = "".join(mark if mark.isprintable() else mark.encode("unicode_escape").decode() for mark in short)
    return f"`{visible}`"


def dotted(path: Iterable[str | int]) -> str:
    """A path into a file as a person says it: `rungs[3].steps[2].script`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{_shown_key(part)}"
    return text.removeprefix(".")


def _shown_key(key: str) -> str:
    return key if re.fullmatch(r"[\w .-]{1,60}", key) else quoted(key)
