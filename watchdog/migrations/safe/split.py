"""Splits a mixed script in two: what only adds, and what takes away once nothing uses it any more. Pure."""

from dataclasses import dataclass, field
from typing import Any, Final

from watchdog.migrations.assess.script import Statement, read
from watchdog.migrations.assess.sqltext import copy, definition, names, quoted, sql, strings, with_command
from watchdog.migrations.assess.typenames import loses, of
from watchdog.migrations.assess.typenames import read as read_type
from watchdog.migrations.parser import postgast, tree
from watchdog.migrations.safe.making import as_written
from watchdog.migrations.safe.updates import sets
from watchdog.migrations.safe.values import Column, Facts
from watchdog.ports.errors import WatchdogError

_ADD: Final = (
    tree.CreateStmt, tree.CreateSeqStmt, tree.CreateEnumStmt, tree.CompositeTypeStmt, tree.CreateRangeStmt,
    tree.CreateDomainStmt, tree.CreateExtensionStmt, tree.CreateSchemaStmt, tree.CommentStmt, tree.CreateStatsStmt,
    tree.CreateTableAsStmt, tree.InsertStmt,
)  # fmt: skip
_RELATIONS: Final = frozenset({tree.OBJECT_TABLE, tree.OBJECT_VIEW, tree.OBJECT_MATVIEW})
_LATER: Final = frozenset({tree.AT_AddConstraint, tree.AT_ValidateConstraint, tree.AT_DropConstraint})
_HARMLESS: Final = frozenset(
    {tree.AT_DropNotNull, tree.AT_SetStatistics, tree.AT_SetStorage, tree.AT_SetOptions, tree.AT_SetRelOptions}
)


@dataclass(frozen=True)
class Contracted:
    """Something that the contracting script takes away, or demands.

    Attributes:
        relation: The table or view, with its schema where the script says it.
        column: Which column; empty for the whole relation.
        demanded: Whether the column is demanded of every new row, rather than taken away.
    """

    line: int
    relation: tuple[str, str]
    column: str = ""
    demanded: bool = False

    @property
    def text(self) -> str:
        """As people say it."""
        name = ".".join(part for part in (*self.relation, self.column) if part)
        if self.demanded:
            return f"{name}, which becomes NOT NULL"
        return f"column {name}" if self.column else name


@dataclass(frozen=True)
class Split:
    """Two scripts.

    Attributes:
        contracted: What nobody may use any more, before the second one.
    """

    expand: str
    contract: str
    contracted: tuple[Contracted, ...]


class SplitError(WatchdogError):
    """A script cannot be split.

    Attributes:
        reasons: Each statement, by its line, with why.
    """

    def __init__(self, reasons: tuple[str, ...]) -> None:
        super().__init__("The script cannot be split: " + "; ".join(reasons))
        self.reasons = reasons


@dataclass
class _Parts:
    facts: Facts
    settings: dict[str, str] = field(default_factory=dict)
    expand: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    contract: list[str] = field(default_factory=list)
    contracted: list[Contracted] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    fresh: set[str] = field(default_factory=set)
    added: set[tuple[str, str]] = field(default_factory=set)
    gone: dict[tuple[str, ...], int] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)

    def refuse(self, line: int, reason: str) -> None:
        self.reasons.append(f"line {line}: {reason}")

    def later(self, text: str, *gone: str, line: int) -> None:
        """Adds to the contracting script; `gone` is what it takes away or changes, a column with its table."""
        self.contract.append(text)
        if gone:
            self.gone[gone] = line

    def is_fresh(self, relation: Any) -> bool:
        """Whether the script itself has made a table, so that only new code uses it."""
        return relation.relname in self.fresh and self.facts.named(relation.schemaname, relation.relname) is None

    def column(self, relation: Any, name: str) -> Column | None:
        table = self.facts.named(relation.schemaname, relation.relname)
        return self.facts.relations[table].columns.get(name) if table else None


