# ruff: noqa: S608 - SQL made of names is what this is for; each is quoted by `quote` or `literal`
"""Rows as text: a table before and just after a script, and the merge of both with what users did since."""

from collections.abc import Iterable

from watchdog.migrations.policies import Policy
from watchdog.migrations.renames import literal, quote
from watchdog.migrations.shape import Name
from watchdog.migrations.table_plans import Kept, TablePlan


def qualified(name: Name) -> str:
    """A relation's name as SQL."""
    return f"{quote(name[0])}.{quote(name[1])}"


def image(run: int, index: int, which: str) -> str:
    """The table that holds an image: `before`, `after`, `live`, `result`."""
    return f"watchdog.run_{run}_{index}_{which}"


def archive_before(run: int, index: int, table: TablePlan) -> str:
    """Keeps a table as it is before the script."""
    return _keep(image(run, index, "before"), _before_columns(table), table.name)


def archive_pages(run: int, index: int, table: TablePlan, pages: tuple[int, int], first: int) -> str:
    """Adds some pages of a table to what `archive_before` has begun.

    Args:
        pages: From this one, up to but not with that one.
        first: Rows that are kept already.
    """
    listed = ", ".join([f"{first} + row_number() OVER () AS n", *_before_columns(table)])
    return (
        f"INSERT INTO {image(run, index, 'before')} SELECT {listed} FROM ONLY {qualified(table.name)}"
        f" WHERE ctid >= '({pages[0]},0)' AND ctid < '({pages[1]},0)'"
    )


def _before_columns(table: TablePlan) -> list[str]:
    return [f"{quote(column.name)}::text AS c{n}" for n, column in enumerate(table.columns)]


def archive_after(run: int, index: int, table: TablePlan) -> str:
    """Keeps a table as it is just after the script."""
    assert table.forward is not None  # noqa: S101 - a table that is gone has no such image
    return _keep(image(run, index, "after"), _forward_columns(table), table.forward)


def archive_live(run: int, index: int, table: TablePlan, joined: str = "", *, forward: bool = False) -> str:
    """Keeps a table as it is when the rollback begins, after everything was named back.

    Of a table that changes in place only the rows in whose added columns somebody has written.

    Args:
        joined: What the table `t` is joined with, so that only some rows are kept.
        forward: Nothing was named back yet.
    """
    names = [None if c.forward is None else c.forward if forward else c.name for c in table.columns]
    kept = [f"{'NULL' if name is None else f't.{quote(name)}'}::text AS c{n}" for n, name in enumerate(names)]
    added = [f"t.{quote(c.forward if forward else c.live)}::text AS x{n}" for n, c in enumerate(table.added)]
    written = " OR ".join(
        f"t.{quote(c.live)}::text IS DISTINCT FROM ({c.default or 'NULL'})::text" for c in table.added
    )
    where = f" WHERE {written}" if table.kind == "shrunk" else ""
    return (
        _keep(image(run, index, "live"), [*kept, *added], (forward and table.forward) or table.name)
        + f" t {joined}{where}"
    )


def _forward_columns(table: TablePlan) -> list[str]:
    kept = [
        f"{quote(column.forward) if column.forward is not None else 'NULL'}::text AS c{n}"
        for n, column in enumerate(table.columns)
    ]
    return [*kept, *(f"{quote(column.forward)}::text AS x{n}" for n, column in enumerate(table.added))]


def _keep(into: str, columns: Iterable[str], table: Name) -> str:
    listed = ", ".join(["row_number() OVER () AS n", *columns])
    return f"CREATE TABLE {into} AS SELECT {listed} FROM ONLY {qualified(table)}"


def key_is_unique(run: int, index: int, table: TablePlan) -> str:
    """Whether the old primary key still tells rows apart; without it whole rows are matched."""
    key = _key(table, by_key=True)
    parts = [
        f"(SELECT count(*) = count(DISTINCT {key}) FROM {image(run, index, which)} s)" for which in ("after", "live")
    ]
    return f"SELECT {' AND '.join(parts)}"


def _key(table: TablePlan, *, by_key: bool) -> str:
    if by_key:
        used = [n for n, column in enumerate(table.columns) if column.name in table.key]
        return f"s.c{used[0]}" if len(used) == 1 else f"ROW({', '.join(f's.c{n}' for n in used)})::text"
    used = [n for n, c in enumerate(table.columns) if c.forward is not None and c.same_type and not c.generated]
    row = f"ROW({', '.join(f's.c{n}' for n in used)})::text"
    return f"{row} || '#' || row_number() OVER (PARTITION BY {row})"


