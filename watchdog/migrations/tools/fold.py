"""Tells what users wrote while a tool worked from what the tool did, row by row. Pure.

A rollback compares three images: before, just after, and live. Users write between the first two while a tool works,
so both are corrected: what they wrote over a value of before goes into the image before; what they wrote over a value
of the tool's leaves the image after, so that it counts as written since.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

Row: TypeAlias = dict[int, str | None]
"""Values as text by the number of their column."""
Key: TypeAlias = tuple[str | None, ...]
_ALL: Final = -1


@dataclass(frozen=True)
class Event:
    """One write.

    Attributes:
        op: `I`, `U`, `D`, or `T` for all rows at once.
        was: Columns that have the type of before at that moment.
        now: Columns that have the type of afterwards.
    """

    tool: bool
    op: str
    old: Row | None = None
    new: Row | None = None
    was: frozenset[int] = frozenset()
    now: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Columns:
    """Columns of a table by number: of before, of afterwards, and those that tell its rows apart (none: all do)."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    key: tuple[int, ...]


@dataclass
class Folded:
    """Rows of the images that users touched, corrected.

    Attributes:
        emptied: Users emptied the table: nothing else of the image before is there any more.
        unplaced: What users wrote into a column while its type was neither that of before nor that of afterwards.
    """

    before: list[Row]
    after: list[Row]
    emptied: bool = False
    unplaced: list[Row] = field(default_factory=list)


class ByKey:
    """A table whose rows have a key."""

    def __init__(self, columns: Columns, before: Iterable[Row], after: Iterable[Row]) -> None:
        """Begins with the rows of both images that have the key of any event."""
        self._columns = columns
        self._before = {self._key(one): dict(one) for one in before}
        self._after = {self._key(one): dict(one) for one in after}
        self._touched: dict[Key, set[int]] = {}
        self._since: dict[Key, Row] = {}
        self._fixed: set[tuple[Key, int]] = set()
        self._all_touched = self._emptied = False
        self._unplaced: list[Row] = []

    def add(self, event: Event) -> None:
        """Takes the next write into account."""
        old, new = event.old, event.new
        if event.op == "T":
            self._truncate(event)
        elif old is not None and new is not None and self._key(old) == self._key(new):
            (self._tool_update if event.tool else self._user_update)(event, old, new)
        else:
            if old is not None:
                if event.tool:
                    self._tool_row(event, old)
                else:
                    self._user_delete(old)
            if new is not None:
                (self._tool_row if event.tool else self._user_insert)(event, new)

    def result(self) -> Folded:
        """Both images' rows as they should be."""
        return Folded(list(self._before.values()), list(self._after.values()), self._emptied, self._unplaced)

    def _key(self, row: Row) -> Key:
        return tuple(row.get(number) for number in self._columns.key)

    def _truncate(self, event: Event) -> None:
        if event.tool:
            self._all_touched = True
            return
        self._before.clear()
        self._touched.clear()
        self._emptied = True

    def _is_touched(self, key: Key, column: int) -> bool:
        touched = self._touched.get(key, set())
        return self._all_touched or column in touched or _ALL in touched

    def _tool_update(self, event: Event, old: Row, new: Row) -> None:
        key = self._key(new)
        changed = {number for number in new if old.get(number) != new[number]}
        self._touched.setdefault(key, set()).update(changed)
        self._overwritten(key, changed, event)

    def _tool_row(self, event: Event, row: Row) -> None:
        key = self._key(row)
        self._touched.setdefault(key, set()).add(_ALL)
        self._overwritten(key, set(row), event)

    def _overwritten(self, key: Key, columns: set[int], event: Event) -> None:
        """The tool wrote once more over what users wrote over its own: their last word is what comes back."""
        since = self._since.get(key, {})
        for number in columns & set(since):
            value = since.pop(number)
            if number in event.was and key in self._before:
                self._before[key][number] = value
            self._fixed.discard((key, number))
            if key in self._after and number in event.now and event.new is not None:
                self._after[key][number] = event.new.get(number)

    def _user_insert(self, event: Event, new: Row) -> None:
        key = self._key(new)
        if not self._is_touched(key, _ALL) and event.was.issuperset(self._columns.before):
            self._before[key] = {number: new[number] for number in self._columns.before}
        else:
            self._after.pop(key, None)

    def _user_delete(self, old: Row) -> None:
        key = self._key(old)
        self._before.pop(key, None)
        self._since.pop(key, None)
        self._touched.pop(key, None)

    def _user_update(self, event: Event, old: Row, new: Row) -> None:
        key = self._key(new)
        for number in new:
            if old.get(number) == new[number]:
                continue
            if number in event.was and key in self._before and not self._is_touched(key, number):
                self._before[key][number] = new[number]
            elif number in event.now:
                self._since.setdefault(key, {})[number] = new[number]
                if key in self._after and (key, number) not in self._fixed:
                    self._after[key][number] = old.get(number)
                    self._fixed.add((key, number))
            elif number in event.was and key in self._before:
                # The column goes or gets another type later on: nothing of it is left to compare with.
                self._before[key][number] = new[number]
            else:
                self._unplaced.append(new)
                break


class ByRow:
    """A table without a key: equal rows are the same to everybody."""

    def __init__(self, columns: Columns, before: Iterable[Row], after: Iterable[Row]) -> None:
        """Begins with the rows of both images that are equal to those of any event."""
        self._columns = columns
        self._before = Counter(_flat(one, columns.before) for one in before)
        self._after = Counter(_flat(one, columns.after) for one in after)
        self._made: Counter[frozenset[tuple[int, str | None]]] = Counter()
        self._emptied = False
        self._unplaced: list[Row] = []

    def add(self, event: Event) -> None:
        """Takes the next write into account."""
        if event.op == "T":
            if not event.tool:
                self._before.clear()
                self._emptied = True
            return
        if event.tool:
            self._made.subtract([frozenset(event.old.items())] if event.old else [])
            self._made.update([frozenset(event.new.items())] if event.new else [])
            return
        earlier = event.was.issuperset(self._columns.before)
        if event.old is not None and self._made[frozenset(event.old.items())] > 0:
            self._made[frozenset(event.old.items())] -= 1
            earlier = False
        if event.old is not None:
            self._count(event, event.old, -1, earlier=earlier)
        if event.new is not None:
            self._count(event, event.new, 1, earlier=earlier)

    def result(self) -> Folded:
        """Both images' rows as they should be."""
        before = [dict(zip(self._columns.before, one, strict=True)) for one in self._before.elements()]
        after = [dict(zip(self._columns.after, one, strict=True)) for one in self._after.elements()]
        return Folded(before, after, self._emptied, self._unplaced)

    def _count(self, event: Event, row: Row, by: int, *, earlier: bool) -> None:
        if earlier:
            self._before[_flat(row, self._columns.before)] += by
        elif event.now.issuperset(self._columns.after):
            self._after[_flat(row, self._columns.after)] -= by
        elif by > 0:
            self._unplaced.append(row)


def _flat(row: Row, columns: tuple[int, ...]) -> Key:
    return tuple(row.get(number) for number in columns)