def split(script: str, facts: Facts) -> Split:
    """Splits a script.

    Args:
        facts: What the database says of it; empty when none was asked.

    Raises:
        SqlSyntaxError: It is no SQL.
        SplitError: A statement is neither of the two, or they depend on each other.
    """
    parts = _Parts(facts)
    for statement in read(script):
        before, gone = len(parts.expand), dict(parts.gone)
        _place(parts, statement)
        if len(parts.expand) > before:
            _needs_what_is_gone(parts, statement, gone)
    if parts.reasons:
        raise SplitError(tuple(dict.fromkeys(parts.reasons)))
    first = list(parts.settings.values())
    expand = _script([*first, *parts.expand]) if parts.expand else ""
    contract = _script([*first, *parts.again, *parts.contract]) if parts.contract else ""
    return Split(expand, contract, tuple(parts.contracted))


def _script(statements: list[str]) -> str:
    return "".join(f"{one.rstrip(';')};\n" for one in statements)


def _mentioned(node: Any) -> frozenset[str]:
    found: set[str] = set()
    for _, inner in postgast.walk(node):
        match inner:
            case tree.RangeVar():
                found.add(inner.relname)
            case tree.ColumnRef():
                found.update(one.string.sval for one in inner.fields if one.HasField("string"))
            case tree.ColumnDef():
                found.add(inner.colname)
            case tree.IndexStmt():
                found.add(inner.idxname)
            case tree.IndexElem() | tree.ResTarget() | tree.AlterTableCmd():
                found.add(inner.name)
            case _:
                pass
    return frozenset(found)


def _needs_what_is_gone(parts: _Parts, statement: Statement, gone: dict[tuple[str, ...], int]) -> None:
    """Refuses what would come first, but only works after something of the second script."""
    mentioned = _mentioned(statement.node)
    for names_of, line in gone.items():
        if mentioned.issuperset(names_of):
            name = ".".join(names_of)
            parts.refuse(statement.line, f"it needs what line {line} does to {name} first; split it by hand")


def _place(parts: _Parts, statement: Statement) -> None:
    node, line, text = statement.node, statement.line, statement.text
    match node:
        case tree.VariableSetStmt() if not node.is_local:
            if parts.expand or parts.contract or parts.settings.setdefault(node.name, text) != text:
                parts.refuse(line, f"{node.name} is set half-way, or a second time; split it by hand")
        case tree.AlterTableStmt() if node.objtype == tree.OBJECT_TABLE:
            _alter(parts, line, node)
        case tree.RenameStmt():
            _rename(parts, line, node)
        case tree.DropStmt():
            _drop(parts, line, node, text)
        case tree.UpdateStmt():
            _update(parts, line, node, text)
        case tree.DeleteStmt() | tree.TruncateStmt():
            _delete(parts, line, node, text)
        case tree.IndexStmt() if node.unique and not parts.is_fresh(node.relation):
            parts.later(text, node.idxname, line=line)
        case tree.GrantStmt() if not node.is_grant:
            parts.later(text, line=line)
        case tree.InsertStmt() if not parts.changed.isdisjoint(_mentioned(node)):
            parts.later(text, line=line)
        case _ if _adds(parts, node):
            # Without a database nobody knows whether IF NOT EXISTS makes one.
            if isinstance(node, tree.CreateStmt) and (parts.facts.taken or not node.if_not_exists):
                parts.fresh.add(node.relation.relname)
            parts.expand.append(text)
        case _:
            parts.refuse(line, "it neither only adds nor only takes away; put it into one of the two scripts yourself")


def _adds(parts: _Parts, node: Any) -> bool:
    match node:
        case tree.AlterEnumStmt():
            return not node.old_val
        case tree.ViewStmt() | tree.CreateFunctionStmt():
            return not node.replace
        case tree.CreateTrigStmt():
            return parts.is_fresh(node.relation)
        case tree.IndexStmt() | tree.GrantStmt():
            return True
        case _:
            return isinstance(node, _ADD)


def _relation(node: Any) -> tuple[str, str]:
    return node.schemaname, node.relname


