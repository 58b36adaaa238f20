"""ALTER TABLE … COLUMN."""

from collections.abc import Iterator
from typing import Any, Final

from watchdog.migrations.assess import defaults, typenames
from watchdog.migrations.assess.locks import LockMode, Work
from watchdog.migrations.assess.scene import Scene
from watchdog.migrations.assess.sqltext import copy, definition, in_batches, quoted, said, sql, with_command
from watchdog.migrations.assess.values import Category, Finding, Lock, Severity, Undo
from watchdog.migrations.parser import tree
from watchdog.migrations.sql import Table

_SERIALS: Final = frozenset({"serial", "bigserial", "smallserial", "serial4", "serial8", "serial2"})
_INDEXED: Final = frozenset({tree.CONSTR_UNIQUE, tree.CONSTR_PRIMARY})
_BY_ROW: Final = (
    "every row gets a value of its own, so the whole table and its indexes are written again under the lock"
)


def add_column(scene: Scene, table: Table, command: Any) -> Iterator[Finding]:
    """A new column: instant, unless each row gets a value of its own."""
    column = definition(command)
    constraints = {each.constraint.contype: each.constraint for each in column.constraints}
    name, here = column.colname, said(table)
    others = _referenced(scene, table, constraints.get(tree.CONSTR_FOREIGN))
    cause = _writes_rows(scene, column, constraints)
    work = Work.REWRITE if cause else Work.INDEX if _INDEXED & constraints.keys() else Work.NONE
    if cause:
        message = f"column {quoted(name)} of {here} is added with {cause}: {_BY_ROW}"
        yield scene.change(
            "add-column-rewrite", "ADD COLUMN", table, message, work=work, others=others,
            safe=_backfill(scene, table, command, constraints),
        )  # fmt: skip
    else:
        message = f"column {quoted(name)} is added to {here}; no row is written"
        yield scene.change("add-column", "ADD COLUMN", table, message, work=work, others=others)
    yield from _added_constraints(scene, table, command, constraints)


def _referenced(scene: Scene, table: Table, reference: Any) -> tuple[Lock, ...]:
    if reference is None or (to := scene.table(reference.pktable)) == table:
        return ()
    return (Lock(".".join(to), LockMode.SHARE_ROW_EXCLUSIVE),)


def _writes_rows(scene: Scene, column: Any, constraints: dict[int, Any]) -> str:
    """Why every row is written; empty when none is."""
    if typenames.of(column.type_name).name in _SERIALS:
        return "a sequence's next value (serial)"
    if tree.CONSTR_IDENTITY in constraints:
        return "a sequence's next value (identity)"
    generated = constraints.get(tree.CONSTR_GENERATED)
    if generated is not None:
        return "a stored generated value" if generated.generated_kind != "v" else ""
    given = constraints.get(tree.CONSTR_DEFAULT)
    calls = dict.fromkeys(defaults.volatile(given.raw_expr, scene.facts)) if given is not None else ()
    if not calls:
        return ""
    sure = any(each in defaults.VOLATILE for each in calls) or scene.facts.known
    kind = "a volatile default" if sure else "a default that is volatile unless its function says otherwise"
    return f"{kind} ({', '.join(f'{each}()' for each in calls)})"


def _backfill(scene: Scene, table: Table, command: Any, constraints: dict[int, Any]) -> str:
    """The column first, its default then, the rows in batches."""
    column = definition(command)
    name = quoted(column.colname)
    given = constraints.get(tree.CONSTR_DEFAULT)
    if given is None:
        return ""
    bare = copy(command)
    del definition(bare).constraints[:]
    later = tree.AlterTableCmd(subtype=tree.AT_ColumnDefault, name=column.colname)
    getattr(later, "def").CopyFrom(given.raw_expr)
    value = sql(_select(given.raw_expr)).removeprefix("SELECT ").rstrip(";")
    return "\n".join(
        (
            with_command(scene.statement.node, bare),
            with_command(scene.statement.node, later),
            in_batches(table, name, value),
        )
    )


def _select(expression: Any) -> Any:
    chosen = tree.SelectStmt(limit_option=tree.LIMIT_OPTION_DEFAULT, op=tree.SETOP_NONE)
    chosen.target_list.add().res_target.val.CopyFrom(expression)
    return chosen


def _added_constraints(scene: Scene, table: Table, command: Any, constraints: dict[int, Any]) -> Iterator[Finding]:
    column = definition(command)
    name, here = quoted(column.colname), said(table)
    filled = {tree.CONSTR_DEFAULT, tree.CONSTR_IDENTITY, tree.CONSTR_GENERATED} & constraints.keys()
    serial = typenames.of(column.type_name).name in _SERIALS
    if tree.CONSTR_NOTNULL in constraints and not filled and not serial and not scene.is_fresh(table):
        bare = copy(command)
        kept = [each for each in definition(bare).constraints if each.constraint.contype != tree.CONSTR_NOTNULL]
        del definition(bare).constraints[:]
        definition(bare).constraints.extend(kept)
        fails = "" if scene.is_empty(table) else " It fails if there is any row already (23502)."
        yield scene.note(
            "add-column-not-null",
            Severity.HIGH,
            f"column {name} of {here} is NOT NULL without a default: every INSERT of old code, which does not name "
            f"it, fails with 23502.{fails}",
            table=table,
            category=Category.DATA,
            safe=f"{with_command(scene.statement.node, bare)}\n-- NOT NULL when every writer fills it",
        )
    if _INDEXED & constraints.keys() and not scene.is_fresh(table):
        yield scene.note(
            "add-unique",
            Severity.MEDIUM,
            f"the index for column {name} of {here} is built under the same lock",
            category=Category.INDEX,
            table=table,
            safe=f"CREATE UNIQUE INDEX CONCURRENTLY {quoted(f'{table[1]}_{column.colname}_key')} ON {here} ({name});",
        )
    if (reference := constraints.get(tree.CONSTR_FOREIGN)) is not None and not scene.is_fresh(table):
        to = said(scene.table(reference.pktable))
        yield scene.note(
            "add-foreign-key",
            Severity.LOW,
            f"the foreign key of column {name} also blocks writes to {to} until this transaction ends",
            category=Category.RELATIONSHIP,
            table=table,
        )


