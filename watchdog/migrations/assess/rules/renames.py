"""New names: instant for the database, and the end of every statement that says the old one."""

from collections.abc import Iterator
from typing import Any, Final

from watchdog.migrations.assess.scene import Scene
from watchdog.migrations.assess.sqltext import in_batches, quoted, said
from watchdog.migrations.assess.values import Category, Finding, Severity
from watchdog.migrations.parser import tree
from watchdog.migrations.sql import Table

_TABLES: Final = frozenset({tree.OBJECT_TABLE, tree.OBJECT_VIEW, tree.OBJECT_MATVIEW, tree.OBJECT_FOREIGN_TABLE})
_COLUMNS: Final = frozenset({tree.OBJECT_COLUMN, tree.OBJECT_ATTRIBUTE})


def rename(scene: Scene, node: Any) -> Iterator[Finding]:
    """ALTER … RENAME."""
    table = scene.table(node.relation)
    if node.rename_type in _COLUMNS:
        yield _column(scene, node, table)
    elif node.rename_type in _TABLES:
        yield _table(scene, node, table)
    elif node.rename_type == tree.OBJECT_INDEX:
        yield _index(scene, node, table)
    elif node.rename_type == tree.OBJECT_TABCONSTRAINT:
        message = f"constraint {quoted(node.subname)} of {said(table)} is now {quoted(node.newname)}"
        yield scene.change("rename-constraint", "RENAME", table, message, category=Category.RELATIONSHIP)
    else:
        message = f"an object gets the name {quoted(node.newname)}; old code that says the old name fails"
        yield scene.note("rename", Severity.MEDIUM, message)


def _column(scene: Scene, node: Any, table: Table) -> Finding:
    here, old, new = said(table), quoted(node.subname), quoted(node.newname)
    return scene.change(
        "rename-column",
        "RENAME",
        table,
        f"column {old} of {here} is now {new}: every statement of old code that names it fails with 42703, and "
        "logical replication subscribers stop until they have renamed it too",
        severity=Severity.INFO if scene.is_fresh(table) else Severity.HIGH,
        safe=""
        if scene.is_fresh(table)
        else f"ALTER TABLE {here} ADD COLUMN {new} <type of {old}>;\n"
        f"-- a trigger keeps both equal\n{in_batches(table, new, old)}\n"
        f"-- switch the code over; drop {old} in a later release",
    )


def _table(scene: Scene, node: Any, table: Table) -> Finding:
    here, new = said(table), (table[0], node.newname)
    found = scene.change(
        "rename-table",
        "RENAME",
        table,
        f"{here} is now {said(new)}: every statement of old code that names it fails with 42P01, and logical "
        "replication subscribers look for the new name",
        severity=Severity.INFO if scene.is_fresh(table) else Severity.HIGH,
        safe=""
        if scene.is_fresh(table)
        else f"ALTER TABLE {here} RENAME TO {quoted(node.newname)};\n"
        f"CREATE VIEW {here} AS TABLE {said(new)};  -- in the same transaction; old code reads and writes it",
    )
    scene.known.rename(table, new)
    return found


def _index(scene: Scene, node: Any, index: Table) -> Finding:
    mode = scene.lock("ALTER INDEX RENAME", index)
    message = f"index {said(index)} is now {quoted(node.newname)}; nobody waits"
    return scene.note("rename-index", Severity.INFO, message, category=Category.INDEX, locks=mode)


def move(scene: Scene, node: Any) -> Iterator[Finding]:
    """ALTER … SET SCHEMA."""
    if node.object_type not in _TABLES:
        message = f"an object moves to schema {quoted(node.newschema)}; old code that names the old one fails"
        yield scene.note("set-schema", Severity.MEDIUM, message)
        return
    table = scene.table(node.relation)
    new = (node.newschema, table[1])
    yield scene.change(
        "set-schema",
        "SET SCHEMA",
        table,
        f"{said(table)} is now {said(new)}: old code that finds it in the old schema fails with 42P01",
        severity=Severity.INFO if scene.is_fresh(table) else Severity.HIGH,
        safe=""
        if scene.is_fresh(table)
        else f"{scene.statement.text};\nCREATE VIEW {said(table)} AS TABLE {said(new)};",
    )
    scene.known.rename(table, new)


def rename_value(scene: Scene, node: Any) -> Finding:
    """ALTER TYPE … RENAME VALUE."""
    return scene.note(
        "rename-enum-value",
        Severity.HIGH,
        f"value {node.old_val!r} is now {node.new_val!r}: statements of old code that say the old one fail with 22P02",
        category=Category.DATA,
        safe=f"ALTER TYPE {quoted(*(each.string.sval for each in node.type_name))} ADD VALUE '{node.new_val}';\n"
        "-- switch the code over, then the rows in batches",
    )
