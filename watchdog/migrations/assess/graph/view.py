"""What a rule looks at: one statement with its plan, the graph, and what earlier statements have made."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from watchdog.migrations.assess.graph.effects import Effect, Kind, effects_of
from watchdog.migrations.assess.graph.facts import GraphFacts, Index
from watchdog.migrations.assess.graph.plan import Operator, read_plan
from watchdog.migrations.assess.locks import Work
from watchdog.migrations.assess.values import Category, Finding, Severity
from watchdog.migrations.graph.script import Look
from watchdog.migrations.graph.views import quote

# Elements a second, measured on Neo4j 5.26 with a heap of 512 MB on two busy cores.
READS: Final = 800_000
WRITES: Final = 40_000
INDEXED: Final = 90_000
# What a written element takes of the transaction's memory, its commit included.
BYTES: Final = 2_000
# As for SQL: until here nobody feels it; from there on requests time out; and there is an outage.
_FELT, _LONG, _OUTAGE = 0.1, 1.0, 60.0
_EXISTING: Final = frozenset(Kind) - {Kind.CREATE, Kind.MERGE}


@dataclass
class Known:
    """What earlier statements of the script have done.

    Attributes:
        indexes: Indexes, and those of constraints, that they made.
        dropped: Names of those that they dropped.
        written: How much they wrote since the last change of the schema, which ends a transaction.
        changed: Whether they wrote anything at all.
    """

    indexes: list[Index] = field(default_factory=list)
    dropped: set[str] = field(default_factory=set)
    written: float = 0.0
    changed: bool = False


@dataclass(frozen=True)
class View:
    """One statement and what is known around it."""

    look: Look
    facts: GraphFacts
    known: Known

    @cached_property
    def plan(self) -> Operator | None:
        """Its operators; None when the server gave none."""
        return read_plan(self.look.plan) if self.look.plan else None

    @cached_property
    def operators(self) -> tuple[Operator, ...]:
        """All of them, from the top."""
        return tuple(self.plan.walk()) if self.plan else ()

    @cached_property
    def effects(self) -> tuple[Effect, ...]:
        """What it writes."""
        return tuple(effects_of(self.plan)) if self.plan else ()

    @property
    def indexes(self) -> Iterable[Index]:
        """Those that are there when it runs."""
        return [each for each in (*self.facts.indexes, *self.known.indexes) if each.name not in self.known.dropped]

    def total(self, effect: Effect) -> int:
        """How many elements there are that carry its labels or type."""
        return self.facts.count(effect.names, relationship=effect.relationship)

    def rows(self, effect: Effect) -> float:
        """How many elements it touches: counted where labels alone choose them, else estimated by the server."""
        if effect.kind not in _EXISTING or effect.fresh:
            return effect.rows
        total = self.total(effect)
        return total if effect.whole else min(effect.rows, total)

    def is_empty(self, effect: Effect) -> bool:
        """Whether there is nothing to lose."""
        return effect.fresh or self.total(effect) == 0

    def note(self, rule: str, category: Category, severity: Severity, message: str, **more: Any) -> Finding:
        """A finding about the statement."""
        statement = self.look.statement
        return Finding(
            rule=rule,
            line=statement.line,
            statement=statement.text,
            category=category,
            severity=severity,
            message=message,
            **more,
        )

    def work(self, rule: str, category: Category, work: Work, rows: float, message: str, **more: Any) -> Finding:
        """A finding about work on many elements; how bad it is comes from how long that takes, unless it is given."""
        took = seconds(work, rows)
        severity = more.pop("severity", None) or graded(took)
        return self.note(rule, category, severity, message, work=work, seconds=took, **more)


def seconds(work: Work, rows: float) -> float:
    """How long work on that many nodes or relationships takes."""
    speed = {Work.NONE: float("inf"), Work.SCAN: READS, Work.INDEX: INDEXED}.get(work, WRITES)
    return rows / speed


def graded(took: float) -> Severity:
    """How bad it is that written elements stay locked, or a server is busy, for so many seconds."""
    if took < _FELT:
        return Severity.LOW
    if took < _LONG:
        return Severity.MEDIUM
    return Severity.HIGH if took < _OUTAGE else Severity.CRITICAL


def worse(*each: Severity) -> Severity:
    """The highest of them."""
    return max(each, key=lambda severity: severity.rank)


def said(names: Iterable[str], *, relationship: bool = False) -> str:
    """`nodes :A or :B`, `relationships :T`."""
    listed = " or ".join(f":{name}" for name in names)
    return f"{'relationships' if relationship else 'nodes'}{f' {listed}' if listed else ''}"


def amount(view: View, effect: Effect) -> str:
    """`all 1,000 nodes :A`, or `about 50 of 1,000 nodes :A`."""
    what, total = said(effect.names, relationship=effect.relationship), view.total(effect)
    if total == 0:
        return f"{what} (there is none now)"
    if effect.whole:
        return f"all {total:,} {what}"
    return f"about {max(1, round(view.rows(effect))):,} of {total:,} {what}"


def pattern(names: Iterable[str], variable: str, *, relationship: bool = False) -> str:
    """As Cypher: `(n:A|B)`, `()-[r:T]->()`."""
    listed = "|".join(map(quote_if_needed, names))
    inner = f"{variable}{f':{listed}' if listed else ''}"
    return f"()-[{inner}]->()" if relationship else f"({inner})"


def quote_if_needed(name: str) -> str:
    """A name as Cypher, quoted only where it must be."""
    return name if name.isidentifier() else quote(name)
