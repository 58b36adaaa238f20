"""Events and sample values as JSON text, and back: exact both ways.

An event is one object, tagged with the name of its class: `{"event": "StepIntended", "step": "…", "epoch": 3}`.
Infinite floats are the strings "inf", "-inf" and "nan", which JSON numbers cannot say; a mapping whose keys are
series is a list of pairs. The text is ASCII, so that even half a surrogate out of a broken log line can be stored.

`FORMAT` rises whenever a field of an event is added, removed, or changes its meaning; a format that this module does
not know is refused, never guessed at.
"""

import json
import math
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final, TypeVar, cast, get_args

from cattrs import Converter, transform_error
from cattrs.errors import BaseValidationError

from watchdog.model.events import Event
from watchdog.model.guards import BaselineEntry
from watchdog.model.signals import Histogram, Labels, Missing, SignalId
from watchdog.ports.errors import JournalError, JournalVersionError

FORMAT: Final = 2
"""The format of the bodies that this module writes, and the only one that it reads."""

_TAG: Final = "event"
_TYPES: Final[Mapping[str, type]] = {kind.__name__: kind for kind in get_args(Event)}
_Series = Mapping[SignalId, BaselineEntry]
_Value = TypeVar("_Value")


def encode(event: Event) -> str:
    """The text of an event in the current format."""
    return _dump({_TAG: type(event).__name__, **_converter.unstructure(event)})


def decode(text: str, version: int, *, place: str) -> Event:
    """The event of a text.

    Args:
        text: What `encode` made.
        version: The format that it was written in.
        place: Where the text is, for errors: `event 7 of stream "api" in …`.

    Raises:
        JournalVersionError: The format or the kind of event is not known here.
        JournalError: The text is damaged.
    """
    if version != FORMAT:
        raise JournalVersionError(
            f"{place} has format {version}, and this version of watchdog reads format {FORMAT}: "
            "run the version of watchdog that wrote it."
        )
    fields = _load(text, place)
    if not isinstance(fields, dict) or not isinstance(name := fields.pop(_TAG, None), str):
        raise JournalError(f'{place} has no "{_TAG}": {_DAMAGED}')
    kind = _TYPES.get(name)
    if kind is None:
        raise JournalVersionError(
            f"{place} is a {name}, which this version of watchdog does not know: "
            "run the version of watchdog that wrote it."
        )
    return cast(Event, _structure(fields, kind, f"{place}, a {name},"))


def encode_value(value: float | Histogram | Missing) -> float | str:
    """A sample's value as one column: a number as itself, everything else as JSON."""
    if isinstance(value, Histogram | Missing):
        return _dump(_converter.unstructure(value))
    # SQLite makes NULL of nan.
    return '"nan"' if math.isnan(value) else float(value)


def decode_value(stored: float | str, *, place: str) -> float | Histogram | Missing:
    """A sample's value out of its column; raises JournalError naming the place when it is damaged."""
    if not isinstance(stored, str):
        return float(stored)
    raw = _load(stored, place)
    if not isinstance(raw, dict):
        return _structure(raw, float, place)
    return _structure(raw, Missing, place) if "cause" in raw else _structure(raw, Histogram, place)


def encode_labels(labels: Labels) -> str:
    """Labels as JSON."""
    return _dump(labels)


def decode_labels(text: str, *, place: str) -> Labels:
    """Labels out of JSON; raises JournalError naming the place when it is damaged."""
    return _structure(_load(text, place), tuple[tuple[str, str], ...], place)


_DAMAGED: Final = "the file is damaged; restore it from a backup, or move it away and begin anew."


def _dump(value: object) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def _load(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        where = f"column {error.colno}" if isinstance(error, json.JSONDecodeError) else type(error).__name__
        raise JournalError(f"{place} is not readable as JSON ({where}): {_DAMAGED}") from error


def _structure(raw: object, kind: type[_Value], place: str) -> _Value:
    try:
        return _converter.structure(raw, kind)
    except (BaseValidationError, ValueError, TypeError) as error:
        complaints = "; ".join(transform_error(error)) if isinstance(error, BaseValidationError) else str(error)
        raise JournalError(f"{place} cannot be read ({complaints}): {_DAMAGED}") from error


def _exactly(kind: type) -> Callable[[Any, Any], Any]:
    """A hook that converts nothing: what is not of this type already is damage."""

    def check(value: Any, _type: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(f"expected {kind.__name__}, found {type(value).__name__}")
        return value

    return check


def _float_out(value: float) -> float | str:
    return value if math.isfinite(value) else str(float(value))


def _float_in(value: Any, _type: Any) -> float:
    if type(value) in {int, float} or value in {"inf", "-inf", "nan"}:
        return float(value)
    raise TypeError(f"expected float, found {type(value).__name__}")


def _make_converter() -> Converter:
    converter = Converter(forbid_extra_keys=True)
    for kind in (int, str, bool):
        converter.register_structure_hook(kind, _exactly(kind))
    # The hook for str would take these too, and leave the bare text.
    converter.register_structure_hook(StrEnum, lambda value, kind: kind(value))
    converter.register_structure_hook(float, _float_in)
    converter.register_unstructure_hook(float, _float_out)

    def series_out(entries: _Series) -> list[list[Any]]:
        return [[converter.unstructure(key), converter.unstructure(entry)] for key, entry in entries.items()]

    def series_in(pairs: Any, _type: Any) -> dict[SignalId, BaselineEntry]:
        return dict(converter.structure(pairs, tuple[tuple[SignalId, BaselineEntry], ...]))

    converter.register_unstructure_hook_func(lambda asked: asked == _Series, series_out)
    converter.register_structure_hook_func(lambda asked: asked == _Series, series_in)
    return converter


_converter: Final = _make_converter()
