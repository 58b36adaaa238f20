"""What a node or a relationship was, as hashes that keep Cypher's types apart: 1 is not 1.0."""

import hashlib
import json
from base64 import b85encode
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from neo4j.spatial import Point
from neo4j.time import Date, DateTime, Duration, Time

from watchdog.migrations.session import RefusedError


def digest(value: Any) -> str:
    """The hash of a property's value with its type, 10 characters; raises RefusedError for one that Python lacks."""
    return b85encode(hashlib.blake2b(_text(value).encode(errors="surrogatepass"), digest_size=8).digest()).decode()


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
