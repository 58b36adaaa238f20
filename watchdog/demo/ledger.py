"""The ledger of the load generator: what the service promised to keep.

A line a write: store, key, hash of the value, when, and whether the service acknowledged it. A write without an
answer, or answered with an error, may or may not have happened: it is kept as a possible value of its key.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, Self, TextIO

Store = Literal["users", "assessments", "documents", "preferences", "sessions"]

FIELDS: Mapping[Store, tuple[str, ...]] = {
    "users": ("email", "name"),
    "assessments": ("user_id", "control_id", "status", "score", "note"),
    "documents": ("title", "body", "owner_id"),
    "preferences": ("prefs",),
    "sessions": ("user_id",),
}
"""What of each store's value counts; columns that the service or the database fills in do not."""


def fingerprint(value: Mapping[str, object]) -> str:
    """SHA-256 of a value, the same whether its fields come as numbers, as text, or as JSON text."""
    return hashlib.sha256(json.dumps(_plain(dict(value)), sort_keys=True).encode()).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return str(value)


@dataclass(frozen=True)
class Line:
    """One line of the file. `at` is nanoseconds UTC."""

    store: Store
    key: str
    hash: str
    at: int
    acknowledged: bool


@dataclass
class Writer:
    """Appends lines as they happen, so that a killed load generator loses none that it was promised."""

    file: TextIO

    @classmethod
    def open(cls, path: Path) -> Self:
        """Opens for appending, one write a line."""
        return cls(path.open("a", encoding="utf-8", buffering=1))

    def add(self, line: Line) -> None:
        """Appends one line."""
        self.file.write(json.dumps(asdict(line)) + "\n")

    def close(self) -> None:
        """Closes the file."""
        self.file.close()


@dataclass
class Entry:
    """What may be there for one key: the last acknowledged value, or one of the later uncertain ones."""

    accepted: set[str] = field(default_factory=set)
    acknowledged: bool = False
    last_at: int = 0


Ledger = dict[tuple[Store, str], Entry]


def read(path: Path, *, since: int = 0) -> Ledger:
    """Folds the file into one entry a key; lines before `since` (nanoseconds UTC) are left out.

    A last line cut short by a kill is ignored.
    """
    ledger: Ledger = {}
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            line = Line(**json.loads(text))
        except json.JSONDecodeError:
            continue
        if line.at < since:
            continue
        fold(ledger, line)
    return ledger


def fold(ledger: Ledger, line: Line) -> None:
    """Adds a line: an acknowledged value supersedes all before it, an uncertain one stands beside them."""
    entry = ledger.setdefault((line.store, line.key), Entry())
    if line.acknowledged:
        entry.accepted = {line.hash}
        entry.acknowledged = True
    else:
        entry.accepted.add(line.hash)
    entry.last_at = max(entry.last_at, line.at)


def acknowledged(ledger: Ledger, store: Store) -> dict[str, Entry]:
    """The entries of one store that must be there."""
    return {key: entry for (kind, key), entry in ledger.items() if kind == store and entry.acknowledged}