def _whole(table: TablePlan, alias: str) -> str:
    kept = [f"{alias}.c{n}" for n, c in enumerate(table.columns) if c.forward is not None and not c.generated]
    return f"ROW({', '.join([*kept, *(f'{alias}.x{n}' for n in range(len(table.added)))])})::text"


def merge(
    run: int, index: int, table: TablePlan, *, by_key: bool, only: str = "", policy: Policy = Policy.LATER
) -> str:
    """Makes the result: what the rebuilt table will hold, with the origin of each row, and whether it is a conflict.

    Args:
        only: Which rows `s` of before take part, as a condition; the other images hold no others.

    `earlier`: as before the script. `changed`: an earlier row that users changed since; their values win.
    `later`: inserted since. Left out: what users deleted, and what the script inserted and nobody touched.
    """
    key = _key(table, by_key=by_key)
    sources = ", ".join(
        f"{alias} AS (SELECT s.*, {key} AS k FROM {image(run, index, which)} s"
        f"{f' WHERE {only}' if only and which == 'before' else ''})"
        for alias, which in (("b", "before"), ("a", "after"), ("l", "live"))
    )
    touched = f"{_whole(table, 'a')} IS DISTINCT FROM {_whole(table, 'l')}"
    clashes = {n: _clash(n) for n, column in enumerate(table.columns) if by_key and _may_clash(table, column)}
    clash = f"(b.n IS NOT NULL AND l.n IS NOT NULL AND ({' OR '.join(clashes.values()) or 'false'}))"
    values = "".join(
        f", {_decided(n, column, clash if policy is Policy.QUARANTINE else clashes.get(n, ''), policy)} AS c{n}"
        for n, column in enumerate(table.columns)
    )
    undone = f" OR {clash}" if policy is Policy.QUARANTINE else ""
    origin = (
        f"CASE WHEN l.n IS NULL OR (a.n IS NOT NULL AND b.n IS NOT NULL AND NOT ({touched})){undone} THEN 'earlier'"
        " WHEN b.n IS NOT NULL THEN 'changed' ELSE 'later' END"
    )
    return (
        f"CREATE TABLE {image(run, index, 'result')} AS WITH {sources}"
        f" SELECT {origin} AS origin, {clash} AS conflict, b.n AS bn, l.n AS ln{values}"
        " FROM b FULL JOIN a ON a.k = b.k FULL JOIN l ON l.k = coalesce(b.k, a.k)"
        # Deleted by users since, or inserted by the script and not touched since.
        f" WHERE NOT (l.n IS NULL AND a.n IS NOT NULL) AND NOT (b.n IS NULL AND a.n IS NOT NULL AND NOT ({touched}))"
    )


def _may_clash(table: TablePlan, column: Kept) -> bool:
    # Of another type the text differs though nobody changed the value.
    return column.forward is not None and column.same_type and not column.generated and column.name not in table.key


def _clash(n: int) -> str:
    """Whether the script and users both changed a value, and not to the same."""
    theirs = f"(a.n IS NULL OR (a.c{n} IS DISTINCT FROM b.c{n} AND l.c{n} IS DISTINCT FROM a.c{n}))"
    return f"(l.c{n} IS DISTINCT FROM b.c{n} AND {theirs})"


def _decided(n: int, column: Kept, clash: str, policy: Policy) -> str:
    merged = _merged(n, column)
    if policy is Policy.LATER or not clash:
        return merged
    return f"CASE WHEN b.n IS NOT NULL AND l.n IS NOT NULL AND {clash} THEN b.c{n} ELSE {merged} END"


def _merged(n: int, column: Kept) -> str:
    if column.forward is None:
        return f"b.c{n}"
    return (
        f"CASE WHEN l.n IS NULL THEN b.c{n} WHEN b.n IS NULL THEN l.c{n}"
        f" WHEN a.n IS NULL OR l.c{n} IS DISTINCT FROM a.c{n} THEN l.c{n} ELSE b.c{n} END"
    )


def counts(run: int, index: int) -> str:
    """Rows by origin, and how many earlier ones users deleted."""
    return f"SELECT origin, count(*) FROM {image(run, index, 'result')} GROUP BY 1"


