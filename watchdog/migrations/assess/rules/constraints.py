"""ALTER TABLE … CONSTRAINT."""

from collections.abc import Iterator
from typing import Any, Final

from watchdog.migrations.assess.locks import KINDS, LockMode, Work
from watchdog.migrations.assess.scene import Scene
from watchdog.migrations.assess.sqltext import copy, definition, not_null_columns, quoted, said, strings, with_command
from watchdog.migrations.assess.values import Category, Finding, Lock, Severity
from watchdog.migrations.parser import tree
from watchdog.migrations.sql import Table

_KEYS: Final = frozenset({tree.CONSTR_UNIQUE, tree.CONSTR_PRIMARY})


def add_constraint(scene: Scene, table: Table, command: Any) -> Iterator[Finding]:
    """A rule that every row must meet: the question is who waits while the rows are looked at."""
    constraint = definition(command)
    match constraint.contype:
        case tree.CONSTR_CHECK | tree.CONSTR_NOTNULL:
            yield from _check(scene, table, command, constraint)
        case tree.CONSTR_FOREIGN:
            yield from _foreign_key(scene, table, command, constraint)
        case kind if kind in _KEYS:
            yield from _key(scene, table, constraint)
        case tree.CONSTR_EXCLUSION:
            message = f"the index of an exclusion constraint on {said(table)} is built while nobody may read or write"
            yield scene.change("add-exclusion", "ADD EXCLUDE", table, message, category=Category.INDEX)
        case _:
            yield scene.change("alter-table", "ALTER TABLE", table, f"a constraint of {said(table)} changes")


def _name(table: Table, constraint: Any, suffix: str) -> str:
    return str(constraint.conname or f"{table[1]}_{suffix}")


def _check(scene: Scene, table: Table, command: Any, constraint: Any) -> Iterator[Finding]:
    not_null = constraint.contype == tree.CONSTR_NOTNULL
    kind = "ADD NOT NULL" if not_null else "ADD CHECK"
    columns = strings(constraint.keys) if not_null else not_null_columns(constraint.raw_expr)
    name, here = _name(table, constraint, "not_null" if not_null else "check"), said(table)
    if not constraint.skip_validation:
        scene.known.proven.update((table, each) for each in columns)
        yield scene.change(
            "add-check",
            kind,
            table,
            f"every row of {here} is read to validate constraint {quoted(name)}, under the lock",
            category=Category.DATA,
            safe=_not_valid(scene, table, command, constraint, name),
        )
    else:
        scene.known.unvalidated[table, name] = columns
        message = f"constraint {quoted(name)} of {here} is for new rows only until it is validated"
        yield scene.change("add-check-not-valid", f"{kind} NOT VALID", table, message, category=Category.DATA)
    if not scene.is_fresh(table):
        yield scene.note(
            "constraint-breaks-writes",
            Severity.LOW,
            f"writes of old code that break {quoted(name)} fail with {'23502' if not_null else '23514'}",
            category=Category.DATA,
            table=table,
        )


def _not_valid(scene: Scene, table: Table, command: Any, constraint: Any, name: str) -> str:
    later = copy(command)
    changed = definition(later)
    changed.conname = constraint.conname or name
    changed.skip_validation = True
    changed.initially_valid = False
    return (
        f"{with_command(scene.statement.node, later)}\n"
        f"ALTER TABLE {said(table)} VALIDATE CONSTRAINT {quoted(name)};  -- in a transaction of its own"
    )


def _foreign_key(scene: Scene, table: Table, command: Any, constraint: Any) -> Iterator[Finding]:
    to, here = scene.table(constraint.pktable), said(table)
    columns = "_".join(strings(constraint.fk_attrs))
    name = _name(table, constraint, f"{columns}_fkey")
    mode = KINDS["ADD FOREIGN KEY"].mode
    others = [Lock(".".join(to), mode)] if to != table else []
    if constraint.skip_validation:
        yield scene.change(
            "add-foreign-key-not-valid",
            "ADD FOREIGN KEY NOT VALID",
            table,
            f"{quoted(name)} is for new rows only until it is validated; writes to {here} and {said(to)} wait a moment",
            category=Category.RELATIONSHIP,
            others=others,
        )
    else:
        waits = f"writes to {here}" if scene.is_fresh(table) else f"writes to {here} and {said(to)}"
        yield scene.change(
            "add-foreign-key",
            "ADD FOREIGN KEY",
            table,
            f"every row of {here} is looked up in {said(to)}; {waits} wait that long",
            category=Category.RELATIONSHIP,
            others=others,
            safe="" if scene.is_fresh(table) else _not_valid(scene, table, command, constraint, name),
        )
    relation = scene.relation(table)
    if relation and relation.partitioned and constraint.skip_validation and 0 < scene.facts.version < 18:
        message = (
            f"{here} is partitioned: PostgreSQL {scene.facts.version} refuses NOT VALID foreign keys there (42809)"
        )
        yield scene.note("partitioned", Severity.HIGH, message, category=Category.RELATIONSHIP, table=table)
    if constraint.fk_del_action == "c":
        message = f"deleting a row of {said(to)} deletes its rows of {here} from now on, without asking"
        yield scene.note("cascade-delete", Severity.LOW, message, category=Category.RELATIONSHIP, table=table)


