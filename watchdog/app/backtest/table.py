"""History from CSV: the header names the series, the first column is the time."""

import csv
import io
import math
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Final, NoReturn

from watchdog.app.backtest.buckets import Group, group
from watchdog.app.backtest.errors import InputError
from watchdog.app.backtest.moments import EXAMPLE, parse_moment
from watchdog.app.backtest.series import parse_series
from watchdog.config.problems import quoted
from watchdog.engine.windows import COUNTED
from watchdog.model.signals import Sample, SignalId, SignalKind
from watchdog.model.time import Time

MOST_BYTES: Final = 200_000_000
MOST_CELLS: Final = 20_000_000
MOST_COLUMNS: Final = 5_000
FALLS: Final = 0.2
"""A counter that falls in more of its steps than this is none: resets are rare."""

_NUMBER: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


class Counts(StrEnum):
    """What the cells of a counter hold."""

    AUTO = "auto"
    TOTAL = "total"
    INCREMENT = "increment"


@dataclass(frozen=True)
class Table:
    """A history in columns; a cell without a reading is not a number.

    Attributes:
        lines: The line of each row, for errors.
    """

    source: str
    times: Sequence[Time]
    columns: Sequence[Sequence[float]]
    groups: Sequence[Group]
    lines: Sequence[int]
    notes: tuple[str, ...] = ()

    @property
    def signals(self) -> AbstractSet[str]:
        """Names of the signals that it has."""
        return {one.signal.name for one in self.groups}

    def samples(self, index: int) -> Iterable[Sample]:
        """What was read at a moment.

        Raises:
            InputError: The cells are no reading.
        """
        row = [None if math.isnan(column[index]) else column[index] for column in self.columns]
        for one in self.groups:
            try:
                value = one.value(row)
            except ValueError as error:
                raise InputError(f"{self.source}:{self.lines[index]}: {error}") from error
            if value is not None:
                yield Sample(one.signal, self.times[index], value)


def read_table(
    path: Path,
    kinds: Mapping[str, SignalKind],
    *,
    counts: Counts = Counts.AUTO,
    ignore: AbstractSet[str] = frozenset(),
) -> Table:
    """Reads a CSV file.

    Args:
        kinds: The signals that columns may name.
        counts: Whether counters are running totals, as probes read them, or counts since the row before.
        ignore: Columns that are passed over.

    Raises:
        InputError: It cannot be read; names the line.
    """
    reading = _Reading(str(path), kinds, ignore)
    table = reading.table(_text(path))
    for index in range(len(table.times)):
        for _ in table.samples(index):  # each cell is looked at once, so that errors come before any result
            pass
    return _running(table, counts)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputError(
            f"{path}: the file cannot be read: {error.strerror}; name one that this user can read"
        ) from error
    if len(raw) > MOST_BYTES:
        raise InputError(f"{path}: larger than {MOST_BYTES // 1_000_000} MB; cut out the hours around T-0")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}:{line}: the file is not UTF-8; save it again as UTF-8") from error