def _alter(parts: _Parts, line: int, node: Any) -> None:
    if parts.is_fresh(node.relation):
        parts.expand.append(sql(node))
        return
    for each in node.cmds:
        command = each.alter_table_cmd
        text = with_command(node, command)
        match command.subtype:
            case tree.AT_AddColumn:
                _add_column(parts, line, node, command)
            case tree.AT_SetNotNull:
                parts.contracted.append(Contracted(line, _relation(node.relation), command.name, demanded=True))
                parts.later(text, line=line)
            case tree.AT_DropColumn:
                _drop_column(parts, line, node, command)
            case tree.AT_AlterColumnType:
                _type(parts, line, node, command)
            case tree.AT_ColumnDefault if command.HasField("def"):
                parts.expand.append(text)
            case tree.AT_ColumnDefault:
                parts.later(text, line=line)
            case subtype if subtype in _LATER:
                parts.later(text, line=line)
            case subtype if subtype in _HARMLESS:
                parts.expand.append(text)
            case _:
                parts.refuse(line, "this ALTER TABLE is of no kind that is known to add or to take away")


def _drop_column(parts: _Parts, line: int, node: Any, command: Any) -> None:
    commands = [each.alter_table_cmd for each in node.cmds]
    if any(one.subtype == tree.AT_AddColumn and definition(one).colname == command.name for one in commands):
        parts.refuse(line, f"{command.name} is dropped and made anew in one statement; split it by hand")
    parts.contracted.append(Contracted(line, _relation(node.relation), command.name))
    parts.later(with_command(node, command), node.relation.relname, command.name, line=line)


def _add_column(parts: _Parts, line: int, node: Any, command: Any) -> None:
    parts.added.add((node.relation.relname, definition(command).colname))
    kinds = [one.constraint.contype for one in definition(command).constraints]
    given = {tree.CONSTR_DEFAULT, tree.CONSTR_IDENTITY, tree.CONSTR_GENERATED}
    serial = strings(definition(command).type_name.names)[-1:] in {("serial",), ("bigserial",), ("smallserial",)}
    if tree.CONSTR_NOTNULL not in kinds or serial or not given.isdisjoint(kinds):
        parts.expand.append(with_command(node, command))
        return
    other = copy(command)
    column = definition(other)
    kept = [one for one in column.constraints if one.constraint.contype != tree.CONSTR_NOTNULL]
    del column.constraints[:]
    column.constraints.extend(kept)
    parts.expand.append(with_command(node, other))
    name = as_written(node.relation)
    parts.contracted.append(Contracted(line, _relation(node.relation), column.colname, demanded=True))
    parts.later(f"ALTER TABLE {name} ALTER COLUMN {quoted(column.colname)} SET NOT NULL", line=line)


def _type(parts: _Parts, line: int, node: Any, command: Any) -> None:
    old = parts.column(node.relation, command.name)
    text = with_command(node, command)
    target = definition(command)
    if old is not None and not target.HasField("raw_default") and not loses(read_type(old.type), of(target.type_name)):
        parts.expand.append(text)
        return
    parts.contracted.append(Contracted(line, _relation(node.relation), command.name))
    parts.later(text, node.relation.relname, command.name, line=line)


def _drop(parts: _Parts, line: int, node: Any, text: str) -> None:
    gone = [names(each) for each in node.objects]
    if node.remove_type in _RELATIONS:
        for name in gone:
            parts.contracted.append(Contracted(line, (name[-2] if len(name) > 1 else "", name[-1])))
    parts.contract.append(text)
    parts.gone |= {name[-1:]: line for name in gone if name}


def _update(parts: _Parts, line: int, node: Any, text: str) -> None:
    table = node.relation.relname
    fills = all((table, column) in parts.added for column in sets(node))
    if (fills or parts.is_fresh(node.relation)) and parts.changed.isdisjoint(_mentioned(node)):
        parts.expand.append(text)
        if fills:
            _again(parts, node)
        return
    parts.changed.add(table)
    parts.later(f"-- Old code reads what this writes, so it waits.\n{text}", line=line)


