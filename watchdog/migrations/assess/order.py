"""What statements do to each other: locks held on, transactions, ALTERs that could be one."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from watchdog.migrations.assess.locks import LockMode
from watchdog.migrations.assess.sqltext import copy, said, sql
from watchdog.migrations.assess.step import Step
from watchdog.migrations.assess.values import Category, Finding, Severity
from watchdog.migrations.parser import postgast, tree
from watchdog.migrations.sql import Table

_SHORT, _LONG = 0.1, 1.0
_OFF: Final = frozenset({"", "0", "0s", "0ms", "default"})
_ADD_VALUE_IN_TRANSACTION: Final = 12


def between(steps: Sequence[Step]) -> Iterator[Finding]:
    """Findings about statements together."""
    yield from _no_lock_timeout(steps)
    yield from _not_in_a_transaction(steps)
    yield from _after_a_lock(steps)
    yield from _could_be_one(steps)
    yield from _enum_value_used(steps)


def _no_lock_timeout(steps: Sequence[Step]) -> Iterator[Finding]:
    for step in steps:
        if _sets_lock_timeout(step.scene.statement.node):
            return
        blocking = [lock for lock in step.waits if lock.mode.blocks_writes]
        if blocking:
            yield step.scene.note(
                "no-lock-timeout",
                Severity.MEDIUM,
                f"without lock_timeout it waits for {blocking[0].mode} on {blocking[0].relation} as long as somebody "
                "else's transaction is open, and everybody queues behind it",
                safe=f"SET lock_timeout = '2s';\n{step.scene.statement.text};",
            )
            return


def _sets_lock_timeout(node: Any) -> bool:
    if isinstance(node, tree.VariableSetStmt) and node.name.lower() == "lock_timeout":
        values = [each.a_const.sval.sval or str(each.a_const.ival.ival) for each in node.args]
        return bool(values) and values[0].strip().lower() not in _OFF
    return any("lock_timeout" in _constants(call) for call in _calls(node, "set_config"))


def _calls(node: Any, name: str) -> Iterator[Any]:
    for _, inner in postgast.walk(node):
        if isinstance(inner, tree.FuncCall) and inner.funcname[-1].string.sval == name:
            yield inner


def _constants(node: Any) -> set[str]:
    return {
        inner.sval.sval
        for _, inner in postgast.walk(node)
        if isinstance(inner, tree.A_Const) and inner.HasField("sval")
    }


def _not_in_a_transaction(steps: Sequence[Step]) -> Iterator[Finding]:
    transactions = [step.scene.statement.transaction for step in steps]
    for step in steps:
        statement = step.scene.statement
        if not statement.outside:
            continue
        if statement.explicit:
            message = f"{statement.outside}: between BEGIN and COMMIT it fails with 25001"
            yield step.scene.note("in-transaction", Severity.HIGH, message, safe=f"COMMIT;\n{statement.text};")
        elif transactions.count(statement.transaction) > 1:
            message = f"{statement.outside}, but the file has other statements: most tools run it as one transaction"
            safe = f"-- in a file of its own, without a transaction:\n{statement.text};"
            yield step.scene.note("in-transaction", Severity.MEDIUM, message, safe=safe)


def _after_a_lock(steps: Sequence[Step]) -> Iterator[Finding]:
    held: dict[int, Step] = {}
    for step in steps:
        number = step.scene.statement.transaction
        earlier, seconds = held.get(number), step.seconds
        if earlier is not None and (seconds is None or seconds >= _SHORT):
            lock = max(earlier.waits, key=lambda each: each.mode.rank)
            long = "" if seconds is None else f", about {seconds:.1f} s"
            yield step.scene.note(
                "after-a-lock",
                Severity.HIGH if seconds is None or seconds >= _LONG else Severity.MEDIUM,
                f"while this runs{long}, line {earlier.scene.statement.line} still holds {lock.mode} on "
                f"{lock.relation}: {lock.mode.blocks} wait until the transaction ends",
                safe=f"COMMIT;  -- what came before, so that its locks are gone\n{step.scene.statement.text};",
            )
        if any(lock.mode.blocks_writes for lock in step.waits):
            strongest = held.get(number)
            if strongest is None or _strength(step) > _strength(strongest):
                held[number] = step


def _strength(step: Step) -> int:
    return max((lock.mode.rank for lock in step.waits), default=LockMode.ACCESS_SHARE.rank)


def _could_be_one(steps: Sequence[Step]) -> Iterator[Finding]:
    found: dict[tuple[int, Table], list[Step]] = {}
    for step in steps:
        node = step.scene.statement.node
        if isinstance(node, tree.AlterTableStmt) and node.objtype == tree.OBJECT_TABLE and _mergeable(node):
            table = step.scene.table(node.relation)
            if any(lock.relation == ".".join(table) for lock in step.waits):
                found.setdefault((step.scene.statement.transaction, table), []).append(step)
    for (_, table), together in found.items():
        if len(together) > 1:
            first, *others = together
            merged = copy(first.scene.statement.node)
            for step in others:
                merged.cmds.extend(step.scene.statement.node.cmds)
            working = sum(1 for step in together if step.seconds is None or step.seconds >= _SHORT)
            lines = ", ".join(str(step.scene.statement.line) for step in together)
            yield others[0].scene.note(
                "could-be-one",
                Severity.MEDIUM if working > 1 else Severity.LOW,
                f"{said(table)} is altered {len(together)} times (lines {lines}); one ALTER TABLE does it all",
                table=table,
                safe=sql(merged),
            )


def _mergeable(node: Any) -> bool:
    separate = {tree.AT_ValidateConstraint, tree.AT_AttachPartition, tree.AT_DetachPartition}
    return not any(each.alter_table_cmd.subtype in separate for each in node.cmds)


def _enum_value_used(steps: Sequence[Step]) -> Iterator[Finding]:
    added: dict[tuple[int, str], int] = {}
    for step in steps:
        statement, version = step.scene.statement, step.scene.facts.version
        for value in _constants(statement.node):
            if line := added.get((statement.transaction, value)):
                yield step.scene.note(
                    "enum-value-used",
                    Severity.HIGH,
                    f"'{value}' was added in line {line} of the same transaction: to use it now fails with 55P04",
                    category=Category.DATA,
                    safe=f"COMMIT;  -- after ADD VALUE\n{statement.text};",
                )
        if isinstance(statement.node, tree.AlterEnumStmt) and not statement.node.old_val:
            added[statement.transaction, statement.node.new_val] = statement.line
            if statement.explicit and 0 < version < _ADD_VALUE_IN_TRANSACTION:
                message = f"PostgreSQL {version} refuses ADD VALUE in a transaction (25001)"
                yield step.scene.note("in-transaction", Severity.HIGH, message)
