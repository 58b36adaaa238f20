"""A script as steps in safe forms, where the meaning is equal; everything else stays as it is, and says why. Pure.

Steps commit one by one, so users see what is between them. That is the same to them as long as the script only adds.
From its first statement on that takes something away, everything stays together in one transaction.
"""

from collections.abc import Sequence
from typing import Any, Final

from watchdog.migrations.assess.script import Statement, read
from watchdog.migrations.assess.sqltext import copy, names, quoted, sql
from watchdog.migrations.parser import postgast, statements_of, tree
from watchdog.migrations.safe.alter import alter, has_safe_form, takes_away
from watchdog.migrations.safe.making import Making, as_written
from watchdog.migrations.safe.updates import backfill, obstacle, reads, sets
from watchdog.migrations.safe.values import Facts, Forms, Kept, Kind

_TOGETHER: Final = {
    tree.TransactionStmt: "it has transactions of its own",
    tree.RenameStmt: "it renames something, and half-way there would be no way back",
    tree.AlterObjectSchemaStmt: "it moves something to another schema, and half-way there would be no way back",
    tree.LockStmt: "it locks a table for all that follows",
    tree.DeclareCursorStmt: "a cursor lives in one transaction",
    tree.PrepareStmt: "a prepared statement lives in one session",
    tree.ConstraintsSetStmt: "SET CONSTRAINTS holds for one transaction",
}  # fmt: skip
_ADD: Final = (
    tree.CreateSeqStmt, tree.CreateEnumStmt, tree.CompositeTypeStmt, tree.CreateRangeStmt, tree.CreateDomainStmt,
    tree.CreateExtensionStmt, tree.CreateSchemaStmt, tree.CommentStmt, tree.CreateStatsStmt, tree.CreateStmt,
    tree.IndexStmt, tree.VariableSetStmt,
)  # fmt: skip
_RELAX: Final = frozenset({tree.AT_DropConstraint, tree.AT_DropNotNull, tree.AT_ColumnDefault, tree.AT_AddColumn})
_OPAQUE: Final = (tree.DoStmt, tree.CallStmt, tree.SelectStmt, tree.ExecuteStmt)


def safe_forms(script: str, facts: Facts) -> Forms:
    """The steps of a script.

    Raises:
        SqlSyntaxError: It is no SQL.
    """
    statements = read(script)
    making = Making(facts)
    if whole := _whole(statements):
        making.kept.append(whole)
        making.run(1, *(one.text for one in statements))
        return making.done()
    together = _from_here(statements, facts, making)
    for position, statement in enumerate(statements):
        if isinstance(statement.node, tree.VariableSetStmt):
            making.settings.append(statement.text)
        elif position >= together:
            _as_it_is(making, statement, why=position != together)
        else:
            _safely(making, statement)
    return making.done()


def _whole(statements: Sequence[Statement]) -> Kept | None:
    """Why a script cannot be taken apart at all."""
    begun = False
    for one in statements:
        node = one.node
        reason = _TOGETHER.get(type(node), "")
        if isinstance(node, tree.VariableSetStmt):
            reason = _odd_setting(node, begun=begun)
        else:
            begun = True
        if any(isinstance(each, tree.RangeVar) and each.relpersistence == "t" for _, each in postgast.walk(node)):
            reason = "it has a temporary table, which lives in one session"
        if reason:
            return Kept(one.line, reason)
    return None


def _odd_setting(node: Any, *, begun: bool) -> str:
    """Why a setting cannot simply hold for every step."""
    if node.is_local or node.kind == tree.VAR_SET_MULTI:
        return "SET LOCAL and SET TRANSACTION hold for one transaction"
    if node.name.lower() == "search_path":
        return "it sets search_path, so its names may mean other tables than they do now"
    return "it changes a setting half-way" if begun else ""


def _from_here(statements: Sequence[Statement], facts: Facts, making: Making) -> int:
    """From which statement on everything stays together."""
    seen = Making(facts)
    first = len(statements)
    reason = ""
    for position, one in enumerate(statements):
        if reason := _takes_away(one, seen):
            first = position
            break
    for position, one in enumerate(statements[:first]):
        if isinstance(one.node, tree.UpdateStmt) and (other := _needed_later(one, statements[first:])):
            first, reason = position, other
            break
    if first < len(statements) and _could_be_safer(statements[first:]):
        making.keep(statements[first].line, f"{reason}, so it stays in one transaction with all that follows")
    return first


def _could_be_safer(rest: Sequence[Statement]) -> bool:
    return any(
        isinstance(one.node, tree.IndexStmt | tree.UpdateStmt)
        or (isinstance(one.node, tree.AlterTableStmt) and has_safe_form(one.node))
        for one in rest
    )


def _takes_away(one: Statement, seen: Making) -> str:
    """Why what follows belongs into the same transaction; empty when this only adds."""
    node = one.node
    match node:
        case tree.CreateStmt():
            seen.fresh.add(node.relation.relname)
            return ""
        case tree.UpdateStmt():
            return _not_in_batches(node, seen)
        case tree.AlterTableStmt():
            on_own = seen.is_fresh(node.relation)
            return "it takes something away" if takes_away(node) and not on_own else ""
        case tree.InsertStmt():
            copies = any(isinstance(each, tree.RangeVar) and each is not node.relation for each in _tables(node))
            return "it copies rows, which others go on changing" if copies else ""
        case tree.AlterEnumStmt() if not node.old_val:
            return ""
        case tree.GrantStmt() if node.is_grant:
            return ""
        case tree.ViewStmt() | tree.CreateFunctionStmt() if not node.replace:
            return ""
        case tree.CreateTrigStmt() if seen.is_fresh(node.relation):
            return ""
        case tree.DropStmt() if node.concurrent:
            return ""
        case _ if isinstance(node, _ADD):
            return ""
        case _:
            return "it takes something away, or may do so"


