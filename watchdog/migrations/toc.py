"""The table of contents of a custom-format dump: every object of a schema, how to make it, drop it, what it needs."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from watchdog.ports.errors import WatchdogError

_SETTINGS = frozenset({"ENCODING", "STDSTRINGS", "SEARCHPATH", "DATABASE", "DATABASE PROPERTIES"})
_ABOUT = frozenset({"ACL", "COMMENT", "SECURITY LABEL"})
_OLDEST = (1, 14)
_OWNED = frozenset(
    {
        "TABLE", "VIEW", "MATERIALIZED VIEW", "SEQUENCE", "FUNCTION", "PROCEDURE", "AGGREGATE", "TYPE", "DOMAIN",
        "SCHEMA", "COLLATION", "STATISTICS", "OPERATOR", "FOREIGN TABLE", "TEXT SEARCH CONFIGURATION",
        "TEXT SEARCH DICTIONARY",
    }
)  # fmt: skip


class DumpError(WatchdogError):
    """A dump cannot be made or read."""


@dataclass(frozen=True)
class Entry:
    """One object of a schema.

    Attributes:
        id: Its number in this dump; dependencies name it.
        kind: As pg_dump says it: TABLE, INDEX, FK CONSTRAINT, COMMENT …
        definition: SQL that makes it.
        drop: SQL that drops it; empty when it goes with another.
        needs: The ids of entries that must be there before it.
        post: Whether it comes after the data: indexes, constraints, triggers.
    """

    id: int
    kind: str
    schema: str
    tag: str
    definition: str
    drop: str
    owner: str
    needs: tuple[int, ...] = ()
    post: bool = False

    @property
    def name(self) -> tuple[str, str, str]:
        """What identifies it in any dump."""
        return self.kind, self.schema, self.tag

    @property
    def same(self) -> tuple[str, str, str, str, str]:
        """Two entries with the same are the same object with the same definition."""
        return self.kind, self.schema, self.tag, self.definition, self.owner

    @property
    def owner_statement(self) -> str:
        """Gives it to its owner; empty for what has none of its own."""
        if self.kind not in _OWNED or not self.owner or not self.drop.startswith("DROP "):
            return ""
        target = self.drop.removeprefix("DROP ").strip().removesuffix(";")
        owner = self.owner.replace('"', '""')
        return f'ALTER {target} OWNER TO "{owner}";'


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self.int_size = 4

    def take(self, count: int) -> bytes:
        piece = self._data[self._at : self._at + count]
        if len(piece) < count:
            raise DumpError("The dump ends in the middle of its table of contents; make it again.")
        self._at += count
        return piece

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self) -> int:
        negative = self.byte()
        value = int.from_bytes(self.take(self.int_size), "little")
        return -value if negative else value

    def text(self) -> str | None:
        length = self.number()
        return None if length < 0 else self.take(length).decode()


def read(data: bytes) -> tuple[Entry, ...]:
    """The entries of a custom-format dump in its order, which respects dependencies; settings are left out.

    Raises:
        DumpError: It is no such dump, or of a version that we do not know.
    """
    reader = _Reader(data)
    if reader.take(5) != b"PGDMP":
        raise DumpError("This is no custom-format dump of pg_dump.")
    version = (reader.byte(), reader.byte())
    reader.byte()
    reader.int_size = reader.byte()
    offset_size = reader.byte()
    reader.byte()
    if version < _OLDEST:
        raise DumpError(
            f"Dumps of format {version[0]}.{version[1]} are not read; use pg_dump of PostgreSQL 15 or later."
        )
    if version >= (1, 15):
        reader.byte()
    else:
        reader.number()
    for _ in range(7):
        reader.number()
    for _ in range(3):
        reader.text()
    found = (_entry(reader, version, offset_size) for _ in range(reader.number()))
    return tuple(entry for entry in found if entry.kind not in _SETTINGS and not _of_database(entry))


def _of_database(entry: Entry) -> bool:
    """Grants, comments and labels of the database itself; the schema does not hold them."""
    return entry.kind in _ABOUT and not entry.schema and entry.tag.startswith("DATABASE ")


def _entry(reader: _Reader, version: tuple[int, int], offset_size: int) -> Entry:
    number = reader.number()
    reader.number()
    reader.text()
    reader.text()
    tag, kind, section = reader.text() or "", reader.text() or "", reader.number()
    definition, drop, _, schema = (reader.text() or "" for _ in range(4))
    reader.text()
    reader.text()
    if version >= (1, 16):
        reader.number()
    owner = reader.text() or ""
    reader.text()
    needs = tuple(_needs(reader))
    reader.take(1 + offset_size)
    return Entry(number, kind, schema, tag, definition, drop, owner, needs, post=section == 4)


def _needs(reader: _Reader) -> Iterator[int]:
    while (text := reader.text()) is not None:
        yield int(text)


def differences(before: Iterable[Entry], after: Iterable[Entry]) -> tuple[str, ...]:
    """What is missing or too much in `after`, one line each; empty when both describe the same schema."""
    old, new = Counter(entry.same for entry in before), Counter(entry.same for entry in after)
    lost = [f"missing or changed: {kind} {schema}.{tag}" for kind, schema, tag, *_ in (old - new)]
    left = [f"left behind or changed: {kind} {schema}.{tag}" for kind, schema, tag, *_ in (new - old)]
    return (*lost, *left)
