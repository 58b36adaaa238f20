"""PostgreSQL's own parser: the only place that knows which package holds it."""

from importlib import import_module
from typing import Any, Final

from watchdog.ports.errors import WatchdogError

# Not by `import`: the package's stubs name a field `def`, on which mypy stops, and protobuf ships no types.
postgast = import_module("postgast")
tree = import_module("postgast.pg_query_pb2")
_DecodeError: Final[type[Exception]] = import_module("google.protobuf.message").DecodeError


class SqlSyntaxError(WatchdogError):
    """A script cannot be parsed.

    Attributes:
        line: Where, counted from 1.
    """

    def __init__(self, message: str, line: int) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line


def statements_of(text: str) -> Any:
    """The statements of a script with their places in it, in bytes, as the parser gives them; raises SqlSyntaxError."""
    return tree_of(text).stmts


def tree_of(text: str) -> Any:
    """The parse tree of a script.

    Raises:
        SqlSyntaxError: It is no SQL, or more than the parser can hold.
    """
    before, nul, _ = text.partition("\0")
    if nul:
        raise SqlSyntaxError("a NUL character cuts the script off; take it out", before.count("\n") + 1)
    try:
        return postgast.parse(text)
    except postgast.PgQueryError as error:
        # The position counts characters, whatever the package's documentation says.
        raise SqlSyntaxError(error.message, text.count("\n", 0, max(0, error.cursorpos - 1)) + 1) from None
    except (_DecodeError, RecursionError):
        raise SqlSyntaxError("an expression is nested too deep to be read; write it flatter.", 1) from None
