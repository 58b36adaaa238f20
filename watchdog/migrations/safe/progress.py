"""How far a run in steps is."""

from collections.abc import Callable
from dataclasses import dataclass

from watchdog.migrations.safe.values import Kind


@dataclass(frozen=True)
class Progress:
    """One moment of a run.

    Attributes:
        number, of: Which step of how many.
        line: Where in the script it comes from.
        rows: Walked along so far, of a backfill.
        expected: Rows of its table, as estimated.
        note: What there is to say beside that.
    """

    number: int
    of: int
    line: int
    kind: Kind
    rows: int = 0
    expected: int = 0
    note: str = ""

    @property
    def text(self) -> str:
        """As a line for people."""
        what = f"step {self.number} of {self.of}, line {self.line}: {self.kind.value}"
        if self.rows or self.expected:
            what += f": {self.rows:,} of about {max(self.expected, self.rows):,} rows"
        return f"{what}; {self.note}" if self.note else what


Tell = Callable[[Progress], None]
"""Hears how far a run is."""
