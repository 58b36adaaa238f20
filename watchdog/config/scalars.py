"""How single values are read from a file: text with references, lengths of time, shares, secrets, scripts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, NewType

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

from watchdog.config import spans
from watchdog.config.problems import LONGEST_PATH, quoted
from watchdog.config.secrets import ConfiguredText, UnresolvedError, resolve
from watchdog.config.tree import Entries, Items, Text
from watchdog.model.signals import Selector
from watchdog.ports.kinds import Duration, Role, Script
from watchdog.ports.secrets import Secret

Raw = NewType("Raw", object)
"""A part that is passed on as the tree that it is, to be read piece by piece."""


@dataclass(frozen=True)
class Scope:
    """What reading one file may use.

    Attributes:
        directory: Where files that it names are looked for.
        journaled: What is read goes into the journal, so references are allowed in secrets alone.
        known: The keys of each mapping that was read, by the mapping's id, to say what was probably meant.
    """

    file: str
    directory: Path
    environ: Mapping[str, str]
    journaled: bool = False
    known: dict[int, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Stored:
    """Options are read back from a step's canonical JSON: spans are numbers, nothing is resolved."""

    environ: Mapping[str, str]


def complaint(message: str, instead: str = "", *, shown: bool = True, at: str = "") -> PydanticCustomError:
    """An error of our own.

    Args:
        shown: Whether the text as written may be shown; not for secrets.
        at: The key of the mapping that is meant.
    """
    context = {"message": message, "instead": instead, "shown": shown, "at": at}
    return PydanticCustomError("complaint", "{message}", context)


def plain(value: object, info: ValidationInfo) -> object:
    """A scalar as pydantic reads it: a plain str with its references resolved."""
    if not isinstance(value, Text):
        return value
    return _resolved(value, _scope(info)) if "${" in value else str(value)


def _name(value: object, info: ValidationInfo) -> object:
    """A name of something configured. Messages quote names, so none may come out of a reference."""
    if isinstance(value, Text) and "${" in value:
        raise complaint("a reference cannot stand for a name", "the name itself")
    return plain(value, info)


def _scope(info: ValidationInfo) -> Scope:
    if not isinstance(info.context, Scope):
        raise TypeError("a text with its line comes from a file, and files are read with a scope")
    return info.context


def _resolved(text: Text, scope: Scope) -> str:
    try:
        resolved = resolve(text, scope.environ)
    except UnresolvedError as error:
        raise complaint(str(error), error.instead, shown=False) from None
    if scope.journaled and resolved != text:
        raise complaint("a reference would put its value into the journal here", "the value itself", shown=False)
    return resolved


def _anything(value: object, info: ValidationInfo) -> object:
    """Any JSON value: unquoted numbers, true and false are what they look like."""
    if isinstance(value, Entries):
        return {key: _anything(item, info) for key, item in value.items()}
    if isinstance(value, Items):
        return [_anything(item, info) for item in value]
    if isinstance(value, Text):
        return _scalar(value) if value.plain and "${" not in value else plain(value, info)
    return value


def _scalar(text: Text) -> object:
    if text in {"true", "false"}:
        return text == "true"
    for read in (int, float):
        try:
            number = read(text)
        except ValueError:
            continue
        if number == number and abs(number) != float("inf"):  # noqa: PLR0124 - NaN is not itself
            return number
    return str(text)


def mixed(value: object, info: ValidationInfo) -> object:
    """A scalar that may be text or a number, as JSON tells them apart."""
    return _anything(value, info) if isinstance(value, Text) else value


def _span(value: object, info: ValidationInfo) -> int:
    if isinstance(info.context, Stored) and isinstance(value, int):
        return value
    text = plain(value, info)
    if not isinstance(text, str):
        raise complaint("must be a length of time", spans.EXAMPLE)
    try:
        return spans.parse_span(text)
    except ValueError as error:
        raise complaint(str(error), spans.EXAMPLE) from None


def _positive(value: int) -> int:
    if value <= 0:
        raise complaint("must be longer than nothing", spans.EXAMPLE)
    return value


def _ratio(value: object, info: ValidationInfo) -> float:
    text = plain(value, info)
    try:
        return spans.parse_ratio(text if isinstance(text, str) else "")
    except ValueError as error:
        raise complaint(str(error), "a share like 5% or 0.05") from None


def _secret(value: object, info: ValidationInfo) -> ConfiguredText:
    if not isinstance(value, str):
        raise complaint("must be text", "`${env:NAME}`", shown=False)
    if isinstance(info.context, Stored):
        return ConfiguredText(value, info.context.environ)
    scope = _scope(info)
    try:
        resolve(value, scope.environ)
    except UnresolvedError as error:
        raise complaint(str(error), error.instead, shown=False) from None
    return ConfiguredText(str(value), scope.environ)


