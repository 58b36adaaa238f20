"""One node or relationship as a line of JSON, as `apoc.export.json` writes it, with the types that JSON lacks beside.

`{"type":"node","id":"0","labels":["A"],"properties":{"on":"2025-01-08"},"types":{"on":"date"}}`. APOC reads the same
lines and takes dates for text; what reads `types` loses nothing.
"""

import json
import math
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, TypeAlias

from neo4j.spatial import CartesianPoint, Point, WGS84Point
from neo4j.time import Date, DateTime, Duration, Time

from watchdog.migrations.session import RefusedError

Type: TypeAlias = str | list[Any] | None
_WGS84 = frozenset({4326, 4979})


class _Zone(tzinfo):
    """A time zone at one moment, whose offset is known: a clock shows an hour twice when summer ends.

    ZoneInfo reads memory that is not there when it is asked about the driver's times.
    """

    def __init__(self, key: str, offset: timedelta | None) -> None:
        self.key = key
        self._offset = offset

    def utcoffset(self, _moment: datetime | None) -> timedelta | None:
        return self._offset

    def dst(self, _moment: datetime | None) -> timedelta | None:
        return None

    def tzname(self, _moment: datetime | None) -> str:
        return self.key

    def __str__(self) -> str:
        return self.key


@dataclass(frozen=True)
class Place:
    """A node as relationships name it.

    Attributes:
        id: Its number in the file.
    """

    id: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Line:
    """A node or a relationship in a file.

    Attributes:
        labels: Of a node; of a relationship, its type alone.
        ends: Of a relationship, the numbers of its start and end.
    """

    id: str
    labels: tuple[str, ...]
    values: Mapping[str, Any]
    ends: tuple[str, str] | None = None


def node_line(place: Place, values: Mapping[str, Any]) -> str:
    """A node as text."""
    return _line({"type": "node", "id": place.id, "labels": list(place.labels)}, values)


def relationship_line(number: str, name: str, ends: tuple[Place, Place], values: Mapping[str, Any]) -> str:
    """A relationship as text."""
    start, end = ({"id": place.id, "labels": list(place.labels)} for place in ends)
    return _line({"type": "relationship", "id": number, "label": name, "start": start, "end": end}, values)


def read_line(text: str) -> Line:
    """A node or a relationship from its text.

    Raises:
        ValueError: It is neither. The message holds no value.
    """
    try:
        said = json.loads(text)
        types = said.get("types", {})
        values = {name: _decoded(value, types.get(name)) for name, value in said["properties"].items()}
        if said["type"] == "node":
            return Line(said["id"], tuple(said["labels"]), values)
        return Line(said["id"], (said["label"],), values, (said["start"]["id"], said["end"]["id"]))
    except (KeyError, TypeError, AttributeError, ValueError):
        raise ValueError("it is no node and no relationship") from None


def _line(head: dict[str, Any], values: Mapping[str, Any]) -> str:
    coded = {name: _coded(value) for name, value in sorted(values.items())}
    properties = {name: value for name, (value, _) in coded.items()}
    types = {name: kind for name, (_, kind) in coded.items() if kind is not None}
    body = {**head, "properties": properties, **({"types": types} if types else {})}
    return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"


def _coded(value: Any) -> tuple[Any, Type]:
    match value:
        case bool() | int() | str():
            return value, None
        case float():
            return (value, None) if math.isfinite(value) else (repr(value), "float")
        case list():
            coded = [_coded(each) for each in value]
            kinds = [kind for _, kind in coded if kind is not None]
            return [each for each, _ in coded], kinds[:1] or None
        case bytes() | bytearray():
            return b64encode(value).decode(), "bytes"
        case Point():
            return " ".join(map(repr, (value.srid, *value))), "point"
        case Duration():
            return f"{value.months} {value.days} {value.seconds} {value.nanoseconds}", "duration"
        case DateTime():
            zone = getattr(value.tzinfo, "zone", None) or getattr(value.tzinfo, "key", None)
            return f"{value.iso_format()}{f'[{zone}]' if zone else ''}", "datetime"
        case Time():
            return value.iso_format(), "time"
        case Date():
            return value.iso_format(), "date"
        case _:
            raise RefusedError(("a value that cannot be kept: a date outside the years 1 to 9999, or a new type",))


def _decoded(value: Any, kind: Type) -> Any:
    match kind:
        case None:
            return value
        case [inner]:
            return [_decoded(each, inner) for each in value]
        case "float":
            return float(value)
        case "bytes":
            return b64decode(value)
        case "point":
            srid, *coordinates = value.split()
            point = (WGS84Point if int(srid) in _WGS84 else CartesianPoint)(map(float, coordinates))
            if point.srid != int(srid):
                raise ValueError("a point of an unknown kind")
            return point
        case "duration":
            months, days, seconds, nanoseconds = map(int, value.split())
            return Duration(months=months, days=days, seconds=seconds, nanoseconds=nanoseconds)
        case "datetime":
            text, _, zone = value.partition("[")
            found = DateTime.from_iso_format(text)
            if zone:
                return found.replace(tzinfo=_Zone(zone.rstrip("]"), found.utcoffset()))
            # The driver would send its own zero offset as the time zone UTC.
            return found.replace(tzinfo=UTC) if found.tzinfo and not found.utcoffset() else found
        case "time":
            return Time.from_iso_format(value)
        case "date":
            return Date.from_iso_format(value)
        case _:
            raise ValueError("a type that is not known")
