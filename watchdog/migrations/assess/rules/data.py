"""Rows: INSERT, UPDATE, DELETE, MERGE, COPY."""

from collections.abc import Iterator
from typing import Any

from watchdog.migrations.assess.locks import Work
from watchdog.migrations.assess.scene import Scene
from watchdog.migrations.assess.sqltext import deleted_in_batches, in_batches, quoted, said
from watchdog.migrations.assess.values import Category, Finding, Severity
from watchdog.migrations.parser import postgast, tree
from watchdog.migrations.sql import Table


def update(scene: Scene, node: Any) -> Iterator[Finding]:
    """Earlier values are gone; of a whole table, it also doubles in size."""
    table = scene.table(node.relation)
    here = said(table)
    columns = ", ".join(quoted(each.res_target.name) for each in node.target_list)
    whole = _whole(node)
    yield scene.change(
        "update-all" if whole else "update",
        "UPDATE",
        table,
        (
            f"every row of {here} is written again and stays locked until this transaction ends; the old versions "
            "double the table and the log (bloat, replica lag)"
            if whole
            else f"rows of {here} are written and stay locked until this transaction ends"
        ),
        category=Category.DATA,
        severity=_severity(scene, table, Work.UPDATE) if whole else _some(scene, table),
        safe=in_batches(table, columns, "…") if whole and not scene.is_empty(table) else "",
        **scene.loss(table, f"earlier values of {columns} in {here}"),
    )


def delete(scene: Scene, node: Any) -> Iterator[Finding]:
    """Rows are gone."""
    table = scene.table(node.relation)
    here, whole = said(table), _whole(node)
    severity = _severity(scene, table, Work.DELETE) if whole else _some(scene, table)
    if whole and not scene.is_empty(table):
        severity = max(severity, Severity.HIGH, key=lambda each: each.rank)
    yield scene.change(
        "delete-all" if whole else "delete",
        "DELETE",
        table,
        f"every row of {here} is deleted; its space stays taken until VACUUM"
        if whole
        else f"rows of {here} are deleted",
        category=Category.DATA,
        severity=severity,
        safe=deleted_in_batches(table) if whole and not scene.is_empty(table) else "",
        **scene.loss(table, f"{'every row' if whole else 'the deleted rows'} of {here}"),
    )
    sources = {each.source for each in scene.facts.foreign_keys if each.to == scene.real(table)}
    if sources:
        listed = ", ".join(said(each) for each in sorted(sources))
        message = f"tables with a foreign key to {here} are looked at for each deleted row: {listed}"
        yield scene.note("delete-referenced", Severity.LOW, message, category=Category.RELATIONSHIP, table=table)


def _whole(node: Any) -> bool:
    """Whether no condition chooses among the rows."""
    if not node.HasField("where_clause"):
        return not (node.from_clause if isinstance(node, tree.UpdateStmt) else node.using_clause)
    condition = postgast.unwrap_node(node.where_clause)
    return isinstance(condition, tree.A_Const) and condition.boolval.boolval


def _severity(scene: Scene, table: Table, work: Work) -> Severity:
    if scene.is_empty(table):
        return Severity.INFO
    seconds = scene.seconds(work, table)
    if seconds is None:
        return Severity.HIGH
    return Severity.LOW if seconds < 0.1 else Severity.MEDIUM if seconds < 1 else Severity.HIGH


def _some(scene: Scene, table: Table) -> Severity:
    return Severity.INFO if scene.is_empty(table) else Severity.MEDIUM


def insert(scene: Scene, node: Any) -> Iterator[Finding]:
    """New rows; earlier values are gone only by ON CONFLICT DO UPDATE."""
    table = scene.table(node.relation)
    over = node.on_conflict_clause.action == tree.ONCONFLICT_UPDATE and not scene.is_empty(table)
    yield scene.change(
        "upsert" if over else "insert",
        "INSERT",
        table,
        f"rows of {said(table)} are overwritten where they are there already"
        if over
        else f"rows are added to {said(table)}",
        category=Category.DATA,
        severity=Severity.MEDIUM if over else Severity.INFO,
        **(scene.loss(table, f"earlier values in {said(table)}") if over else {}),
    )


def merge(scene: Scene, node: Any) -> Iterator[Finding]:
    """MERGE."""
    table = scene.table(node.relation)
    destroying = {tree.CMD_UPDATE, tree.CMD_DELETE}
    over = any(postgast.unwrap_node(each).command_type in destroying for each in node.merge_when_clauses)
    message = f"rows of {said(table)} are " + ("changed or deleted" if over else "added")
    severity = _some(scene, table) if over else Severity.INFO
    lost = scene.loss(table, f"earlier values in {said(table)}") if over else {}
    yield scene.change("merge", "MERGE", table, message, category=Category.DATA, severity=severity, **lost)


def copy_rows(scene: Scene, node: Any) -> Iterator[Finding]:
    """COPY: its data is not in the script."""
    table = scene.table(node.relation)
    if node.is_from:
        message = f"rows are added to {said(table)} out of a file or a client that the script does not hold"
        severity = Severity.MEDIUM
        yield scene.change("copy", "COPY FROM", table, message, category=Category.DATA, severity=severity)
    else:
        yield scene.note("copy", Severity.LOW, "rows are copied out", category=Category.DATA)
