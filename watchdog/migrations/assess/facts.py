"""What a database says about the tables that a script touches."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from watchdog.migrations.sql import Table


@dataclass(frozen=True)
class Column:
    """A column as it is.

    Attributes:
        type: As PostgreSQL writes it, with its modifiers: `character varying(20)`.
        proven: A valid CHECK says that it is not null, so SET NOT NULL need not look.
    """

    type: str
    not_null: bool = False
    has_default: bool = False
    proven: bool = False


@dataclass(frozen=True)
class ForeignKey:
    """A constraint from one table to another; `columns` are those of the first."""

    name: str
    source: Table
    to: Table
    columns: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Relation:
    """A table, or a materialized view.

    Attributes:
        rows: Estimated; below zero when it was never analyzed.
        size: Bytes without indexes, all partitions together.
        partitions: Tables below it, at any depth, whether partitions or children.
        attached: Names of its triggers, policies and rules.
        parent: The table that it is a partition of.
        default: Its default partition.
        beside: The default partition of its parent.
        publications: Names of those that publish it.
        views: Views that read it, each with the columns that it reads.
        unvalidated: NOT VALID checks, each with the columns that it says are not null.
    """

    rows: float
    size: int
    indexes: int = 0
    partitioned: bool = False
    partitions: tuple[Table, ...] = ()
    columns: Mapping[str, Column] = field(default_factory=dict)
    publications: tuple[str, ...] = ()
    views: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unvalidated: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    attached: frozenset[str] = frozenset()
    parent: Table | None = None
    default: Table | None = None
    beside: Table | None = None


@dataclass(frozen=True)
class Facts:
    """A database; empty when none was asked.

    Attributes:
        known: Whether a database was asked.
        schema: Where an unqualified name is made.
        path: Where an unqualified name is looked for.
        version: The server's major version; 0 when not known.
        utc: Whether sessions run in UTC, where timestamp and timestamptz are the same bytes.
        indexes: The table of each index.
        slots: Logical replication slots, each with the bytes of WAL that it holds back.
        volatile: Names of functions that are VOLATILE.
    """

    known: bool = False
    schema: str = "public"
    path: tuple[str, ...] = ()
    version: int = 0
    utc: bool = False
    relations: Mapping[Table, Relation] = field(default_factory=dict)
    indexes: Mapping[Table, Table] = field(default_factory=dict)
    foreign_keys: tuple[ForeignKey, ...] = ()
    slots: Mapping[str, int] = field(default_factory=dict)
    volatile: frozenset[str] = frozenset()
