"""How things are printed: lines for people, or one JSON value for machines."""

import json
import re
import sys
from typing import Any, Final

from rich.console import Console
from rich.text import Text

STYLES: Final = {
    "ok": "green",
    "done": "green",
    "sent": "green",
    "recovered": "green",
    "rolled back and recovered": "green",
    "breach": "bold red",
    "incident": "bold red",
    "failed": "red",
    "unknown": "bold red",
    "no data": "yellow",
    "not run": "yellow",
    "probe failed": "yellow",
    "still broken": "red",
    "under way": "yellow",
    "owed": "yellow",
}
_STARRED: Final = re.compile(r"\*(\w[\w -]*)\*")


def say(*parts: str | Text, style: str = "") -> None:
    """One line. Text from elsewhere is shown as it is: nothing in it is markup, and control characters are dropped."""
    line = Text(style=style)
    for part in parts:
        line.append_text(part) if isinstance(part, Text) else line.append(part)
    Console(highlight=False, soft_wrap=True).print(line)


def word(text: str, width: int = 0) -> Text:
    """A word of state in its colour, padded."""
    return Text(text.ljust(width), style=STYLES.get(text, ""))


def unstarred(sentence: str) -> str:
    """A sentence as it is said in Slack, without Slack's stars."""
    return _STARRED.sub(r"\1", sentence)


def emit(value: Any) -> None:
    """One JSON value."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """What went wrong, on standard error."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(Text(f"watchdog: {text}"))
