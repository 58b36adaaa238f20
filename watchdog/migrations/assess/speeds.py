"""How long work on a whole table takes: a stated model, to be overridden with a server's own numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Final

from watchdog.migrations.assess.locks import Work
from watchdog.ports.errors import WatchdogError

_BYTES_A_ROW: Final = 100


class SpeedError(WatchdogError):
    """A speed was given that does not exist, or is no positive number."""


@dataclass(frozen=True)
class Speeds:
    """Rows and bytes a second, one pair for each kind of work; the slower of the two answers counts.

    Rows: 2 million rows on PostgreSQL took 67 ms to scan for SET NOT NULL, 1.1 s to write out, 0.7 s to index, and
    10.9 s to update one by one. Bytes: 298 MB on two busy cores took 0.68 s to scan, 7.8 s to rewrite, 4.0 s to
    index, 23.9 s to update and 4.0 s to delete. docs/assess.md has the table.
    """

    scan_rows: float = 30e6
    scan_bytes: float = 438e6
    rewrite_rows: float = 1.8e6
    rewrite_bytes: float = 38e6
    index_rows: float = 2.9e6
    index_bytes: float = 75e6
    update_rows: float = 183e3
    update_bytes: float = 12.5e6
    delete_rows: float = 500e3
    delete_bytes: float = 75e6

    def seconds(self, work: Work, rows: float, size: float, indexes: int = 0) -> float:
        """How long it takes.

        Args:
            work: What is done with every row.
            rows: Estimated number; below zero when nothing is known about it.
            size: Bytes of the table without its indexes.
            indexes: How many indexes a rewrite builds again.
        """
        if work is Work.NONE:
            return 0.0
        count = rows if rows >= 0 else size / _BYTES_A_ROW
        match work:
            case Work.SCAN:
                return max(count / self.scan_rows, size / self.scan_bytes)
            case Work.INDEX:
                return max(count / self.index_rows, size / self.index_bytes)
            case Work.REWRITE:
                again = indexes * self.seconds(Work.INDEX, count, size)
                return max(count / self.rewrite_rows, size / self.rewrite_bytes) + again
            case Work.UPDATE:
                return max(count / self.update_rows, size / self.update_bytes)
            case Work.DELETE:
                return max(count / self.delete_rows, size / self.delete_bytes)

    def with_given(self, given: Mapping[str, float]) -> "Speeds":
        """Other numbers for some of it.

        Raises:
            SpeedError: There is no such speed, or it is not above zero.
        """
        names = [field.name for field in fields(self)]
        for name, value in given.items():
            if name not in names:
                raise SpeedError(f"There is no speed {name!r}; write one of {', '.join(names)}.")
            if not value > 0 or value == float("inf"):
                raise SpeedError(f"The speed {name} is {value}; write rows or bytes a second, above zero.")
        return replace(self, **given)
