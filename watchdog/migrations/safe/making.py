"""Steps in the making. Pure."""

from dataclasses import dataclass, field
from typing import Any, Final

from watchdog.migrations.assess.sqltext import quoted
from watchdog.migrations.safe.values import Backfill, Facts, Forms, Kept, Kind, Relation, Step
from watchdog.migrations.sql import Table

_LONGEST: Final = 63


@dataclass
class Making:
    """The steps so far, and what the script has made.

    Attributes:
        fresh: Names of tables that the script made.
        filled: UPDATEs in batches so far: their nodes with their tables.
        given: Names that the script gave to relations and constraints.
    """

    facts: Facts
    steps: list[Step] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)
    fresh: set[str] = field(default_factory=set)
    filled: list[tuple[Any, Table]] = field(default_factory=list)
    given: set[str] = field(default_factory=set)
    changed: bool = False
    _open: list[str] = field(default_factory=list)
    _line: int = 0

    def run(self, line: int, *statements: str) -> None:
        """Adds to the transaction that is open."""
        self._line = self._line if self._open else line
        self._open += statements

    def close(self) -> None:
        """Ends the transaction."""
        if self._open:
            self.steps.append(Step(Kind.BLOCK, self._line, tuple(self._open)))
            self._open = []

    def alone(
        self, kind: Kind, line: int, statement: str, *, index: str = "", backfill: Backfill | None = None
    ) -> None:
        """Adds a step that commits by itself."""
        self.close()
        self.steps.append(Step(kind, line, (statement.rstrip(";"),), index, backfill))
        self.changed = True

    def keep(self, line: int, reason: str) -> None:
        """A statement stays as it is."""
        self.kept.append(Kept(line, reason))

    def done(self) -> Forms:
        """All steps."""
        self.close()
        return Forms(tuple(self.steps), tuple(self.settings), tuple(self.kept), self.changed)

    def is_fresh(self, node: Any) -> bool:
        """Whether a RangeVar names a table of the script itself, that nobody else uses yet."""
        return node.relname in self.fresh and self.facts.named(node.schemaname, node.relname) is None

    def relation(self, node: Any) -> tuple[Table, Relation] | None:
        """The table that a RangeVar names and that was there before the script; None when there is none."""
        if node.relname in self.fresh:
            return None
        table = self.facts.named(node.schemaname, node.relname)
        return (table, self.facts.relations[table]) if table else None

    def name(self, table: Table, *parts: str) -> str:
        """The name that PostgreSQL itself gives; empty when that is not certain."""
        name = "_".join((table[1], *parts))
        taken = (table[0], name) in self.facts.taken or name in self.facts.relations[table].names or name in self.given
        return "" if taken or len(name.encode()) > _LONGEST else name


def as_written(relation: Any) -> str:
    """A table's name as the script says it."""
    return quoted(*(part for part in (relation.schemaname, relation.relname) if part))
