"""What a rule looks at: one statement, what is known around it, and how findings are made from it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from watchdog.migrations.assess.facts import Column, Facts, Relation
from watchdog.migrations.assess.locks import KINDS, LockMode, Work
from watchdog.migrations.assess.script import Statement
from watchdog.migrations.assess.speeds import Speeds
from watchdog.migrations.assess.values import Category, Finding, Lock, Severity, Undo
from watchdog.migrations.parser import tree
from watchdog.migrations.sql import Table

# Until here nobody feels it; from there on requests time out; and there is an outage.
_FELT, _LONG, _OUTAGE = 0.1, 1.0, 60.0
# These leave partitions and children alone.
_ALONE: Final = frozenset(
    {
        "RENAME",
        "SET SCHEMA",
        "OWNER TO",
        "SET (storage parameter)",
        "SET TABLESPACE",
        "SET LOGGED or UNLOGGED",
        "REPLICA IDENTITY",
        "ROW LEVEL SECURITY",
        "INHERIT",
        "COMMENT",
        "CREATE RULE",
        "CREATE POLICY",
        "CREATE STATISTICS",
        "ATTACH PARTITION",
        "DETACH PARTITION",
        "DETACH PARTITION CONCURRENTLY",
        "PARTITION OF",
        "INHERITS",
        "REFERENCES",
        "CREATE INDEX CONCURRENTLY",
        "CREATE INDEX ON ONLY",
    }
)


@dataclass
class Known:
    """What earlier statements of the script have made.

    Attributes:
        fresh: Tables that nobody else can use yet.
        aliases: New names of tables, with the ones that the database knows.
        indexes: Indexes made here, with their tables.
        proven: Columns that a valid CHECK of this script says are not null.
        path: The search path that it has set; empty when it has not.
        unvalidated: NOT VALID checks of this script, with the columns that they say are not null.
    """

    fresh: set[Table] = field(default_factory=set)
    aliases: dict[Table, Table] = field(default_factory=dict)
    indexes: dict[Table, Table] = field(default_factory=dict)
    proven: set[tuple[Table, str]] = field(default_factory=set)
    unvalidated: dict[tuple[Table, str], tuple[str, ...]] = field(default_factory=dict)
    path: tuple[str, ...] = ()

    def rename(self, old: Table, new: Table) -> None:
        """A table goes on under another name."""
        if old in self.fresh:
            self.fresh.remove(old)
            self.fresh.add(new)
        else:
            self.aliases[new] = self.aliases.pop(old, old)


@dataclass(frozen=True)
class Scene:
    """One statement and what is known about its surroundings."""

    statement: Statement
    facts: Facts
    speeds: Speeds
    known: Known

    def table(self, relation: Any) -> Table:
        """The table that a RangeVar names."""
        return relation.schemaname or self._schema_of(relation.relname), relation.relname

    def named(self, parts: tuple[str, ...]) -> Table:
        """The table that a list of names means."""
        return (parts[-2] if len(parts) > 1 else self._schema_of(parts[-1])), parts[-1]

    def _schema_of(self, name: str) -> str:
        """Where on the search path a name is found; where it would be made when it is not."""
        path = self.known.path or self.facts.path or (self.facts.schema,)
        there = (self.known.fresh, self.known.aliases, self.facts.relations, self.facts.indexes)
        return next((each for each in path if any((each, name) in names for names in there)), path[0])

    def is_fresh(self, table: Table) -> bool:
        """Whether the script itself has made it."""
        return table in self.known.fresh

    def real(self, table: Table) -> Table:
        """The name that the database has for it."""
        return self.known.aliases.get(table, table)

    def relation(self, table: Table) -> Relation | None:
        """What the database says about it; None when nothing is known."""
        return None if self.is_fresh(table) else self.facts.relations.get(self.real(table))

    def column(self, table: Table, name: str) -> Column | None:
        """What the database says about a column."""
        relation = self.relation(table)
        return relation.columns.get(name) if relation else None

    def is_empty(self, table: Table) -> bool:
        """Whether there is nothing to lose: the script made it, or the database says that it holds no row."""
        relation = self.relation(table)
        return self.is_fresh(table) or (relation is not None and relation.size == 0)

    def default_lock(self, table: Table) -> tuple[Lock, ...]:
        """The lock on a default partition, which is read or must not change when partitions come and go."""
        relation = self.relation(table)
        default = relation.default if relation else None
        return (Lock(".".join(default), LockMode.ACCESS_EXCLUSIVE),) if default else ()

    def seconds(self, work: Work, table: Table) -> float | None:
        """How long work on a table is estimated to take; None when its size is not known."""
        if work is Work.NONE or self.is_fresh(table):
            return 0.0
        relation = self.relation(table)
        return self.speeds.seconds(work, relation.rows, relation.size, relation.indexes) if relation else None

    def severity(self, mode: LockMode, work: Work, table: Table) -> Severity:
        """How bad it is to hold this lock for that long."""
        if self.is_fresh(table) or not mode.blocks_writes:
            return Severity.INFO
        seconds = self.seconds(work, table)
        if seconds is None:
            return Severity.HIGH
        if seconds < _FELT:
            return Severity.LOW
        if seconds < _LONG:
            return Severity.MEDIUM
        return Severity.HIGH if seconds < _OUTAGE else Severity.CRITICAL

    def lock(self, kind: str, table: Table, *others: Lock) -> tuple[Lock, ...]:
        """The locks of a kind of statement on a table, and on every partition of it."""
        mode = KINDS[kind].mode
        relation = self.relation(table)
        node = self.statement.node
        only = isinstance(node, tree.AlterTableStmt) and not node.relation.inh
        below = relation.partitions if relation and kind not in _ALONE and not only else ()
        return (*(Lock(".".join(each), mode) for each in (table, *below)), *others)

    def change(  # noqa: PLR0913  # every argument is one field of the finding
        self,
        rule: str,
        kind: str,
        table: Table,
        message: str,
        *,
        category: Category = Category.SCHEMA,
        work: Work | None = None,
        others: Iterable[Lock] = (),
        severity: Severity | None = None,
        **more: Any,
    ) -> Finding:
        """A finding about a table that is locked; its severity, unless given, comes from lock, work and size."""
        done = KINDS[kind].work if work is None else work
        return Finding(
            rule=rule,
            line=self.statement.line,
            statement=self.statement.text,
            category=category,
            severity=severity or self.severity(KINDS[kind].mode, done, table),
            message=message,
            table=table,
            locks=self.lock(kind, table, *others),
            work=done,
            seconds=self.seconds(done, table),
            **more,
        )

    def note(
        self,
        rule: str,
        severity: Severity,
        message: str,
        *,
        category: Category = Category.SCHEMA,
        table: Table | None = None,
        **more: Any,
    ) -> Finding:
        """A finding that has no lock of its own; it is given those of its statement."""
        return Finding(
            rule=rule,
            line=self.statement.line,
            statement=self.statement.text,
            category=category,
            severity=severity,
            message=message,
            table=table,
            **more,
        )

    def loss(self, table: Table, what: str) -> dict[str, Any]:
        """The fields of a finding about something destroyed; nothing is when there was nothing."""
        if self.is_empty(table):
            return {"undo": Undo.EXACTLY}
        return {"destroys": what, "undo": Undo.ARCHIVE}
