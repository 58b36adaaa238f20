"""How a database is used now against a snapshot of before: pure comparisons."""

from dataclasses import dataclass
from typing import Final

from watchdog.app.procedures.parts import Outcome, Part, settled
from watchdog.app.procedures.snapshot import Scans, Statement, Usage

NONE: Final = Scans(0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What is still well.

    Attributes:
        shrink: The ratio of its rows that a table may have lost.
        slower: How many times slower a query may be in the mean.
        floor: Seconds; a query that is faster than this in the mean is never slow.
        calls: A query that was called less often since is not judged.
        scans: Scans of a whole table since, from which on they are judged.
        share: How much the ratio of whole scans among all scans of a table may have risen.
        rows: A smaller table is best read whole.
    """

    shrink: float = 0.0
    slower: float = 2.0
    floor: float = 0.001
    calls: int = 5
    scans: int = 10
    share: float = 0.1
    rows: int = 1000


def rows_part(name: str, before: Usage | None, now: Usage, unseen: tuple[str, ...], limits: Limits) -> Part:
    """Whether a table is gone or has lost rows; growing is well."""
    numbers = {"tables": float(len(now.rows)), "rows": float(sum(now.rows.values()))}
    here = f"{sum(now.rows.values()):,} rows in {len(now.rows)} tables"
    if before is None:
        return _no_snapshot(name, here, numbers)
    hidden = {line.partition(":")[0] for line in unseen}
    wrong: list[str] = []
    for table, was in before.rows.items():
        found = now.rows.get(table)
        if found is None:
            if table.replace('"', "") not in hidden:
                wrong.append(f"{table} is not there any more, it had {was:,} rows")
        elif found < was * (1 - limits.shrink):
            wrong.append(f"{table} has {found:,} rows, {was - found:,} fewer than before")
    grown = sum(max(0, found - before.rows.get(table, 0)) for table, found in now.rows.items())
    return settled(name, f"{here}, {grown:,} more than before", wrong=tuple(wrong), unseen=unseen, numbers=numbers)


def indexes_part(name: str, before: Usage | None, now: Usage, limits: Limits) -> Part:
    """Indexes made since that no query has used, and tables that are read whole more often than before."""
    if before is None:
        return _no_snapshot(name, f"{len(now.indexes)} indexes", {})
    made = {index: scans for index, scans in now.indexes.items() if index not in before.indexes}
    wrong = [f"index {index} is new, and no query has used it yet" for index, scans in made.items() if not scans]
    reset = before.since != now.since
    for table, scans in now.scans.items():
        was = NONE if reset else before.scans.get(table, NONE)
        since = _since(was, scans)
        risen = _share(since) - _share(was)
        rows = now.rows.get(table, scans.rows)
        if rows >= limits.rows and since.whole >= limits.scans and risen > limits.share:
            wrong.append(
                f"{table} ({rows:,} rows) was read whole {since.whole:,} times since, "
                f"{_share(since):.0%} of its scans; before it was {_share(was):.0%}"
            )
    numbers = {"new_indexes": float(len(made)), "unused_new_indexes": float(sum(not used for used in made.values()))}
    return settled(name, f"{len(made)} new indexes, none unused", wrong=tuple(wrong), numbers=numbers)


def _since(was: Scans, now: Scans) -> Scans:
    """Scans since; a table's statistics that were reset count from there."""
    if now.whole < was.whole or now.index < was.index:
        return now
    return Scans(now.whole - was.whole, now.index - was.index, now.rows)


def _share(scans: Scans) -> float:
    return scans.whole / (scans.whole + scans.index) if scans.whole + scans.index else 0.0


def statements_part(name: str, before: Usage | None, now: Usage, limits: Limits) -> Part:
    """Queries that are slower in the mean since the snapshot than they were before it."""
    if now.statements is None:
        return Part(name, Outcome.NOT_RUN, now.no_statements)
    if before is None:
        return _no_snapshot(name, f"{len(now.statements)} queries", {})
    if before.statements is None:
        return Part(name, Outcome.NOT_RUN, f"the snapshot has no query times: {before.no_statements}")
    judged, slow = 0, []
    for number, statement in now.statements.items():
        was = before.statements.get(number)
        if was is None or not was.calls:
            continue
        since = _statement_since(was, statement)
        if since.calls < limits.calls:
            continue
        judged += 1
        mean, usual = _mean(since), _mean(was)
        if mean > limits.floor and mean > limits.slower * usual:
            slow.append((mean / usual, f"{_seconds(mean)} in the mean, {_seconds(usual)} before: {statement.text}"))
    wrong = tuple(line for _, line in sorted(slow, key=lambda one: -one[0]))
    numbers = {"queries_judged": float(judged), "slower_queries": float(len(wrong))}
    if not judged:
        return Part(name, Outcome.NOT_RUN, f"no query of before was called {limits.calls} times since", (), numbers)
    well = f"{judged} queries take no more than {limits.slower:g} times what they took"
    return settled(name, well, wrong=wrong, numbers=numbers)


def _statement_since(was: Statement, now: Statement) -> Statement:
    if now.calls < was.calls:
        return now
    return Statement(now.text, now.calls - was.calls, now.milliseconds - was.milliseconds)


def _mean(statement: Statement) -> float:
    """Seconds; never nothing, so that it can be divided by."""
    return max(1e-9, statement.milliseconds / statement.calls / 1000)


def _seconds(length: float) -> str:
    return f"{length:.4f} s"


def _no_snapshot(name: str, here: str, numbers: dict[str, float]) -> Part:
    said = f"{here}; nothing to compare with: make a snapshot before a migration by --save, name it by --before"
    return Part(name, Outcome.NOT_RUN, said, (), numbers)
