"""Tables as a whole: made, dropped, emptied, moved, renamed, partitioned."""

from collections.abc import Iterator
from typing import Any

from watchdog.migrations.assess.locks import LockMode, Work
from watchdog.migrations.assess.scene import Scene
from watchdog.migrations.assess.sqltext import definition, deleted_in_batches, quoted, said
from watchdog.migrations.assess.values import Category, Finding, Lock, Severity, Undo
from watchdog.migrations.parser import postgast, tree
from watchdog.migrations.sql import Table


def create_table(scene: Scene, node: Any) -> Iterator[Finding]:
    """A new table: nobody waits, but for the tables that it points at."""
    table = scene.table(node.relation)
    # What may be there already must not be taken for new.
    if not node.if_not_exists or (scene.facts.known and scene.relation(table) is None):
        scene.known.fresh.add(table)
    yield scene.note("create-table", Severity.INFO, f"table {said(table)} is made", table=table)
    parents = [scene.table(each.range_var) for each in node.inh_relations]
    for parent in parents:
        partition = node.HasField("partbound")
        kind = "PARTITION OF" if partition else "INHERITS"
        yield scene.change(
            "create-partition" if partition else "create-child",
            kind,
            parent,
            others=scene.default_lock(parent) if partition else (),
            message=f"{said(table)} comes below {said(parent)}"
            + ("; a default partition is read for rows that belong into it" if partition else ""),
            safe=f"CREATE TABLE {said(table)} (LIKE {said(parent)} INCLUDING ALL);\n"
            f"ALTER TABLE {said(parent)} ATTACH PARTITION {said(table)} FOR VALUES …;"
            if partition
            else "",
        )
    for to in dict.fromkeys(_references(scene, node)):
        if to != table:
            message = f"writes to {said(to)} wait until this transaction ends: {said(table)} has a foreign key to it"
            yield scene.change("create-table-references", "REFERENCES", to, message, category=Category.RELATIONSHIP)


def _references(scene: Scene, node: Any) -> Iterator[Table]:
    for _, inner in postgast.walk(node):
        if isinstance(inner, tree.Constraint) and inner.contype == tree.CONSTR_FOREIGN:
            yield scene.table(inner.pktable)


def create_table_as(scene: Scene, node: Any) -> Iterator[Finding]:
    """A new table out of a query."""
    table = scene.table(node.into.rel)
    if not node.if_not_exists or (scene.facts.known and scene.relation(table) is None):
        scene.known.fresh.add(table)
    message = f"{said(table)} is made out of a query, which takes as long as the query"
    yield scene.note("create-table", Severity.INFO, message, table=table)


def select(scene: Scene, node: Any) -> Iterator[Finding]:
    """SELECT INTO makes a table; FOR UPDATE locks rows; the rest only reads."""
    if node.HasField("into_clause"):
        table = scene.table(node.into_clause.rel)
        scene.known.fresh.add(table)
        yield scene.change("create-table", "CREATE TABLE", table, f"{said(table)} is made out of a query")
    elif node.locking_clause and node.from_clause and node.from_clause[0].HasField("range_var"):
        table = scene.table(node.from_clause[0].range_var)
        message = f"rows of {said(table)} stay locked until this transaction ends"
        yield scene.change("select-for-update", "SELECT FOR UPDATE", table, message, category=Category.DATA)
    else:
        yield scene.note("select", Severity.INFO, "it reads", category=Category.DATA)


def drop_table(scene: Scene, table: Table, *, cascade: bool, if_exists: bool) -> Iterator[Finding]:
    """Gone in an instant, and the data with it."""
    if if_exists and scene.facts.known and not scene.is_fresh(table) and scene.relation(table) is None:
        yield scene.note(
            "drop-table", Severity.INFO, f"there is no table {said(table)} to drop", category=Category.DATA
        )
        return
    real, here, empty = scene.real(table), said(table), scene.is_empty(table)
    to = {each.to for each in scene.facts.foreign_keys if each.source == real} - {real}
    relation = scene.relation(table)
    parent = relation.parent if relation else None
    beside = relation.beside if relation else None
    above = [Lock(".".join(each), LockMode.ACCESS_EXCLUSIVE) for each in (parent, beside) if each]
    from_ = {each.source for each in scene.facts.foreign_keys if each.to == real} - {real} if cascade else set()
    yield scene.change(
        "drop-table",
        "DROP TABLE",
        table,
        f"table {here} is dropped with its rows; old code that uses it fails with 42P01",
        category=Category.DATA,
        severity=Severity.INFO if scene.is_fresh(table) else Severity.LOW if empty else Severity.CRITICAL,
        others=[*(Lock(".".join(each), LockMode.ACCESS_EXCLUSIVE) for each in sorted(to | from_)), *above],
        safe=""
        if empty
        else f"ALTER TABLE {here} RENAME TO {quoted(f'{table[1]}_dropped')};\n"
        "-- drop it in a later release, archived, when nothing has asked for it",
        **scene.loss(table, f"every row of {here}"),
    )
    scene.known.fresh.discard(table)
    scene.known.aliases.pop(table, None)


