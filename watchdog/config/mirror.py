"""The dataclasses of the model and of the adapters as pydantic models of what a file holds.

Adapters write plain frozen dataclasses; nothing of pydantic reaches them. A field whose name ends in `_` (`for_`) is
written without it.
"""

import functools
import types
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, create_model

from watchdog.config.fields import OWN
from watchdog.config.scalars import SCALARS, Scope, mixed, plain

PREFIX: Final = "field_"

# Subscripted with types that are known only at run time, which type checkers would take for annotations.
_ANNOTATED: Final[Any] = Annotated
_UNION: Final[Any] = Union
_TUPLE: Final[Any] = tuple
_DICT: Final[Any] = dict
_SET: Final[Any] = frozenset


def key_of(name: str) -> str:
    """A field's name as it is written in a file."""
    return name.removesuffix("_")


def mirrored(hint: Any) -> Any:
    """The annotation by which pydantic reads a field of this type from a tree."""
    if hint in SCALARS:
        return SCALARS[hint]
    if isinstance(hint, type) and is_dataclass(hint):
        return _nested(hint)
    if hint in {str, int, bool} or get_origin(hint) is Literal or (isinstance(hint, type) and issubclass(hint, Enum)):
        return _ANNOTATED[hint, BeforeValidator(plain)]
    return _composed(hint)


def _composed(hint: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in {Union, types.UnionType}:
        union = _UNION[tuple(mirrored(part) for part in arguments)]
        numbers = {int, float, bool} & set(arguments)
        return _ANNOTATED[union, BeforeValidator(mixed)] if str in arguments and numbers else union
    if origin is Annotated:
        return _ANNOTATED[(mirrored(arguments[0]), *arguments[1:])]
    if origin is tuple:
        return _TUPLE[tuple(part if part is Ellipsis else mirrored(part) for part in arguments)]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _DICT[str, mirrored(arguments[1])]
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return _TUPLE[mirrored(arguments[0]), ...]
    if isinstance(origin, type) and issubclass(origin, AbstractSet):
        return _SET[mirrored(arguments[0])]
    return hint


def model_of(title: str, annotations: Mapping[str, Any], required: AbstractSet[str]) -> type[BaseModel]:
    """A pydantic model of one mapping in a file. Its fields have a prefix, so that no name collides with pydantic's."""
    definitions: dict[str, Any] = {
        PREFIX + name: (
            hint,
            Field(alias=key_of(name)) if name in required else Field(default=None, alias=key_of(name)),
        )
        for name, hint in annotations.items()
    }
    return create_model(title, __config__=ConfigDict(extra="forbid", title=title), **definitions)


def values_of(model: BaseModel) -> dict[str, Any]:
    """What a file really said, by the name of the field."""
    return {name.removeprefix(PREFIX): getattr(model, name) for name in model.model_fields_set}


def required_of(kind: type) -> frozenset[str]:
    """The fields of a dataclass that have no default."""
    return frozenset(
        item.name for item in fields(kind) if item.init and item.default is MISSING and item.default_factory is MISSING
    )


def hints_of(kind: type) -> dict[str, Any]:
    """The mirrored types of a dataclass's fields, with our own where the model says less than the file must."""
    from_class = get_type_hints(kind, include_extras=True)
    own: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        own |= OWN.get(base, {})
    return {
        item.name: own[item.name] if item.name in own else mirrored(from_class[item.name])
        for item in fields(kind)
        if item.init
    }


@functools.cache
def _nested(kind: type) -> Any:
    hints = hints_of(kind)
    model = model_of(kind.__name__, hints, required_of(kind))
    return _ANNOTATED[model, AfterValidator(_builder(kind)), BeforeValidator(_noting(tuple(map(key_of, hints))))]


def _builder(kind: type) -> Callable[[BaseModel], object]:
    return lambda model: kind(**values_of(model))


def _noting(keys: tuple[str, ...]) -> Callable[[Any, ValidationInfo], Any]:
    def note(value: Any, info: ValidationInfo) -> Any:
        if isinstance(info.context, Scope):
            info.context.known[id(value)] = keys
        return value

    return note
