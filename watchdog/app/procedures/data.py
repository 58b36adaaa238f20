"""The deep data check of one database: everything that PostgreSQL promises, looked at row by row."""

from collections.abc import AsyncIterator

from watchdog.app.procedures.keys import foreign_keys, sequences, unique_indexes
from watchdog.app.procedures.parts import Outcome, Part, settled
from watchdog.app.procedures.tables import count
from watchdog.model.time import Span
from watchdog.ports.errors import TargetError
from watchdog.targets.postgres import PostgresTarget


async def deep_check(role: str, target: PostgresTarget, patience: Span) -> AsyncIterator[Part]:
    """Rows, constraints, values of enumerations and domains, foreign keys, unique indexes, sequences.

    Args:
        patience: For each statement; there is one a table, one a foreign key.
    """
    try:
        counted = await count(target, patience)
    except TargetError as error:
        yield Part(f"{role}: rows", Outcome.NOT_RUN, str(error))
        return
    tables, rows = len(counted.rows), sum(counted.rows.values())
    lines = tuple(f"{table}: {number:,}" for table, number in counted.rows.items())
    figures = {"tables": float(tables), "rows": float(rows)}
    if counted.unseen:
        yield settled(f"{role}: rows", "", wrong=(), unseen=counted.unseen, numbers=figures)
    else:
        yield Part(f"{role}: rows", Outcome.OK, f"{rows:,} rows in {tables} tables", lines, figures)
    said = {
        "constraints": "NOT NULL and CHECK hold in every row",
        "values": "every value of an enumeration or a domain is one",
    }
    for about, well in said.items():
        unseen = tuple(line.partition(":")[0] for line in counted.unseen)
        yield settled(f"{role}: {about}", well, wrong=counted.broken[about], unseen=unseen)
    yield await foreign_keys(f"{role}: foreign keys", target, patience)
    yield await unique_indexes(f"{role}: unique indexes", target, patience)
    yield await sequences(f"{role}: sequences", target, patience)