def _script(value: object, info: ValidationInfo) -> Script:
    wrong = complaint("must be a script", "`{file: name}` for a file beside this one, or `{text: …}`")
    if not isinstance(value, Mapping):
        raise wrong
    if isinstance(info.context, Stored):
        return Script(str(value["text"]), str(value.get("source", "")))
    if len(value) != 1 or not value.keys() <= {"file", "text"}:
        raise wrong
    scope = _scope(info)
    if "text" in value:
        text = value["text"]
        if not isinstance(text, Text) or not text.strip():
            raise complaint("the script is empty", "the statements", at="text")
        return Script(str(text), f"{Path(scope.file).name} line {text.line}")
    return _script_file(value["file"], scope)


def _script_file(name: object, scope: Scope) -> Script:
    if not isinstance(name, Text) or not name:
        raise complaint("must name a file", "the file's name beside this one", at="file")
    path = scope.directory / name
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise complaint(
            f"the file {quoted(str(path), LONGEST_PATH)} is not UTF-8", "it again as UTF-8", at="file"
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a path"
        message = f"the file {quoted(str(path), LONGEST_PATH)} cannot be read: {reason}"
        raise complaint(message, "the name of a file beside this one", at="file") from None
    if not text.strip():
        raise complaint(f"the file {quoted(str(path), LONGEST_PATH)} is empty", "the statements into it", at="file")
    return Script(text, str(name))


def _selector(value: object, info: ValidationInfo) -> Selector:
    instead = "the name of a signal, or `{signal: name, where: {label: value}}`"
    if isinstance(value, Mapping):
        where = value.get("where", {})
        signal = _name(value.get("signal"), info)
        if value.keys() <= {"signal", "where"} and isinstance(signal, str) and isinstance(where, Mapping):
            labels = {str(label): plain(text, info) for label, text in where.items()}
            pairs = tuple(sorted((label, text) for label, text in labels.items() if isinstance(text, str)))
            if len(pairs) == len(labels):
                return Selector(signal, pairs)
        raise complaint("is no selection of a signal", instead)
    signal = _name(value, info)
    if not isinstance(signal, str) or not signal:
        raise complaint("must name a signal", instead)
    return Selector(signal)


def _line(value: str) -> str:
    if not value.strip() or len(value) > 100 or not value.isprintable():
        raise complaint("must be one short line of text", "a name of at most 100 characters")
    return value


def _text_schema(**more: object) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", **more})


_SCRIPT_SCHEMA: Final = {
    "oneOf": [
        {"type": "object", "properties": {key: {"type": "string"}}, "required": [key], "additionalProperties": False}
        for key in ("file", "text")
    ]
}
_SELECTOR_SCHEMA: Final = {
    "oneOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {
                "signal": {"type": "string"},
                "where": {"type": "object", "additionalProperties": {"type": "string"}},
            },
            "required": ["signal"],
            "additionalProperties": False,
        },
    ]
}
_RATIO_SCHEMA: Final = {
    "anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "string", "pattern": "^[0-9.]+%$"}]
}

Name = Annotated[str, BeforeValidator(_name)]
Line = Annotated[str, BeforeValidator(plain), AfterValidator(_line), _text_schema(minLength=1, maxLength=100)]
Length = Annotated[int, BeforeValidator(_span), _text_schema(pattern=spans.PATTERN)]
PositiveLength = Annotated[int, AfterValidator(_positive), BeforeValidator(_span), _text_schema(pattern=spans.PATTERN)]
Ratio = Annotated[float, BeforeValidator(_ratio), WithJsonSchema(_RATIO_SCHEMA)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), BeforeValidator(plain)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False), BeforeValidator(plain)]
Whole = Annotated[int, Field(ge=0), BeforeValidator(plain)]
AtLeastOne = Annotated[int, Field(ge=1), BeforeValidator(plain)]
Days = Annotated[int, Field(ge=0, le=28), BeforeValidator(plain)]

SCALARS: Final[Mapping[Any, Any]] = {
    Secret: Annotated[Any, PlainValidator(_secret), _text_schema()],
    Script: Annotated[Any, PlainValidator(_script), WithJsonSchema(_SCRIPT_SCHEMA)],
    Selector: Annotated[Any, PlainValidator(_selector), WithJsonSchema(_SELECTOR_SCHEMA)],
    Duration: Length,
    Role: Name,
    Raw: Any,
    Any: Annotated[Any, BeforeValidator(_anything)],
    object: Annotated[Any, BeforeValidator(_anything)],
    float: Annotated[float, Field(allow_inf_nan=False), BeforeValidator(plain)],
}
"""How a field of each of these types is read."""
