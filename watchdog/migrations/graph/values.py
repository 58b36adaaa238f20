"""What a node or a relationship was, as hashes that keep Cypher's types apart: 1 is not 1.0."""

import hashlib
import json
from base64 import b85encode
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, Self

from neo4j.spatial import Point
from neo4j.time import Date, DateTime, Duration, Time

from watchdog.migrations.session import RefusedError


def digest(value: Any) -> str:
    """The hash of a property's value with its type, 10 characters; raises RefusedError for one that Python lacks."""
    return b85encode(hashlib.blake2b(_text(value).encode(errors="surrogatepass"), digest_size=8).digest()).decode()


def fingerprint(values: list[Any]) -> bytes:
    """A short hash of labels or type, properties and ends: of equal elements, equal.

    The order of labels and properties counts, so equal elements may differ; then they are looked at closely.
    """
    parts = (_plain(value) for value in values)
    return hashlib.blake2b("\0".join(parts).encode(errors="surrogatepass"), digest_size=12).digest()


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "\1".join(f"{name}\2{_text(each)}" for name, each in value.items())
    return _text(value)


def told_apart(values: Mapping[str, Any], zoned: Collection[str]) -> dict[str, Any]:
    """Values with a clock at Z as such; the driver takes the time zone UTC for the same, which it is not in Cypher.

    Args:
        zoned: Properties that hold a time in the time zone UTC. In a list such a time is taken to be at Z.
    """
    return {name: value if name in zoned else _at_z(value) for name, value in values.items()}


def _at_z(value: Any) -> Any:
    match value:
        case list():
            return [_at_z(each) for each in value]
        case DateTime() if value.tzinfo is not None and str(value.tzinfo) == "UTC":
            return value.replace(tzinfo=UTC)
        case _:
            return value


def _text(value: Any) -> str:
    match value:
        case list():
            return "list " + "".join(f"{len(each)}:{each}" for each in map(_text, value))
        case bytes() | bytearray():
            return f"bytes {value.hex()}"
        case float():
            return f"float {value!r}"
        case Point():
            return f"point {value.srid} {tuple(value)!r}"
        case Duration():
            return f"duration {value.months} {value.days} {value.seconds} {value.nanoseconds}"
        case DateTime() if value.tzinfo is not None and value.tzinfo is not UTC and str(value.tzinfo) == "UTC":
            return f"DateTime {value.iso_format()} [UTC]"
        case DateTime() | Time():
            return f"{type(value).__name__} {value.iso_format()} {value.tzinfo}"
        case Date():
            return f"date {value.iso_format()}"
        case bool() | int() | str():
            return f"{type(value).__name__} {value}"
        case _:  # the driver's stand-in for what Python cannot hold
            raise RefusedError(("a value that cannot be kept: a date outside the years 1 to 9999, or a new type",))


@dataclass(frozen=True)
class Mark:
    """What is remembered of an element to know it again; element ids are given out anew after a deletion.

    Attributes:
        labels: Of a node, sorted; of a relationship, its type alone.
        values: The hash of each property.
    """

    labels: tuple[str, ...]
    values: Mapping[str, str]

    @classmethod
    def read(cls, text: str) -> Self:
        """From what `text` made."""
        labels, values = json.loads(text)
        return cls(tuple(labels), values)

    @property
    def text(self) -> str:
        """As text, which equal marks have alike."""
        return json.dumps([self.labels, dict(sorted(self.values.items()))], separators=(",", ":"))

    def is_same(self, now: "Mark", keys: Collection[str] = (), changed: Collection[str] = ()) -> bool:
        """Whether this is still the element of then, whatever users changed in it.

        Args:
            keys: Properties that tell elements apart, by a constraint.
            changed: Properties that say nothing, since the script wrote them.
        """
        said = {name: value for name, value in self.values.items() if name not in changed}
        if known := [name for name in keys if name in said]:
            return all(now.values.get(name) == said[name] for name in known)
        if self.labels and not set(self.labels) & set(now.labels):
            return False
        return 2 * sum(now.values.get(name) == value for name, value in said.items()) >= len(said)


@dataclass(frozen=True)
class Element:
    """A node or a relationship.

    Attributes:
        id: Its element id.
        labels: Of a node, sorted; of a relationship, its type alone.
        ends: The element ids of a relationship's start and end.
    """

    id: str
    labels: tuple[str, ...]
    values: Mapping[str, Any]
    ends: tuple[str, str] | None = None
    mark: Mark = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Hashes the values once."""
        hashes = {name: digest(value) for name, value in self.values.items()}
        object.__setattr__(self, "mark", Mark(self.labels, hashes))

    @property
    def hash(self) -> str:
        """Of all that it is, but its id."""
        return digest(self.mark.text + repr(self.ends))
