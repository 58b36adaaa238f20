"""References in configured text: `${env:NAME}` and `${file:/path}`."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from watchdog.ports.errors import WatchdogError

REFERENCE: Final = re.compile(r"\$\{(env|file):([^{}]*)\}")
_MISTAKEN: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class UnresolvedError(WatchdogError):
    """A reference cannot be resolved; names the variable or file, never a value.

    Attributes:
        instead: What to do about it.
    """

    def __init__(self, message: str, instead: str) -> None:
        super().__init__(message)
        self.instead = instead


class ConfiguredText:
    """A `Secret`: a configured text whose references are resolved at each `reveal`.

    Its `repr` shows the references alone, since what stands around them may be secret too. Two are equal when the
    same text was configured.
    """

    __slots__ = ("_environ", "configured")

    def __init__(self, configured: str, environ: Mapping[str, str] = os.environ) -> None:
        self.configured = configured
        self._environ = environ

    def reveal(self) -> str:
        """The text with every reference resolved now.

        Raises:
            WatchdogError: A variable is not set or a file cannot be read; names it, not its value.
        """
        return resolve(self.configured, self._environ)

    @property
    def refers(self) -> bool:
        """Whether it holds a reference at all."""
        return REFERENCE.search(self.configured) is not None

    def __str__(self) -> str:
        references = [match.group() for match in REFERENCE.finditer(self.configured)]
        shown = "".join(references)
        return shown if shown == self.configured else "…".join(["", *references, ""])

    def __repr__(self) -> str:
        return f"ConfiguredText({self})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ConfiguredText) and other.configured == self.configured

    def __hash__(self) -> int:
        return hash(self.configured)


def resolve(text: str, environ: Mapping[str, str]) -> str:
    """The text with each reference replaced by what it names.

    Raises:
        WatchdogError: A reference names nothing, or is written wrongly.
    """
    if "${" not in text:
        return text
    if mistaken := _MISTAKEN.search(text):
        name = mistaken.group(1)
        raise UnresolvedError(f"`${{{name}}}` is no reference", f"`${{env:{name}}}`")
    if "${" in REFERENCE.sub(" ", text):
        raise UnresolvedError("`${` begins no reference that is known", "`${env:NAME}` or `${file:/path}`")
    return REFERENCE.sub(lambda match: _value(match.group(1), match.group(2), environ), text)


def _value(scheme: str, name: str, environ: Mapping[str, str]) -> str:
    if scheme == "env":
        if name not in environ:
            raise UnresolvedError(f"the environment variable `{name}` is not set", f"`export {name}=…` before starting")
        return environ[name]
    try:
        return Path(name).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a readable text file"
        raise UnresolvedError(
            f"the file `{name}` of a reference cannot be read: {reason}", "a file that this user can read"
        ) from None
