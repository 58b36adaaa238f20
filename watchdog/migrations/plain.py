"""What a server's error says, without the values of rows that it may hold."""

import re
from typing import Final

import psycopg

# Names, rights, resources, locks, states, interventions: these speak of objects, not of rows. So do violated
# constraints, whose values are in the detail.
_HARMLESS: Final = ("08", "0A", "0L", "0P", "23", "25", "26", "28", "2B", "3", "40", "42", "53", "54", "55", "57", "58")
_DATA: Final = ("21", "22")
_DEPENDED_ON: Final = "2BP01"
"""Its detail names objects."""
# Where functions of the database raise what they like.
_RAISED: Final = re.compile(r"pl_exec|plpy|plperl|pltcl|plv8")
# Other languages quote otherwise.
_QUOTES: Final = "\"'«»„“”‘’‚‹›「」『』"  # noqa: RUF001 - these very characters
_VALUES: Final = re.compile(rf"[{_QUOTES}].*[{_QUOTES}]|0x[0-9a-f]+", re.DOTALL)


def plain(error: psycopg.Error) -> str:
    """The first sentence of an error as far as it holds no value of a row; else its SQLSTATE, and where it came from.

    The rest, with detail and context, is in the server's log.
    """
    state, primary = error.sqlstate, error.diag.message_primary
    if state is None:
        return str(error).strip()
    where = ".".join(part for part in (error.diag.schema_name, error.diag.table_name) if part)
    hidden = f"SQLSTATE {state}{f' on {where}' if where else ''}, see the server's log"
    if not primary or _RAISED.match(error.diag.source_file or ""):
        return hidden
    if state == _DEPENDED_ON and error.diag.message_detail:
        return f"{primary}: {error.diag.message_detail}"
    return without_value(state, primary) or hidden


def without_value(state: str, sentence: str) -> str:
    """A sentence of the server without what may be a row's value; empty when nothing is left.

    Args:
        state: Its SQLSTATE. Of class 23 it must not have been raised by a function of the database.
    """
    if state.startswith(_HARMLESS):
        return sentence
    # `invalid input syntax for type json: "…"`, without what follows the colon and what is quoted.
    return _VALUES.sub("…", sentence.partition(": ")[0]) if state.startswith(_DATA) else ""