@dataclass
class _Reading:
    source: str
    kinds: Mapping[str, SignalKind]
    ignore: AbstractSet[str]
    times: "array[int]" = field(default_factory=lambda: array("q"))
    lines: "array[int]" = field(default_factory=lambda: array("L"))

    def table(self, text: str) -> Table:
        numbered = self.numbered(text)
        line, header = next(numbered, (1, []))
        if not header:
            self.refuse(1, "the file is empty; its first line names time and series: time,requests,errors")
        header = _rejoined(header)
        used, groups = self.header(line, header)
        columns = [array("d") for _ in used]
        for line, row in numbered:
            self.row(line, row, header, used, columns)
        if not self.times:
            self.refuse(line, "there is a header and no row; add one row for each moment")
        return Table(self.source, self.times, columns, groups, self.lines)

    def numbered(self, text: str) -> Iterator[tuple[int, list[str]]]:
        """Rows that hold anything, with their lines."""
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        while True:
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                self.refuse(reader.line_num, f"this is not CSV: {error}; separate cells by commas")
            if any(cell.strip() for cell in row):
                yield reader.line_num, row

    def refuse(self, line: int, message: str) -> NoReturn:
        raise InputError(f"{self.source}:{line}: {message}")

    def header(self, line: int, header: list[str]) -> tuple[list[int], list[Group]]:
        """The positions of the columns that are used, and what they make."""
        if len(header) < 2:
            self.refuse(line, "there is one column; separate time and series by commas: time,requests,errors")
        if len(header) > MOST_COLUMNS:
            self.refuse(
                line, f"there are {len(header)} columns, more than {MOST_COLUMNS}; leave out what no rule reads"
            )
        if _NUMBER.fullmatch(header[0].strip()):
            self.refuse(line, "the first line holds numbers; put a header above it: time,requests,errors")
        if header[0].strip() in self.kinds:
            self.refuse(line, f"the first column is {quoted(header[0])}; put the time there")
        used = [index for index in range(1, len(header)) if header[index].strip() not in self.ignore]
        series: list[SignalId] = []
        for index in used:
            try:
                series.append(parse_series(header[index]))
            except ValueError as error:
                self.refuse(line, f"column {index + 1}, {quoted(header[index])}, {error}")
        groups, wrong = group(series, self.kinds)
        for position, said in sorted(wrong.items()):
            index = used[position]
            column = f"column {index + 1}, {quoted(header[index].strip())},"
            self.refuse(line, f"{column} {said}; or pass it over with --ignore")
        return used, list(groups.values())

    def row(self, line: int, row: list[str], header: list[str], used: list[int], columns: "list[array[float]]") -> None:
        if len(row) != len(header):
            self.refuse(line, f"there are {len(row)} cells under {len(header)} columns; leave a cell empty, not out")
        try:
            at = parse_moment(row[0].strip())
        except ValueError as error:
            self.refuse(line, f"{quoted(row[0])} {error}; write {EXAMPLE}")
        if self.times and at <= self.times[-1]:
            does = "stands still" if at == self.times[-1] else "goes back"
            self.refuse(line, f"time {does} (the row before is in line {self.lines[-1]}); sort the rows by time")
        self.times.append(at)
        self.lines.append(line)
        if len(self.times) * len(columns) > MOST_CELLS:
            self.refuse(line, f"there are more than {MOST_CELLS} cells; cut out the hours around T-0")
        for index, column in zip(used, columns, strict=True):
            column.append(self.number(line, header[index], row[index].strip()))

    def number(self, line: int, name: str, cell: str) -> float:
        if not cell:
            return math.nan
        value = float(cell) if _NUMBER.fullmatch(cell) else math.nan
        if not math.isfinite(value):
            why = f"{quoted(cell)} is no finite number; leave the cell empty where nothing was read"
            self.refuse(line, f"{quoted(name.strip())}: {why}")
        return value


def _rejoined(header: list[str]) -> list[str]:
    """Names with several labels hold commas, and nobody thinks of quotes around them."""
    names: list[str] = []
    for cell in header:
        if names and names[-1].count("{") > names[-1].count("}"):
            names[-1] += "," + cell
        else:
            names.append(cell)
    return names


def _running(table: Table, counts: Counts) -> Table:
    """Counters as running totals, which is how probes read them."""
    counted = [position for one in table.groups if one.kind in COUNTED for position in one.positions]
    notes: tuple[str, ...] = ()
    if counts is Counts.AUTO:
        falling = [position for position in counted if _falls(table.columns[position])]
        if not falling:
            return replace(table, notes=tuple(_flat(table)))
        name = _name(table, falling[0])
        said = f"{name} falls so often that counters are taken as counts since the row before (--counts increment)"
        notes = (f"{said}; if they are running totals, say --counts total",)
    elif counts is Counts.TOTAL:
        return table
    columns = list(table.columns)
    for position in counted:
        columns[position] = _summed(columns[position])
    return replace(table, columns=columns, notes=notes)


def _falls(column: Sequence[float]) -> bool:
    read = [value for value in column if not math.isnan(value)]
    falls = sum(after < before for before, after in pairwise(read))
    return falls >= 5 and falls > FALLS * len(read)


def _flat(table: Table) -> Iterator[str]:
    """Totals of which none ever rises are probably none; one alone may well be a counter of rare errors."""
    counted = [(one.signal, table.columns[one.positions[-1]]) for one in table.groups if one.kind in COUNTED]
    if len(table.times) < 2 or any(len(set(column)) > 1 for _, column in counted):
        return
    for signal, column in counted:
        if column[0] > 0:
            yield (
                f"{signal} is {column[0]:g} in every row, so nothing was counted; if it holds counts since the row "
                "before, say --counts increment"
            )


def _name(table: Table, position: int) -> SignalId:
    return next(one.signal for one in table.groups if position in one.positions)


def _summed(column: Sequence[float]) -> "array[float]":
    """A row without a reading adds nothing, and stays without."""
    totals = accumulate(0.0 if math.isnan(value) else value for value in column)
    return array("d", (math.nan if math.isnan(value) else total for value, total in zip(column, totals, strict=True)))
