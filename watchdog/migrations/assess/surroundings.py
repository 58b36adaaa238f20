"""What else in the database a statement disturbs: views, foreign keys, publications, replication slots, partitions."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from watchdog.migrations.assess.facts import Relation
from watchdog.migrations.assess.locks import Work
from watchdog.migrations.assess.scene import Scene
from watchdog.migrations.assess.sqltext import quoted, said
from watchdog.migrations.assess.step import Step
from watchdog.migrations.assess.values import Category, Finding, Severity
from watchdog.migrations.parser import postgast, tree
from watchdog.migrations.sql import Table

_PUBLISHED: Final[Mapping[str, tuple[Severity, str]]] = {
    "rename-table": (Severity.HIGH, "its subscribers look for the new name and stop"),
    "set-schema": (Severity.HIGH, "its subscribers look for the new name and stop"),
    "rename-column": (Severity.HIGH, "its subscribers miss the new name and stop"),
    "drop-table": (Severity.HIGH, "its subscribers get nothing any more"),
    "drop-column": (Severity.MEDIUM, "its subscribers get NULL, or stop where they demand a value"),
    "change-type": (Severity.MEDIUM, "its subscribers must take the new type first, or they stop"),
    "add-column": (Severity.MEDIUM, "its subscribers must have the column first, or they stop"),
    "add-column-rewrite": (Severity.MEDIUM, "its subscribers must have the column first, or they stop"),
    "truncate": (Severity.HIGH, "its subscribers are emptied too"),
    "drop-constraint": (
        Severity.MEDIUM,
        "if it is the replica identity, every UPDATE and DELETE fails with 55000 from now on",
    ),
}
_LOGGED: Final = frozenset({Work.REWRITE, Work.UPDATE, Work.DELETE})
_MEGABYTE: Final = 1_000_000


def around(step: Step) -> Iterator[Finding]:
    """Findings about what is beside the table that a statement names."""
    scene = step.scene
    done: set[tuple[str, Table]] = set()
    for each in step.findings:
        relation = scene.relation(each.table) if each.table else None
        if each.table is None or relation is None or (each.rule, each.table) in done:
            continue
        done.add((each.rule, each.table))
        yield from _published(scene, each, each.table, relation)
        yield from _held_back(scene, each, each.table, relation)
        if each.rule == "drop-table":
            yield from _still_used(scene, each.table, relation)
    yield from _missing(scene)
    yield from _partitions(step)
    yield from _views_of_columns(scene)


def _published(scene: Scene, finding: Finding, table: Table, relation: Relation) -> Iterator[Finding]:
    if finding.rule in _PUBLISHED and relation.publications:
        severity, what = _PUBLISHED[finding.rule]
        message = f"{said(table)} is in publication {', '.join(quoted(each) for each in relation.publications)}: {what}"
        yield scene.note("published", severity, message, category=Category.RELATIONSHIP, table=table)


def _held_back(scene: Scene, finding: Finding, table: Table, relation: Relation) -> Iterator[Finding]:
    if finding.work in _LOGGED and scene.facts.slots and relation.size > 0:
        held = sorted(scene.facts.slots.items())
        slots = ", ".join(f"{quoted(name)} ({size / _MEGABYTE:.0f} MB)" for name, size in held)
        message = (
            f"up to {relation.size / _MEGABYTE:.0f} MB of {said(table)} goes through the log, which logical "
            f"replication slots hold back until they have read it: {slots}"
        )
        yield scene.note("slots", Severity.LOW, message, category=Category.RELATIONSHIP, table=table)


def _still_used(scene: Scene, table: Table, relation: Relation) -> Iterator[Finding]:
    node = scene.statement.node
    if node.behavior == tree.DROP_CASCADE:
        return
    dropped = {scene.real(scene.named(tuple(_names(each)))) for each in node.objects}
    sources = {each.source for each in scene.facts.foreign_keys if each.to == scene.real(table)} - dropped
    users = [*sorted(relation.views), *sorted(said(each) for each in sources)]
    if users:
        message = f"it fails with 2BP01: {said(table)} is still used by {', '.join(users)}"
        yield scene.note("still-used", Severity.HIGH, message, category=Category.RELATIONSHIP, table=table)


def _names(node: Any) -> list[str]:
    return [each.string.sval for each in postgast.unwrap_node(node).items]


def _missing(scene: Scene) -> Iterator[Finding]:
    node = scene.statement.node
    if not scene.facts.known or not isinstance(node, tree.AlterTableStmt | tree.IndexStmt):
        return
    if isinstance(node, tree.AlterTableStmt) and (node.missing_ok or not _alters_a_table(node)):
        return
    table = scene.table(node.relation)
    if not scene.is_fresh(table) and scene.relation(table) is None:
        message = f"it fails with 42P01: there is no table {said(table)} in this database"
        yield scene.note("missing-table", Severity.HIGH, message, table=table)


def _alters_a_table(node: Any) -> bool:
    """Whether it can be about nothing but a table: views and sequences have owners too."""
    commands = [each.alter_table_cmd.subtype for each in node.cmds]
    return node.objtype == tree.OBJECT_TABLE and commands != [tree.AT_ChangeOwner]


def _partitions(step: Step) -> Iterator[Finding]:
    for table in dict.fromkeys(each.table for each in step.findings if each.table):
        relation = step.scene.relation(table)
        if relation and relation.partitions and any(lock.mode.blocks_writes for lock in step.waits):
            count = len(relation.partitions)
            message = f"{said(table)} has {count} tables below it; all stay locked until the transaction ends"
            yield step.scene.note("partitions", Severity.LOW, message, table=table)


def _views_of_columns(scene: Scene) -> Iterator[Finding]:
    node = scene.statement.node
    if not isinstance(node, tree.AlterTableStmt):
        return
    table = scene.table(node.relation)
    relation = scene.relation(table)
    codes = {tree.AT_DropColumn: "2BP01", tree.AT_AlterColumnType: "0A000"}
    for each in node.cmds:
        command = each.alter_table_cmd
        users = [name for name, columns in relation.views.items() if command.name in columns] if relation else []
        if command.subtype in codes and users and command.behavior != tree.DROP_CASCADE:
            code, readers = codes[command.subtype], ", ".join(sorted(users))
            message = f"it fails with {code}: {quoted(command.name)} is read by {readers}"
            yield scene.note(
                "still-used",
                Severity.HIGH,
                message,
                category=Category.RELATIONSHIP,
                table=table,
                safe="-- drop the view, change the column, make the view again, in one transaction",
            )
