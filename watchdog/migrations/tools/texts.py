"""Rows as PostgreSQL writes them in one text. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

_SPECIAL: Final = frozenset('"\\(), \t\n\r\v\f')
_BOOL, _BPCHAR, _INET = 16, 1042, 869
_BOOLEANS: Final = {"t": "true", "f": "false"}


def values(text: str) -> tuple[str | None, ...]:
    """The values of a row: `(1,"a b",)` holds `1`, `a b` and NULL."""
    body = text[1:-1]
    found: list[str | None] = []
    at = 0
    while True:
        value, at = _value(body, at)
        found.append(value)
        if at >= len(body):
            return tuple(found)
        at += 1


def _value(body: str, at: int) -> tuple[str | None, int]:
    if '"' not in body and "\\" not in body:
        end = body.find(",", at)
        end = len(body) if end < 0 else end
        return body[at:end] or None, end
    pieces: list[str] = []
    quoted = inside = False
    while at < len(body):
        char = body[at]
        if char == "," and not inside:
            break
        if char == '"' and inside and body[at + 1 : at + 2] == '"':
            pieces.append('"')
            at += 1
        elif char == '"':
            inside = not inside
            quoted = True
        elif char == "\\":
            at += 1
            pieces.append(body[at])
        else:
            pieces.append(char)
        at += 1
    return "".join(pieces) if pieces or quoted else None, at


def row_text(of: Iterable[str | None]) -> str:
    """The opposite of `values`: what `ROW(…)::text` says of texts."""
    return f"({','.join('' if value is None else _quoted(value) for value in of)})"


def _quoted(value: str) -> str:
    if value and _SPECIAL.isdisjoint(value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '""') + '"'


def row(text: str | None, shape: Sequence[str], bases: Mapping[int, int]) -> dict[int, str | None] | None:
    """A row by the numbers of its columns, with values as a cast to text says them; None when there is none.

    Args:
        shape: Number, type and modifier of each column, as `1:23:-1`.
        bases: The types under domains.

    Raises:
        ValueError: The text has more or fewer columns than the shape.
    """
    if text is None:
        return None
    found: dict[int, str | None] = {}
    for one, value in zip(shape, values(text) if shape else (), strict=True):
        number, kind, _ = (int(part) for part in one.split(":"))
        found[number] = _as_cast(value, bases.get(kind, kind))
    return found


def _as_cast(value: str | None, kind: int) -> str | None:
    """Three types look otherwise in a row than when they are cast to text."""
    if value is None:
        return None
    if kind == _BOOL:
        return _BOOLEANS.get(value, value)
    if kind == _BPCHAR:
        return value.rstrip(" ")
    if kind == _INET and "/" not in value:
        return f"{value}/{128 if ':' in value else 32}"
    return value
