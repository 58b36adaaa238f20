"""Checks in SQL: a query that must return no rows, or one number."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, Final, Literal, cast

from watchdog.model.signals import Cause, SignalKind
from watchdog.ports.errors import ProbeError
from watchdog.ports.kinds import ProbeKind, Resources, Script
from watchdog.ports.probes import Readings
from watchdog.probes.postgres_queries import Connection, fetch_wrapped, read_each
from watchdog.probes.queries import sql_complaints
from watchdog.probes.readings import MAX_COUNT, check_script
from watchdog.targets.postgres import PostgresTarget

# Counted there: no row of a check leaves its database.
_COUNT: Final = ("SELECT count(*) FROM (SELECT FROM (", ") AS rows_found LIMIT $1) AS counted", MAX_COUNT)
_VALUE: Final = ("SELECT * FROM (", ") AS value_found LIMIT $1", 2)


@dataclass(frozen=True, kw_only=True)
class SqlCheckOptions:
    """Takes none: how long a query may take is the target's `statement_timeout`."""


@dataclass(frozen=True, kw_only=True)
class SqlCheckRead:
    """One check.

    Attributes:
        query: One SELECT.
        expect: `no_rows`: the value is how many rows it returns, counted up to 10,000; `value`: the value is the one
            number that it returns.
    """

    query: Script
    expect: Literal["no_rows", "value"] = "no_rows"

    def __post_init__(self) -> None:
        check_script(self.query, "query")


class SqlCheckProbe:
    """Runs the checks one after the other on one read-only connection."""

    def __init__(self, target: PostgresTarget, reads: Mapping[str, SqlCheckRead]) -> None:
        self._target = target
        self._reads = reads

    async def read(self) -> Readings:
        """Every check; one that fails does not hide the others.

        Raises:
            ProbeError: The server does not answer.
        """
        return await read_each(self._target, {name: partial(self._check, read) for name, read in self._reads.items()})

    async def _check(self, read: SqlCheckRead, connection: Connection) -> float:
        before, after, limit = _COUNT if read.expect == "no_rows" else _VALUE
        return number(await fetch_wrapped(connection, before, read.query, after, limit), read.query)


def number(rows: list[tuple[Any, ...]], script: Script) -> float:
    """The single number in an answer.

    Raises:
        ProbeError: It is not one row of one finite number.
    """
    match rows:
        case [(bool() | int() | float() | Decimal() as value,)] if math.isfinite(value):
            return float(value)
        case [(None,)]:
            what = "returned NULL; say what that means with coalesce"
        case [(_,)]:
            what = "returned something other than a finite number; cast it"
        case _:
            what = "must return exactly one row of one column"
    raise ProbeError(Cause.PROBE_BROKEN, f"{script.source or 'query'} {what}")


def _complaints(read: SqlCheckRead) -> Iterator[str]:
    return sql_complaints(read.query, "query")


def _build(
    role: str, _options: SqlCheckOptions, reads: Mapping[str, SqlCheckRead], resources: Resources
) -> SqlCheckProbe:
    return SqlCheckProbe(cast("PostgresTarget", resources.target(role)), reads)


KIND: ProbeKind[SqlCheckOptions, SqlCheckRead] = ProbeKind(
    name="sql_check",
    options=SqlCheckOptions,
    read=SqlCheckRead,
    targets=("postgres",),
    signal_kind=lambda _read: SignalKind.CHECK,
    build=_build,
    complaints=_complaints,
)
