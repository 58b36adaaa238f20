"""What happens to the rows of one table when a script is undone. Pure."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from watchdog.migrations.renames import quote
from watchdog.migrations.shape import Column, Name, Table


@dataclass(frozen=True)
class Kept:
    """A column that was there before.

    Attributes:
        forward: Its name just after the script; None when the script dropped it.
        type: Of before, without length, as an assignment target.
    """

    name: str
    forward: str | None
    type: str
    same_type: bool
    generated: bool


@dataclass(frozen=True)
class Added:
    """A column that the script added.

    Attributes:
        forward: Its name just after the script.
        live: Its name after everything else was named back.
        default: What it holds where nobody wrote anything else, as SQL; None for NULL, or where that is not a constant.
    """

    forward: str
    live: str
    default: str | None = None


@dataclass(frozen=True)
class TablePlan:
    """What happens to the rows of one table.

    Attributes:
        kind: `rebuilt` from archive and live rows, `gone` and to come back from the archive, `new` and to be set
            aside, or `shrunk` in place, whose added columns are set aside.
        name: Before; for a new table what it is called when the rest was named back.
        forward: What it is called just after the script; None when it is gone.
        key: Columns of the primary key when they were there before and after.
        required: Columns that were moved aside and must not be NULL when they come back; a row without is a later one.
        online: It is large: archived while users go on, and what they write since is logged.
    """

    kind: str
    name: Name
    forward: Name | None
    columns: tuple[Kept, ...]
    added: tuple[Added, ...]
    key: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    online: bool = False


def in_place(old: Table, new: Table, aside: Collection[int] = ()) -> tuple[list[str], list[str]] | None:
    """Statements before and after the rest that give a table its old columns; None when it must be rebuilt.

    Args:
        aside: Columns by number whose missing values tell later rows, so that they may be required again in place.
    """
    kept = {column.number: column for column in old.columns}
    left = tuple(column for column in new.columns if column.number in kept)
    if old.other != new.other or old.kind != new.kind or tuple(c.number for c in left) != tuple(kept):
        return None
    where = f"ALTER TABLE {'' if old.kind == 'p' else 'ONLY '}{quote(old.name[0])}.{quote(old.name[1])}"
    first = [
        f"{where} DROP CONSTRAINT IF EXISTS {quote(name)}"
        for name in new.checks
        if new.checks[name] != old.checks.get(name)
    ]
    if any(new.checks.get(name) != text for name, text in old.checks.items()):
        return None
    last: list[str] = []
    for column in left:
        was = kept[column.number]
        if (was.exact, was.generated, was.other) != (column.exact, column.generated, column.other):
            return None
        if was.required and not column.required:
            if column.number not in aside:
                return None
            last.append(f"{where} ALTER COLUMN {quote(was.name)} SET NOT NULL")
        if column.required and not was.required:
            first.append(f"{where} ALTER COLUMN {quote(was.name)} DROP NOT NULL")
        if column.default != was.default:
            first.append(f"{where} ALTER COLUMN {quote(was.name)} DROP DEFAULT")
            last += [f"{where} ALTER COLUMN {quote(was.name)} SET DEFAULT {was.default}"] if was.default else []
    added = [c for c in new.columns if c.number not in kept and not c.inherited]
    # Inherited columns go with the parent's.
    first += [f"{where.replace('ONLY ', '')} DROP COLUMN {quote(column.name)}" for column in added]
    return first, last


def added_columns(columns: Sequence[Column], forward: Table) -> tuple[Added, ...]:
    """Columns that were added, by what they are called just after the script."""
    names = {column.number: column.name for column in forward.columns}
    return tuple(Added(names[c.number], c.name, c.default if _is_constant(c.default) else None) for c in columns)


def _is_constant(default: str | None) -> bool:
    return bool(default and re.fullmatch(r"'(?:[^']|'')*'::[\w ().\[\]\",]+|-?\d+(?:\.\d+)?|true|false", default))


def changed_table(old: Table, forward: Table, new: Table, kind: str) -> TablePlan:
    """The plan of a table that was there before and after."""
    there = {column.number: column for column in forward.columns}
    columns: list[Kept] = []
    for c in old.columns:
        now = there.get(c.number)
        same = now is not None and now.exact == c.exact
        columns.append(Kept(c.name, now.name if now else None, c.type, same_type=same, generated=c.generated))
    numbers = {column.number for column in old.columns}
    added = added_columns([c for c in new.columns if c.number not in numbers], forward)
    key = old.key if new.key == old.key and all(c.forward is not None for c in columns if c.name in old.key) else ()
    return TablePlan(kind, old.name, forward.name, tuple(columns), added, key)
