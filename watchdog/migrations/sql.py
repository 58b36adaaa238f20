"""What a PostgreSQL script does, as far as it can be seen without a database."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from watchdog.migrations.parser import postgast, statements_of, tree

Table: TypeAlias = tuple[str, str]
"""Schema and table; temporary tables are in `pg_temp`."""

_GUARDED_SETTINGS = frozenset(
    {
        "lock_timeout",
        "statement_timeout",
        "transaction_timeout",
        "idle_in_transaction_session_timeout",
        "client_connection_check_interval",
        "search_path",
        "session_replication_role",
        "session_authorization",
        "track_counts",
        "transaction",
    }
)
# What may be dropped without an archive: nothing of it is data.
_HARMLESS_DROPS = frozenset(
    {
        tree.OBJECT_INDEX,
        tree.OBJECT_VIEW,
        tree.OBJECT_MATVIEW,
        tree.OBJECT_FUNCTION,
        tree.OBJECT_PROCEDURE,
        tree.OBJECT_ROUTINE,
        tree.OBJECT_AGGREGATE,
        tree.OBJECT_TRIGGER,
        tree.OBJECT_EVENT_TRIGGER,
        tree.OBJECT_RULE,
        tree.OBJECT_POLICY,
        tree.OBJECT_STATISTIC_EXT,
    }
)
_OUTSIDE_TRANSACTIONS = (tree.AlterSystemStmt, tree.CreatedbStmt, tree.CreateTableSpaceStmt)
_UNREADABLE: Mapping[type[Any], str] = {
    tree.DoStmt: "DO hides what it does; write its statements in the script.",
    tree.CallStmt: "CALL hides what it does; write its statements in the script.",
    tree.ExecuteStmt: "EXECUTE hides what it does; write the statement in the script.",
    tree.CopyStmt: "COPY needs a client or the server's files; use INSERT … SELECT.",
    tree.TransactionStmt: "the step owns the transaction; leave out BEGIN, COMMIT, ROLLBACK and SAVEPOINT.",
    tree.DropdbStmt: "DROP DATABASE destroys what no archive holds.",
    tree.DropOwnedStmt: "DROP OWNED destroys what no archive holds; drop objects one by one.",
    tree.DropTableSpaceStmt: "DROP TABLESPACE is not for a rollback.",
    tree.LoadStmt: "LOAD runs code of the server's files; it is not for a rollback.",
}


@dataclass(frozen=True)
class Loss:
    """Something that a statement destroys.

    Attributes:
        what: As a person says it: `DROP COLUMN b of public.a`.
        table: Whose archive would keep it; None when a table cannot be told.
        columns: What an archive must hold; empty for whole rows.
        everything: An archive with a condition is not enough: every row is affected, or it cannot be counted which.
        schema: For DROP SCHEMA: any archive out of it is enough.
    """

    what: str
    table: Table | None = None
    columns: tuple[str, ...] = ()
    everything: bool = True
    schema: str = ""


@dataclass(frozen=True)
class Statement:
    """One statement of a script.

    Attributes:
        line: Where it begins, counted from 1.
        losses: What it destroys.
        refusals: Why it may not run at all.
        refused_in_transaction: Why it may not run in a transaction; empty when it may.
        locks: Tables that it locks against readers.
        deleting: Every table that it deletes from.
        node: The parsed statement.
    """

    text: str
    line: int
    losses: tuple[Loss, ...] = ()
    refusals: tuple[str, ...] = ()
    refused_in_transaction: str = ""
    locks: frozenset[Table] = frozenset()
    deleting: frozenset[Table] = frozenset()
    node: Any = field(default=None, compare=False, repr=False)


@dataclass
class _Findings:
    schema: str
    root: Any
    made: set[Table]
    renamed: set[tuple[str, ...]]
    cascades: dict[tuple[Table, str], set[Table]]
    losses: list[Loss] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    outside: str = ""
    deleting: set[Table] = field(default_factory=set)
    locks: set[Table] = field(default_factory=set)

    def table(self, relation: Any) -> Table:
        return self.resolve(relation.schemaname, relation.relname)

    def resolve(self, schema: str, name: str) -> Table:
        """As the server does: a temporary table hides any other of its name."""
        hidden = not schema and ("pg_temp", name) in self.made
        return "pg_temp" if hidden else schema or self.schema, name

    def lose_rows(self, what: str, table: Table, columns: Iterable[str] = (), *, by: str, everything: bool) -> None:
        """Also those of other tables, by a foreign key that the script itself has made to cascade."""
        self.lose(what, table, columns, everything=everything)
        for child in sorted(self.cascades.get((table, by), ())):
            self.lose(f"{what} {'.'.join(table)}, by a foreign key,", child)

    def lose(self, what: str, table: Table | None, columns: Iterable[str] = (), **more: Any) -> None:
        named = f"{what} {'.'.join(table)}" if table else what
        if table and self.renamed.intersection({table, *((*table, column) for column in columns)}):
            self.refusals.append(f"{named}: it was renamed in this script, so no archive can be told to hold it.")
        if table not in self.made:
            self.losses.append(Loss(named, table, tuple(columns), **more))

    def refuse_cascade(self, behavior: int) -> None:
        if behavior == tree.DROP_CASCADE:
            self.refusals.append("CASCADE destroys what is not named; drop the dependent objects first, by name.")


def parse(text: str, schema: str = "public") -> tuple[Statement, ...]:
    """The statements of a script; unqualified names mean `schema`.

    Raises:
        SqlSyntaxError: It is no SQL.
    """
    parsed = statements_of(text)
    raw = text.encode()
    starts = [
        token.start for token in postgast.scan(text).tokens if token.token not in {tree.SQL_COMMENT, tree.C_COMMENT}
    ]
    learnt: tuple[Any, ...] = (set(), set(), {})
    return tuple(
        _statement(raw, starts, each, _Findings(schema, postgast.unwrap_node(each.stmt), *learnt)) for each in parsed
    )


def is_query(text: str) -> bool:
    """Whether it is one SELECT that writes and locks nothing by itself; raises SqlSyntaxError."""
    statements = statements_of(text)
    writes = {tree.InsertStmt, tree.UpdateStmt, tree.DeleteStmt, tree.MergeStmt, tree.IntoClause, tree.LockingClause}
    kinds = {type(node) for each in statements for _, node in postgast.walk(each.stmt)}
    return len(statements) == 1 and statements[0].stmt.HasField("select_stmt") and not kinds & writes


def _statement(raw: bytes, starts: Sequence[int], each: Any, findings: _Findings) -> Statement:
    end = each.stmt_location + each.stmt_len if each.stmt_len else len(raw)
    begin = next((start for start in starts if start >= each.stmt_location), each.stmt_location)
    for _, node in postgast.walk(each.stmt):
        if type(node) in _UNREADABLE:
            findings.refusals.append(_UNREADABLE[type(node)])
        elif type(node) in _OUTSIDE_TRANSACTIONS:
            findings.outside = "it cannot run in a transaction"
        elif look := _LOOKS.get(type(node)):
            look(node, findings)
    return Statement(
        text=raw[begin:end].decode().strip(),
        line=raw.count(b"\n", 0, begin) + 1,
        losses=tuple(findings.losses),
        refusals=tuple(dict.fromkeys(findings.refusals)),
        refused_in_transaction=findings.outside,
        locks=frozenset(findings.locks),
        deleting=frozenset(findings.deleting),
        node=findings.root,
    )


def _drop(node: Any, findings: _Findings) -> None:
    findings.refuse_cascade(node.behavior)
    if node.concurrent:
        findings.outside = "CONCURRENTLY cannot run in a transaction"
    for each in node.objects:
        names = _names(postgast.unwrap_node(each))
        _drop_one(node.remove_type, names, findings)


def _drop_one(kind: int, names: Sequence[str], findings: _Findings) -> None:
    table = findings.resolve("".join(names[-2:-1]), names[-1]) if names else None
    if kind in {tree.OBJECT_TABLE, tree.OBJECT_FOREIGN_TABLE} and table:
        findings.locks.add(table)
        findings.lose("DROP TABLE", table)
        findings.made.discard(table)
    elif kind == tree.OBJECT_SCHEMA:
        findings.made.difference_update([each for each in findings.made if each[0] == names[-1]])
        findings.lose(f"DROP SCHEMA {'.'.join(names)}", None, schema=names[-1])
    elif kind in {tree.OBJECT_TYPE, tree.OBJECT_DOMAIN}:
        findings.lose(f"DROP TYPE {'.'.join(names)}", None)
    elif kind not in _HARMLESS_DROPS:
        findings.refusals.append(f"DROP of {'.'.join(names)} destroys what no archive holds.")


def _alter_table(node: Any, findings: _Findings) -> None:
    table = findings.table(node.relation)
    if node.objtype == tree.OBJECT_TABLE:
        findings.locks.add(table)
    for each in node.cmds:
        command = postgast.unwrap_node(each)
        if not isinstance(command, tree.AlterTableCmd):
            continue
        findings.refuse_cascade(command.behavior)
        if command.subtype == tree.AT_DropColumn:
            findings.lose(f"DROP COLUMN {command.name} of", table, [command.name])
        elif command.subtype == tree.AT_AlterColumnType and not _widens(getattr(command, "def").column_def):
            findings.lose(f"ALTER COLUMN {command.name} TYPE of", table, [command.name])
        elif command.subtype == tree.AT_DetachPartition and _concurrently(command):
            findings.outside = "CONCURRENTLY cannot run in a transaction"
        elif command.subtype == tree.AT_AttachPartition:  # from now on it holds rows that were there before
            findings.made.discard(table)
        elif command.subtype == tree.AT_AddInherit:
            findings.made.discard(findings.table(getattr(command, "def").range_var))
    for _, constraint in postgast.walk(node):
        if isinstance(constraint, tree.Constraint) and constraint.contype == tree.CONSTR_FOREIGN:
            _learn_cascades(constraint, table, findings)


def _learn_cascades(constraint: Any, table: Table, findings: _Findings) -> None:
    referenced = findings.table(constraint.pktable)
    for by, action in (("delete", constraint.fk_del_action), ("update", constraint.fk_upd_action)):
        if action in {"c", "n", "d"}:
            findings.cascades.setdefault((referenced, by), set()).add(table)


def _concurrently(command: Any) -> bool:
    return bool(getattr(command, "def").partition_cmd.concurrent)


def _widens(column: Any) -> bool:
    """Whether any value fits: text and varchar without a length, by the ordinary cast."""
    names = [_string(each) for each in column.type_name.names]
    builtin = names[:-1] in ([], ["pg_catalog"])
    free = (
        builtin
        and names[-1] in {"text", "varchar"}
        and not column.type_name.typmods
        and not column.type_name.array_bounds
    )
    return free and not column.HasField("raw_default")


def _delete(node: Any, findings: _Findings) -> None:
    table = findings.table(node.relation)
    findings.deleting.add(table)
    findings.lose_rows("DELETE FROM", table, by="delete", everything=node is not findings.root)


def _update(node: Any, findings: _Findings) -> None:
    table, columns = findings.table(node.relation), _assigned(node.target_list)
    findings.lose_rows("UPDATE", table, columns, by="update", everything=node is not findings.root)


def _insert(node: Any, findings: _Findings) -> None:
    if node.on_conflict_clause.action == tree.ONCONFLICT_UPDATE:
        columns = _assigned(node.on_conflict_clause.target_list)
        findings.lose("ON CONFLICT DO UPDATE of", findings.table(node.relation), columns)


def _merge(node: Any, findings: _Findings) -> None:
    for each in node.merge_when_clauses:
        clause = postgast.unwrap_node(each)
        if not isinstance(clause, tree.MergeWhenClause):
            continue
        table = findings.table(node.relation)
        if clause.command_type == tree.CMD_UPDATE:
            findings.lose_rows("MERGE into", table, _assigned(clause.target_list), by="update", everything=True)
        elif clause.command_type == tree.CMD_DELETE:
            findings.deleting.add(table)
            findings.lose_rows("MERGE into", table, by="delete", everything=True)


def _truncate(node: Any, findings: _Findings) -> None:
    findings.refuse_cascade(node.behavior)
    for each in node.relations:
        table = findings.table(postgast.unwrap_node(each))
        findings.locks.add(table)
        findings.lose("TRUNCATE", table)


def _index(node: Any, findings: _Findings) -> None:
    if node.concurrent:
        findings.outside = "CONCURRENTLY cannot run in a transaction"


def _reindex(node: Any, findings: _Findings) -> None:
    options = {postgast.unwrap_node(each).defname for each in node.params}
    if "concurrently" in options:
        findings.outside = "CONCURRENTLY cannot run in a transaction"


def _vacuum(node: Any, findings: _Findings) -> None:
    if node.is_vacuumcmd:
        findings.outside = "VACUUM cannot run in a transaction"


def _set(node: Any, findings: _Findings) -> None:
    if node.kind == tree.VAR_RESET_ALL or node.name.lower() in _GUARDED_SETTINGS:
        name = node.name or "RESET ALL"
        findings.refusals.append(f"{name} is the step's own; set the step's lock_timeout, timeout or schema instead.")


def _rename(node: Any, findings: _Findings) -> None:
    findings.refuse_cascade(node.behavior)
    old = findings.table(node.relation)
    if node.rename_type in {tree.OBJECT_TABLE, tree.OBJECT_FOREIGN_TABLE, tree.OBJECT_VIEW, tree.OBJECT_MATVIEW}:
        findings.renamed.add((old[0], node.newname))
        findings.made.difference_update([old, (old[0], node.newname)])
    elif node.rename_type == tree.OBJECT_COLUMN:
        findings.renamed.add((*old, node.newname))


def _move(node: Any, findings: _Findings) -> None:
    findings.renamed.add((node.newschema, node.relation.relname))
    findings.made.difference_update([findings.table(node.relation), (node.newschema, node.relation.relname)])


def _create(node: Any, findings: _Findings) -> None:
    _made(node, node.relation, findings)


def _create_as(node: Any, findings: _Findings) -> None:
    _made(node, node.into.rel, findings)


def _made(node: Any, relation: Any, findings: _Findings) -> None:
    """What the script itself has made, it may destroy."""
    if node is findings.root and not node.if_not_exists:
        schema = "pg_temp" if relation.relpersistence == "t" else relation.schemaname or findings.schema
        findings.made.add((schema, relation.relname))


_LOOKS: Mapping[type[Any], Callable[[Any, _Findings], None]] = {
    tree.DropStmt: _drop,
    tree.AlterTableStmt: _alter_table,
    tree.DeleteStmt: _delete,
    tree.UpdateStmt: _update,
    tree.InsertStmt: _insert,
    tree.MergeStmt: _merge,
    tree.TruncateStmt: _truncate,
    tree.IndexStmt: _index,
    tree.ReindexStmt: _reindex,
    tree.VacuumStmt: _vacuum,
    tree.VariableSetStmt: _set,
    tree.RenameStmt: _rename,
    tree.AlterObjectSchemaStmt: _move,
    tree.CreateStmt: _create,
    tree.CreateTableAsStmt: _create_as,
}


def _assigned(targets: Iterable[Any]) -> list[str]:
    return [each.res_target.name for each in targets]


def _names(node: Any) -> list[str]:
    """The parts of an object's name: a list, a type's name, or a lone string."""
    if isinstance(node, tree.List):
        return [_string(each) for each in node.items]
    if isinstance(node, tree.TypeName):
        return [_string(each) for each in node.names]
    if isinstance(node, tree.ObjectWithArgs):
        return [_string(each) for each in node.objname]
    return [node.sval] if isinstance(node, tree.String) else []


def _string(node: Any) -> str:
    return str(node.string.sval)
