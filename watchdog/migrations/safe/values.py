"""What a script in safe forms is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from watchdog.migrations.sql import Table


class Kind(StrEnum):
    """How a step runs."""

    BLOCK = "transaction"
    INDEX = "index, concurrently"
    DROP_INDEX = "drop index, concurrently"
    VALIDATE = "validate"
    BACKFILL = "backfill, in batches"


@dataclass(frozen=True)
class Backfill:
    """An UPDATE of many rows, in batches by primary key.

    Attributes:
        table: As the database knows it.
        key: The columns of its primary key.
        sets: The columns that it sets.
        first, following: The UPDATE up to a key, and after one key up to another; keys are parameters, as text.
        bound: The key at which a batch ends: the last of so many rows, and how many they are; for the first batch.
        bound_after: The same after a key.
    """

    table: Table
    key: tuple[str, ...]
    sets: tuple[str, ...]
    first: str
    following: str
    bound: str
    bound_after: str


@dataclass(frozen=True)
class Step:
    """A part of a script that commits by itself.

    Attributes:
        line: Where in the script it comes from, counted from 1.
        statements: What runs, in order; of a backfill, the UPDATE as it was written.
        index: The name of the index that is built or dropped, as SQL; empty for other kinds.
    """

    kind: Kind
    line: int
    statements: tuple[str, ...]
    index: str = ""
    backfill: Backfill | None = None


@dataclass(frozen=True)
class Kept:
    """A statement that stays as it is although a safe form exists, and why."""

    line: int
    reason: str


@dataclass(frozen=True)
class Forms:
    """A script in safe forms.

    Attributes:
        settings: SET statements of the script, for every session that runs a step.
        kept: Statements that stay as they are.
        changed: Whether anything is done otherwise than the script says.
    """

    steps: tuple[Step, ...]
    settings: tuple[str, ...]
    kept: tuple[Kept, ...]
    changed: bool


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        type: As PostgreSQL writes it.
        required: It is NOT NULL.
        proven: A valid check says that it is not null.
        default: As PostgreSQL writes it.
        known: Indexes, constraints, views, policies or other columns know it.
    """

    type: str
    required: bool = False
    proven: bool = False
    generated: bool = False
    default: str | None = None
    known: bool = False


@dataclass(frozen=True)
class Relation:
    """A table.

    Attributes:
        kind: PostgreSQL's letter: `r`, `p` for a partitioned one, `m` for a materialized view.
        key: The columns of its primary key.
        unique: Columns of its unique indexes and exclusions, and of what these are computed from.
        reacts: Triggers and rules that see an UPDATE, and tables that inherit from it, by name.
        names: Its constraints.
    """

    kind: str
    columns: Mapping[str, Column] = field(default_factory=dict)
    key: tuple[str, ...] = ()
    unique: frozenset[str] = frozenset()
    reacts: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Facts:
    """What a database says about the script's surroundings.

    Attributes:
        path: Where names without a schema are looked for.
        taken: Names of relations by schema.
        steady: Functions that give the same for the same row, whenever they are called.
    """

    path: tuple[str, ...] = ("public",)
    relations: Mapping[Table, Relation] = field(default_factory=dict)
    taken: frozenset[Table] = frozenset()
    steady: frozenset[str] = frozenset()
    operators: frozenset[str] = frozenset()

    def named(self, schema: str, name: str) -> Table | None:
        """The relation that a name means; None when there is none."""
        places = (schema,) if schema else self.path
        return next(((place, name) for place in places if (place, name) in self.relations), None)