def drop_column(scene: Scene, table: Table, command: Any) -> Iterator[Finding]:
    """Gone in an instant, and the data with it."""
    name, here = quoted(command.name), said(table)
    keys = [each for each in scene.facts.foreign_keys if each.source == scene.real(table)]
    to = {each.to for each in keys if command.name in each.columns} - {table}
    empty = scene.is_empty(table)
    yield scene.change(
        "drop-column",
        "DROP COLUMN",
        table,
        f"column {name} of {here} is dropped with its data, indexes and constraints; old code that names it fails "
        "with 42703",
        category=Category.DATA,
        severity=Severity.LOW if empty else Severity.HIGH,
        others=[Lock(".".join(each), LockMode.ACCESS_EXCLUSIVE) for each in sorted(to)],
        safe=""
        if empty
        else f"ALTER TABLE {here} ALTER COLUMN {name} DROP NOT NULL;\n"
        "-- drop it in a later release, archived, when no code names it",
        **scene.loss(table, f"column {name} of {here}"),
    )


def set_not_null(scene: Scene, table: Table, command: Any) -> Iterator[Finding]:
    """Reads the whole table, unless a valid CHECK has proven it."""
    name, here = quoted(command.name), said(table)
    column = scene.column(table, command.name)
    proven = (table, command.name) in scene.known.proven or (column is not None and column.proven)
    already = column is not None and column.not_null
    check = quoted(f"{table[1]}_{command.name}_not_null")
    if proven or already:
        reason = "is already NOT NULL" if already else "is proven not null by a CHECK"
        message = f"column {name} of {here} {reason}; no row is read"
        yield scene.change("set-not-null", "SET NOT NULL", table, message, work=Work.NONE)
    else:
        yield scene.change(
            "set-not-null",
            "SET NOT NULL",
            table,
            f"every row of {here} is read to see that column {name} is not null",
            safe=f"ALTER TABLE {here} ADD CONSTRAINT {check} CHECK ({name} IS NOT NULL) NOT VALID;\n"
            f"ALTER TABLE {here} VALIDATE CONSTRAINT {check};  -- in a transaction of its own\n"
            f"ALTER TABLE {here} ALTER COLUMN {name} SET NOT NULL;\n"
            f"ALTER TABLE {here} DROP CONSTRAINT {check};",
        )
    if not already and not scene.is_fresh(table) and not (column and column.has_default):
        unless = "" if column else " unless it has a default"
        yield scene.note(
            "not-null-breaks-inserts",
            Severity.MEDIUM,
            f"INSERTs of old code that give no value for {name} of {here} fail with 23502{unless}",
            category=Category.DATA,
            table=table,
        )


def change_type(scene: Scene, table: Table, command: Any) -> Iterator[Finding]:
    """Rewrites the table, except where old and new values are the same bytes."""
    column, name, here = definition(command), quoted(command.name), said(table)
    before = scene.column(table, command.name)
    new = typenames.of(column.type_name)
    old = typenames.read(before.type) if before else None
    plain = not column.HasField("raw_default") or typenames.is_plain_cast(
        command.name, column.raw_default, column.type_name
    )
    shown = sql(_cast(column.type_name)).removeprefix("SELECT NULL::").removeprefix("pg_catalog.").rstrip(";")
    if old and plain and typenames.work(old, new, utc=scene.facts.utc) is Work.NONE:
        yield scene.change(
            "change-type", "ALTER COLUMN TYPE", table,
            f"column {name} of {here} becomes {shown}; its rows stay as they are",
            work=Work.NONE,
        )  # fmt: skip
        return
    unless = ", unless the old type holds the same bytes; --database tells" if old is None and plain else ""
    unsure = old is None and plain and new.is_free_text
    loss = {} if old and plain and not typenames.loses(old, new) else scene.loss(table, f"the old values of {name}")
    yield scene.change(
        "change-type",
        "ALTER COLUMN TYPE",
        table,
        f"column {name} of {here} becomes {shown}: the table and its indexes are rewritten under the lock{unless}",
        severity=Severity.MEDIUM if unsure and not scene.is_fresh(table) else None,
        safe=_new_column(table, command.name, shown),
        **({"undo": Undo.ARCHIVE} if unsure and not scene.is_fresh(table) else loss),
    )


def _cast(type_name: Any) -> Any:
    expression = tree.Node()
    expression.type_cast.arg.a_const.isnull = True
    expression.type_cast.type_name.CopyFrom(type_name)
    return _select(expression)


def _new_column(table: Table, name: str, type_text: str) -> str:
    here, old, new = said(table), quoted(name), quoted(f"{name}_new")
    return (
        f"ALTER TABLE {here} ADD COLUMN {new} {type_text};\n"
        f"-- a trigger keeps {new} equal to {old}\n{in_batches(table, new, old)}\n"
        "-- switch the code over; drop the old column in a later release"
    )


def simple(scene: Scene, table: Table, command: Any, kind: str, what: str) -> Iterator[Finding]:
    """A change that touches no row."""
    name = quoted(command.name) if command.name else ""
    yield scene.change(kind.lower().replace(" ", "-"), kind, table, what.format(name=name, table=said(table)))