def _tables(node: Any) -> list[Any]:
    return [each for _, each in postgast.walk(node.select_stmt) if isinstance(each, tree.RangeVar)]


def _not_in_batches(node: Any, seen: Making) -> str:
    if seen.is_fresh(node.relation):
        return ""
    found = seen.relation(node.relation)
    if found is None:
        return f"nothing is known about {as_written(node.relation)}"
    table, relation = found
    if reason := obstacle(node, relation, seen.facts):
        return f"{as_written(node.relation)} is not changed in batches: {reason}"
    for earlier, other in seen.filled:
        again = sets(earlier) & reads(node)
        if other == table and (again or "*" in reads(node)):
            return f"it reads {min(again, default='whole rows')}, which an earlier UPDATE sets while users write on"
    seen.filled.append((node, table))
    return ""


def _needed_later(one: Statement, rest: Sequence[Statement]) -> str:
    """Whether something that stays together goes on with the table of an UPDATE."""
    table = one.node.relation.relname
    for later in rest:
        if isinstance(later.node, tree.IndexStmt) or (isinstance(later.node, tree.AlterTableStmt) and _relaxes(later)):
            continue
        mentioned = {each.relname for _, each in postgast.walk(later.node) if isinstance(each, tree.RangeVar)}
        if isinstance(later.node, tree.DropStmt):
            mentioned |= {part for each in later.node.objects for part in names(each)}
        if table in mentioned or isinstance(later.node, _OPAQUE):
            return f"line {later.line} may take away what users write into {table} meanwhile"
    return ""


def _relaxes(later: Statement) -> bool:
    """Whether an ALTER TABLE leaves every value where it is, and demands nothing of the rows."""
    return all(each.alter_table_cmd.subtype in _RELAX for each in later.node.cmds)


def _as_it_is(making: Making, statement: Statement, *, why: bool) -> None:
    """A statement of those that stay together; what PostgreSQL keeps out of transactions is a step of its own."""
    node = statement.node
    if isinstance(node, tree.IndexStmt | tree.DropStmt) and node.concurrent:
        _concurrently(making, statement)
        return
    if why and isinstance(node, tree.IndexStmt | tree.UpdateStmt):
        making.keep(statement.line, "something was taken away before, and users would see the state between")
    making.run(statement.line, statement.text)


def _safely(making: Making, statement: Statement) -> None:
    node, line = statement.node, statement.line
    match node:
        case tree.IndexStmt() | tree.DropStmt() if node.concurrent:
            _concurrently(making, statement)
        case tree.IndexStmt():
            _index(making, statement)
        case tree.AlterTableStmt() if node.objtype == tree.OBJECT_TABLE:
            alter(making, line, node)
        case tree.UpdateStmt() if (found := making.relation(node.relation)) is not None:
            making.alone(Kind.BACKFILL, line, statement.text, backfill=backfill(node, *found))
            making.filled.append((node, found[0]))
        case tree.CreateStmt():
            making.fresh.add(node.relation.relname)
            making.run(line, statement.text)
        case _:
            making.run(line, statement.text)


def _concurrently(making: Making, statement: Statement) -> None:
    node = statement.node
    if isinstance(node, tree.DropStmt):
        making.alone(Kind.DROP_INDEX, statement.line, statement.text, index=quoted(*names(node.objects[0])))
        return
    found = making.relation(node.relation)
    schema = found[0][0] if found else node.relation.schemaname
    name = quoted(*(part for part in (schema, node.idxname) if part)) if node.idxname else ""
    making.alone(Kind.INDEX, statement.line, statement.text, index=name)


def _index(making: Making, statement: Statement) -> None:
    node = statement.node
    found = making.relation(node.relation)
    if found is None or not node.relation.inh:
        making.run(statement.line, statement.text)
        return
    table, relation = found
    plain = [each.index_elem.name for each in node.index_params]
    name = node.idxname or (making.name(table, *plain, "idx") if all(plain) and not node.index_including_params else "")
    if relation.kind not in {"r", "m"} or not name:
        reason = f"{as_written(node.relation)} is partitioned" if name else "the index has no name; give it one"
        making.keep(statement.line, reason)
        making.run(statement.line, statement.text)
        return
    other = copy(node)
    other.idxname, other.concurrent = name, True
    making.given.add(name)
    making.alone(Kind.INDEX, statement.line, sql(other), index=quoted(table[0], name))


def without_concurrently(script: str) -> str:
    """The script as one transaction can hold it, with every statement in its line.

    Raises:
        SqlSyntaxError: It is no SQL.
    """
    raw = script.encode()
    pieces: list[bytes] = []
    at = 0
    for one in statements_of(script):
        node = postgast.unwrap_node(one.stmt)
        if not (isinstance(node, tree.IndexStmt | tree.DropStmt) and node.concurrent):
            continue
        end = one.stmt_location + one.stmt_len if one.stmt_len else len(raw)
        for token in postgast.scan(raw[one.stmt_location : end].decode()).tokens:
            start, stop = one.stmt_location + token.start, one.stmt_location + token.end
            if raw[start:stop].lower() == b"concurrently":
                pieces += [raw[at:start]]
                at = stop
                break
    return b"".join((*pieces, raw[at:])).decode()