def refill(run: int, index: int, table: TablePlan, source: str = "result", where: str = "", *, into: str = "") -> str:
    """Puts rows of an image into the table; those of `later` origin take defaults for columns that were dropped.

    Args:
        into: The table that is filled, as SQL, when it is another.
    """
    name = into or qualified(table.name)
    later = where == "later"
    used = [
        (n, column)
        for n, column in enumerate(table.columns)
        if not column.generated and not (later and column.forward is None)
    ]
    rows = f"{image(run, index, source)} s" + (f" WHERE s.origin = {literal(where)}" if where else "")
    if not used:
        return f"INSERT INTO {name} SELECT FROM {rows}"
    names = ", ".join(quote(column.name) for _, column in used)
    values = ", ".join(f"s.c{n}::{column.type}" for n, column in used)
    return f"INSERT INTO {name} ({names}) OVERRIDING SYSTEM VALUE SELECT {values} FROM {rows}"


def as_json(table: TablePlan, alias: str) -> str:
    """A live row as one value, by the names of its columns."""
    kept = [(column.name, f"{alias}.c{n}") for n, column in enumerate(table.columns) if column.forward is not None]
    pairs = [*kept, *((column.forward, f"{alias}.x{n}") for n, column in enumerate(table.added))]
    if not pairs:
        return "'{}'::jsonb"
    names = ", ".join(literal(name) for name, _ in pairs)
    return f"jsonb_object(ARRAY[{names}]::text[], ARRAY[{', '.join(value for _, value in pairs)}]::text[])"


def quarantine_new(run: int, index: int, table: TablePlan) -> str:
    """Keeps what users wrote into a table that the script made; what the script itself wrote vanishes."""
    whole = "ROW(" + ", ".join(f"s.x{n}" for n in range(len(table.added))) + ")::text"
    key = f"{whole} || '#' || row_number() OVER (PARTITION BY {whole})"
    name = qualified(table.forward or table.name)
    return (
        f"WITH a AS (SELECT {key} AS k FROM {image(run, index, 'after')} s),"
        f" l AS (SELECT s.*, {key} AS k FROM {image(run, index, 'live')} s)"
        ' INSERT INTO watchdog.migration_quarantine (run, "table", reason, "row")'
        f" SELECT {run}, {literal(name)}, 'its table was made by the migration', {as_json(table, 'l')}"
        " FROM l WHERE NOT EXISTS (SELECT FROM a WHERE a.k = l.k)"
    )


def not_restored(run: int, index: int, table: TablePlan) -> str:
    """How many rows that must be as before are not in the table."""
    used = [(n, c) for n, c in enumerate(table.columns) if not c.generated]
    live = ", ".join(f"{quote(c.name)}::text" for _, c in used)
    kept = ", ".join(f"s.c{n}" for n, _ in used)
    source = image(run, index, "before" if table.kind == "gone" else "result")
    where = "" if table.kind == "gone" else " WHERE origin = 'earlier'"
    return (
        f"SELECT coalesce(sum(w.c - least(w.c, coalesce(h.c, 0))), 0) FROM"
        f" (SELECT ROW({kept})::text AS r, count(*) AS c FROM {source} s{where} GROUP BY 1) w"
        f" LEFT JOIN (SELECT ROW({live})::text AS r, count(*) AS c FROM ONLY {qualified(table.name)} GROUP BY 1) h"
        " ON h.r = w.r"
    )


def not_restored_by_key(run: int, index: int, table: TablePlan) -> str:
    """As `not_restored`, of the rows of the result only, each looked for by its key."""
    used = [(n, c) for n, c in enumerate(table.columns) if not c.generated]
    same = " AND ".join(
        f"t.{quote(c.name)} = s.c{n}::{c.type}" for n, c in enumerate(table.columns) if c.name in table.key
    )
    live = ", ".join(f"t.{quote(c.name)}::text" for _, c in used)
    kept = ", ".join(f"s.c{n}" for n, _ in used)
    return (
        f"SELECT count(*) FROM {image(run, index, 'result')} s WHERE origin = 'earlier' AND NOT EXISTS"
        f" (SELECT FROM ONLY {qualified(table.name)} t WHERE {same} AND ROW({live})::text = ROW({kept})::text)"
    )
