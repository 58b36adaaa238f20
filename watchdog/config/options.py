"""Options of a step as canonical JSON, and back: what a run keeps, so that it does not change under it."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import ValidationError

from watchdog.config.mirror import key_of, values_of
from watchdog.config.scalars import Stored
from watchdog.config.secrets import ConfiguredText
from watchdog.config.shapes import part, shape
from watchdog.config.tree import Position
from watchdog.ports.errors import WatchdogError
from watchdog.ports.kinds import ActionKind, Script

Options = TypeVar("Options")


def canonical(value: object) -> str:
    """JSON with sorted keys and no spaces: equal values, equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def plain_of(value: object, *, sources: bool = True) -> Any:
    """Options as JSON values; a secret stays the reference that was configured.

    Args:
        sources: Whether scripts keep where they came from.
    """
    if isinstance(value, ConfiguredText):
        return value.configured
    if isinstance(value, Script):
        return {"text": value.text, "source": value.source} if sources else {"text": value.text}
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return {key_of(item.name): plain_of(getattr(value, item.name), sources=sources) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain_of(item, sources=sources) for key, item in value.items()}
    if isinstance(value, AbstractSet):
        return sorted(plain_of(item, sources=sources) for item in value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain_of(item, sources=sources) for item in value]
    return value


def step_options(kind: ActionKind[Options], text: str, *, environ: Mapping[str, str] = os.environ) -> Options:
    """The options of a step from its canonical JSON. Secrets are references still, revealed when they are used.

    Raises:
        WatchdogError: The text was not written for this kind of step.
    """
    try:
        model = shape(kind.name, part(kind.options)).model.model_validate(json.loads(text), context=Stored(environ))
        return kind.options(**values_of(model))
    except (ValidationError, ValueError, TypeError, KeyError):
        raise WatchdogError(
            f"the journal holds options of a `{kind.name}` step that this version cannot read; "
            "finish the run with the version that began it, or abort it"
        ) from None


@dataclass(frozen=True)
class Leaf:
    """One value inside options, with its path as written in the file and its declared type."""

    path: Position
    hint: Any
    value: object


def leaves(value: object, hint: Any = None, path: Position = ()) -> Iterator[Leaf]:
    """Every single value inside options."""
    if is_dataclass(value) and not isinstance(value, type | Script):
        hints = get_type_hints(type(value), include_extras=True)
        for item in fields(value):
            yield from leaves(getattr(value, item.name), hints[item.name], (*path, key_of(item.name)))
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from leaves(each, hint, (*path, str(key)))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for position, each in enumerate(value):
            yield from leaves(each, hint, (*path, position))
    elif value is not None:
        yield Leaf(path, hint, value)


def mentions(hint: Any, wanted: object) -> bool:
    """Whether a type is, or holds, another one."""
    return hint is wanted or any(mentions(argument, wanted) for argument in get_args(hint))