def _key(scene: Scene, table: Table, constraint: Any) -> Iterator[Finding]:
    here, primary = said(table), constraint.contype == tree.CONSTR_PRIMARY
    word = "PRIMARY KEY" if primary else "UNIQUE"
    columns = strings(constraint.keys)
    if constraint.indexname:
        nullable = [each for each in columns if not _not_null(scene, table, each)]
        work = Work.SCAN if primary and nullable else Work.NONE
        message = f"index {quoted(constraint.indexname)} of {here} becomes its {word}; it is not built again"
        yield scene.change(
            "add-unique-using-index", "ADD UNIQUE USING INDEX", table, message, category=Category.INDEX, work=work
        )
        return
    suffix = "pkey" if primary else f"{'_'.join(columns)}_key"
    name = quoted(_name(table, constraint, suffix))
    listed = ", ".join(quoted(each) for each in columns)
    yield scene.change(
        "add-primary-key" if primary else "add-unique",
        "ADD UNIQUE",
        table,
        f"the unique index of {name} on {here} is built while nobody may read or write; duplicates fail with 23505",
        category=Category.INDEX,
        safe=""
        if scene.is_fresh(table)
        else f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON {here} ({listed});  -- outside a transaction\n"
        f"ALTER TABLE {here} ADD CONSTRAINT {name} {word} USING INDEX {name};",
    )


def _not_null(scene: Scene, table: Table, name: str) -> bool:
    column = scene.column(table, name)
    return (table, name) in scene.known.proven or (column is not None and column.not_null)


def validate(scene: Scene, table: Table, command: Any) -> Iterator[Finding]:
    """Reads every row, and lets everybody work on."""
    real, relation = scene.real(table), scene.relation(table)
    there = relation.unvalidated.get(command.name, ()) if relation else ()
    said_here = scene.known.unvalidated.get((table, command.name), there)
    scene.known.proven.update((table, each) for each in said_here)
    to = {each.to for each in scene.facts.foreign_keys if (each.source, each.name) == (real, command.name)}
    yield scene.change(
        "validate-constraint",
        "VALIDATE CONSTRAINT",
        table,
        f"every row of {said(table)} is read to validate {quoted(command.name)}; reads and writes go on",
        category=Category.RELATIONSHIP if to else Category.DATA,
    )


def drop_constraint(scene: Scene, table: Table, command: Any) -> Iterator[Finding]:
    """Gone in an instant; getting it back means to look at every row."""
    real, name = scene.real(table), quoted(command.name)
    to = {each.to for each in scene.facts.foreign_keys if (each.source, each.name) == (real, command.name)}
    maybe = "" if scene.facts.known else "; if it is a foreign key, reads and writes of the other table wait too"
    yield scene.change(
        "drop-constraint",
        "DROP CONSTRAINT",
        table,
        f"{name} of {said(table)} no longer holds: rows may come that break it, and then it cannot come back{maybe}",
        category=Category.RELATIONSHIP,
        severity=None if scene.is_fresh(table) else Severity.MEDIUM,
        others=[Lock(".".join(each), LockMode.ACCESS_EXCLUSIVE) for each in sorted(to - {real})],
    )


def alter_constraint(scene: Scene, table: Table, _command: Any) -> Iterator[Finding]:
    """When a constraint is checked."""
    message = f"when a constraint of {said(table)} is checked changes"
    yield scene.change("alter-constraint", "ALTER CONSTRAINT", table, message, category=Category.RELATIONSHIP)
