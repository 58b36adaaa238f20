"""Arguments of a Web API call, whether they came as a form, as a query or as JSON."""

import json
import re
from collections.abc import Mapping
from typing import Any

from watchdog.doubles.slack.errors import SlackError, invalid_arguments
from watchdog.doubles.slack.state import Json

_TS = re.compile(r"\d{1,12}\.\d{6}", re.ASCII)
_WHOLE = re.compile(r"\d{1,12}", re.ASCII)
_DEEPEST = 40
_TRUE = ("1", "true", "True", True)


class Args:
    """Typed reading of arguments; a form carries lists and objects as JSON text."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        """Read from `values`."""
        self._values = values

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def text(self, name: str) -> str:
        """A required text.

        Raises:
            SlackError: `invalid_arguments`.
        """
        value = self.optional(name)
        if not value:
            raise invalid_arguments(f"missing required field: {name}")
        return value

    def optional(self, name: str) -> str | None:
        """A text, or None when it is not given.

        Raises:
            SlackError: `invalid_arguments` when a list or object stands there.
        """
        value = self._values.get(name)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, bool | dict | list):
            raise invalid_arguments(f"must be a string [json-pointer:/{name}]")
        return str(value)

    def flag(self, name: str) -> bool:
        """A yes or no; absent means no."""
        return self._values.get(name) in _TRUE

    def number(self, name: str, default: int, most: int) -> int:
        """A whole number from 1 to `most`.

        Raises:
            SlackError: `invalid_limit`.
        """
        text = self.optional(name)
        if text is None or text == "":
            return default
        if not _WHOLE.fullmatch(text) or not 1 <= int(text) <= most:
            raise SlackError("invalid_limit")
        return int(text)

    def moment(self, name: str) -> int | None:
        """A timestamp in microseconds; whole seconds are allowed.

        Raises:
            SlackError: `invalid_ts_` and the name, as Slack writes it for `oldest` and `latest`.
        """
        text = self.optional(name)
        if text is None or text == "":
            return None
        if _WHOLE.fullmatch(text):
            return int(text) * 1_000_000
        if not _TS.fullmatch(text):
            raise SlackError(f"invalid_ts_{name}")
        return int(text.replace(".", ""))

    def listing(self, name: str, error: str) -> list[Json] | None:
        """A list of objects, or None when it is not given.

        Raises:
            SlackError: `error` when it is not one.
        """
        value = self._parsed(name, error)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise SlackError(error)
        return value

    def mapping(self, name: str, error: str) -> Json | None:
        """An object, or None when it is not given.

        Raises:
            SlackError: `error` when it is not one.
        """
        value = self._parsed(name, error)
        if value is not None and not isinstance(value, dict):
            raise SlackError(error)
        return value

    def _parsed(self, name: str, error: str) -> Any:
        value = self._values.get(name)
        if isinstance(value, str):
            if not value:
                return None
            try:
                value = json.loads(value)
            except (ValueError, RecursionError) as problem:
                raise SlackError(error) from problem
        if _deeper_than(value, _DEEPEST):
            raise SlackError(error)
        return value


def _deeper_than(value: Any, levels: int) -> bool:
    inner: list[Any] = []
    match value:
        case dict():
            inner = list(value.values())
        case list():
            inner = value
    return bool(inner) and (levels == 0 or any(_deeper_than(item, levels - 1) for item in inner))
