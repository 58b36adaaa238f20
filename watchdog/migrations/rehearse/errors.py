"""Errors of a copy, said without the values of rows that their texts may hold."""

import psycopg

from watchdog.ports.errors import WatchdogError

# Names, rights, resources, states, interventions: these speak of objects, not of rows.
_HARMLESS = ("25", "42", "53", "55", "57", "58")


def plain(error: BaseException) -> str:
    """What went wrong: the SQLSTATE and the table, or the text where that holds no value of a row."""
    cause = error.__cause__ if isinstance(error, WatchdogError) else error
    if not isinstance(cause, psycopg.Error):
        return str(error)
    where = ".".join(part for part in (cause.diag.schema_name, cause.diag.table_name) if part)
    said = f"SQLSTATE {cause.sqlstate}{f' on {where}' if where else ''}"
    if cause.sqlstate is None:
        return str(cause).strip()
    harmless = cause.sqlstate.startswith(_HARMLESS) and cause.diag.message_primary
    return f"{cause.diag.message_primary} ({said})" if harmless else said