def truncate(scene: Scene, node: Any) -> Iterator[Finding]:
    """Every row at once."""
    cascade = node.behavior == tree.DROP_CASCADE
    named = [scene.table(postgast.unwrap_node(each)) for each in node.relations]
    also = _pointing_at({scene.real(each) for each in named}, scene) if cascade else set()
    for table in named:
        here, empty = said(table), scene.is_empty(table)
        yield scene.change(
            "truncate",
            "TRUNCATE",
            table,
            f"every row of {here} is gone, also for transactions that began before",
            category=Category.DATA,
            severity=Severity.INFO if scene.is_fresh(table) else Severity.LOW if empty else Severity.CRITICAL,
            others=[Lock(".".join(each), LockMode.ACCESS_EXCLUSIVE) for each in sorted(also)],
            safe="" if empty else deleted_in_batches(table),
            **scene.loss(table, f"every row of {here}"),
        )
    if cascade:
        listed = ", ".join(said(each) for each in sorted(also)) or "none is known"
        message = f"CASCADE empties every table with a foreign key to it as well, and those behind them: {listed}"
        yield scene.note(
            "cascade", Severity.CRITICAL, message, category=Category.RELATIONSHIP, undo=Undo.NO,
            destroys="rows of tables that are not named",
        )  # fmt: skip


def _pointing_at(tables: set[Table], scene: Scene) -> set[Table]:
    found: set[Table] = set()
    while more := {each.source for each in scene.facts.foreign_keys if each.to in tables | found} - tables - found:
        found |= more
    return found


def move_table(scene: Scene, table: Table, _command: Any, kind: str, what: str) -> Iterator[Finding]:
    """The whole table is written again."""
    here = said(table)
    yield scene.change(kind.lower().replace(" ", "-"), kind, table, f"{here} is written again, whole: {what}")


def attach(scene: Scene, table: Table, command: Any) -> Iterator[Finding]:
    """A table becomes a partition: it is read, unless a CHECK says that every row fits."""
    child = scene.table(definition(command).name)
    check = quoted(f"{child[1]}_fits")
    here, below = said(table), said(child)
    yield scene.change(
        "attach-partition",
        "ATTACH PARTITION",
        table,
        f"{below} is read whole under ACCESS EXCLUSIVE, and so is a default partition of {here}, unless a valid CHECK "
        "says that every row fits",
        work=Work.NONE,
        severity=scene.severity(LockMode.ACCESS_EXCLUSIVE, Work.SCAN, child),
        others=[Lock(".".join(child), LockMode.ACCESS_EXCLUSIVE), *scene.default_lock(table)],
        safe=""
        if scene.is_fresh(child)
        else f"ALTER TABLE {below} ADD CONSTRAINT {check} CHECK (<the partition's bounds>) NOT VALID;\n"
        f"ALTER TABLE {below} VALIDATE CONSTRAINT {check};\n{scene.statement.text};",
    )


def detach(scene: Scene, table: Table, command: Any) -> Iterator[Finding]:
    """A partition becomes a table."""
    part = definition(command)
    child = scene.table(part.name)
    kind = "DETACH PARTITION CONCURRENTLY" if part.concurrent else "DETACH PARTITION"
    yield scene.change(
        "detach-partition",
        kind,
        table,
        f"rows of {said(child)} are no longer found in {said(table)}",
        category=Category.DATA,
        severity=Severity.MEDIUM,
        others=[Lock(".".join(child), LockMode.ACCESS_EXCLUSIVE), *scene.default_lock(table)],
        safe=""
        if part.concurrent
        else f"ALTER TABLE {said(table)} DETACH PARTITION {said(child)} CONCURRENTLY;  -- outside a transaction",
    )


def lock_table(scene: Scene, node: Any) -> Iterator[Finding]:
    """A lock that is asked for."""
    mode = list(LockMode)[node.mode - 1]
    for each in node.relations:
        table = scene.table(postgast.unwrap_node(each))
        severity = Severity.HIGH if mode.blocks_writes and not scene.is_fresh(table) else Severity.INFO
        message = f"{said(table)} stays locked until this transaction ends"
        yield scene.note("lock-table", severity, message, table=table, locks=(Lock(".".join(table), mode),))