def _again(parts: _Parts, node: Any) -> None:
    """What old code has written since the first script is filled before the second one demands it."""
    [column, *others] = sorted(sets(node))
    if others:
        return
    where = node.relation.alias.aliasname if node.relation.HasField("alias") else node.relation.relname
    condition = postgast.parse(f"SELECT WHERE {quoted(where, column)} IS NULL").stmts[0].stmt.select_stmt.where_clause
    other = copy(node)
    if node.HasField("where_clause"):
        other.where_clause.bool_expr.boolop = tree.AND_EXPR
        other.where_clause.bool_expr.args.extend([node.where_clause, condition])
    else:
        other.where_clause.CopyFrom(condition)
    parts.again.append(f"-- What old code has written since.\n{sql(other)}")


def _delete(parts: _Parts, line: int, node: Any, text: str) -> None:
    relations = [node.relation] if isinstance(node, tree.DeleteStmt) else [each.range_var for each in node.relations]
    parts.changed |= {each.relname for each in relations}
    parts.contracted += [Contracted(line, _relation(each)) for each in relations]
    parts.later(text, line=line)


def _rename(parts: _Parts, line: int, node: Any) -> None:
    match node.rename_type:
        case tree.OBJECT_TABLE:
            _rename_table(parts, line, node)
        case tree.OBJECT_COLUMN if node.relation_type == tree.OBJECT_TABLE:
            _rename_column(parts, line, node)
        case tree.OBJECT_INDEX | tree.OBJECT_TABCONSTRAINT:
            parts.later(sql(node), node.subname or node.relation.relname, line=line)
        case _:
            parts.refuse(line, "what is renamed has no second name meanwhile; rename it by hand when nothing uses it")


def _rename_table(parts: _Parts, line: int, node: Any) -> None:
    """A view bears the new name until nobody uses the old one."""
    old = as_written(node.relation)
    new = quoted(*(part for part in (node.relation.schemaname, node.newname) if part))
    note = f"-- Old code uses {old}, new code {new}; both read and write the same rows.\n"
    parts.expand.append(f"{note}CREATE VIEW {new} AS SELECT * FROM {old}")  # noqa: S608 - quoted
    parts.contracted.append(Contracted(line, _relation(node.relation)))
    parts.later(f"DROP VIEW {new}", node.newname, line=line)
    parts.later(sql(node), node.relation.relname, line=line)


def _rename_column(parts: _Parts, line: int, node: Any) -> None:
    """A second column bears the new name; its values are copied."""
    column = parts.column(node.relation, node.subname)
    if column is None:
        parts.refuse(line, f"the type of {as_written(node.relation)}.{node.subname} is not known; name --database")
        return
    if column.known or column.generated:
        parts.refuse(line, f"indexes, constraints, views or others know {node.subname}; make them for a copy by hand")
        return
    table, old, new = as_written(node.relation), quoted(node.subname), quoted(node.newname)
    fill = f"UPDATE {table} SET {new} = {old}"  # noqa: S608 - quoted
    note = f"-- Until the second script old code writes {old} and new code {new}: let new code write both.\n"
    parts.expand.append(f"{note}ALTER TABLE {table} ADD COLUMN {new} {column.type}")
    if column.default is not None:
        parts.expand.append(f"ALTER TABLE {table} ALTER COLUMN {new} SET DEFAULT {column.default}")
    parts.expand.append(fill)
    parts.contracted.append(Contracted(line, _relation(node.relation), node.subname))
    parts.again.append(f"-- What old code has written since.\n{fill} WHERE {new} IS NULL AND {old} IS NOT NULL")
    if column.required:
        parts.contract.append(f"ALTER TABLE {table} ALTER COLUMN {new} SET NOT NULL")
    parts.later(f"ALTER TABLE {table} DROP COLUMN {old}", node.relation.relname, node.subname, line=line)
    parts.added.add((node.relation.relname, node.newname))
