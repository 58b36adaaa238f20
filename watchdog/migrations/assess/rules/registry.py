"""Which rule looks at which statement."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from watchdog.migrations.assess.rules import columns, constraints, data, indexes, others, renames, tables
from watchdog.migrations.assess.scene import Scene
from watchdog.migrations.assess.sqltext import said
from watchdog.migrations.assess.values import Finding, Severity
from watchdog.migrations.parser import postgast, tree
from watchdog.migrations.sql import Table

Rule = Callable[[Scene, Any], Iterator[Finding]]
CommandRule = Callable[[Scene, Table, Any], Iterator[Finding]]


def _plain(kind: str, what: str) -> CommandRule:
    return partial(columns.simple, kind=kind, what=what)


def _moved(kind: str, what: str) -> CommandRule:
    return partial(tables.move_table, kind=kind, what=what)


_TRIGGERS: Final = _plain("ENABLE or DISABLE TRIGGER", "triggers of {table} are switched on or off")
_SECURITY: Final = _plain(
    "ROW LEVEL SECURITY", "who sees which rows of {table} changes; without a policy nobody but the owner sees any"
)
_IDENTITY: Final = _plain("ADD GENERATED AS IDENTITY", "where column {name} of {table} takes its numbers from changes")
_OPTIONS: Final = _plain("SET (storage parameter)", "a storage parameter of {table} changes")

COMMANDS: Final[Mapping[int, CommandRule]] = {
    tree.AT_AddColumn: columns.add_column,
    tree.AT_DropColumn: columns.drop_column,
    tree.AT_ColumnDefault: _plain("SET DEFAULT", "the default of {name} of {table} changes, for new rows"),
    tree.AT_SetNotNull: columns.set_not_null,
    tree.AT_DropNotNull: _plain("DROP NOT NULL", "column {name} of {table} may be null from now on"),
    tree.AT_SetStatistics: _plain("SET STATISTICS", "the statistics target of {name} of {table} changes"),
    tree.AT_SetStorage: _plain("SET STORAGE", "new values of {name} of {table} are stored in another way"),
    tree.AT_SetCompression: _plain("SET COMPRESSION", "new values of {name} of {table} are compressed in another way"),
    tree.AT_SetOptions: _plain("SET (attribute option)", "an option of {name} of {table} changes"),
    tree.AT_ResetOptions: _plain("SET (attribute option)", "an option of {name} of {table} changes"),
    tree.AT_AddIdentity: _IDENTITY,
    tree.AT_SetIdentity: _IDENTITY,
    tree.AT_DropIdentity: _IDENTITY,
    tree.AT_SetExpression: _moved("SET EXPRESSION", "a generated column is computed again"),
    tree.AT_DropExpression: _plain("DROP EXPRESSION", "column {name} of {table} is no longer generated"),
    tree.AT_AlterColumnType: columns.change_type,
    tree.AT_AddConstraint: constraints.add_constraint,
    tree.AT_ValidateConstraint: constraints.validate,
    tree.AT_DropConstraint: constraints.drop_constraint,
    tree.AT_AlterConstraint: constraints.alter_constraint,
    tree.AT_SetLogged: _moved("SET LOGGED or UNLOGGED", "and written to the log"),
    tree.AT_SetUnLogged: _moved("SET LOGGED or UNLOGGED", "a crash or a failover empties it from now on"),
    tree.AT_SetTableSpace: _moved("SET TABLESPACE", "its files are copied"),
    tree.AT_SetAccessMethod: _moved("SET ACCESS METHOD", "for another access method"),
    tree.AT_SetRelOptions: _OPTIONS,
    tree.AT_ResetRelOptions: _OPTIONS,
    tree.AT_ClusterOn: _plain("CLUSTER ON", "the order for the next CLUSTER of {table} changes"),
    tree.AT_DropCluster: _plain("CLUSTER ON", "the order for the next CLUSTER of {table} changes"),
    tree.AT_EnableTrig: _TRIGGERS,
    tree.AT_EnableAlwaysTrig: _TRIGGERS,
    tree.AT_EnableReplicaTrig: _TRIGGERS,
    tree.AT_EnableTrigAll: _TRIGGERS,
    tree.AT_EnableTrigUser: _TRIGGERS,
    tree.AT_DisableTrig: _TRIGGERS,
    tree.AT_DisableTrigAll: _TRIGGERS,
    tree.AT_DisableTrigUser: _TRIGGERS,
    tree.AT_EnableRowSecurity: _SECURITY,
    tree.AT_DisableRowSecurity: _SECURITY,
    tree.AT_ForceRowSecurity: _SECURITY,
    tree.AT_NoForceRowSecurity: _SECURITY,
    tree.AT_ReplicaIdentity: _plain("REPLICA IDENTITY", "what subscribers tell rows of {table} apart by changes"),
    tree.AT_ChangeOwner: _plain("OWNER TO", "{table} gets another owner"),
    tree.AT_AddInherit: _plain("INHERIT", "{table} comes below another table"),
    tree.AT_DropInherit: _plain("INHERIT", "{table} is no longer below another table"),
    tree.AT_AttachPartition: tables.attach,
    tree.AT_DetachPartition: tables.detach,
}
_UNKNOWN_COMMAND: Final = _plain("ALTER TABLE", "{table} changes")


def alter_table(scene: Scene, node: Any) -> Iterator[Finding]:
    """Each command of an ALTER TABLE; of an index, a view or a sequence only that it changes."""
    table = scene.table(node.relation)
    if node.objtype not in {tree.OBJECT_TABLE, tree.OBJECT_FOREIGN_TABLE}:
        word = tree.ObjectType.Name(node.objtype).removeprefix("OBJECT_").lower()
        if node.objtype == tree.OBJECT_TYPE:
            yield from others.composite(scene, node)
        else:
            yield scene.note(f"alter-{word}", Severity.LOW, f"{word} {said(table)} changes")
        return
    for each in node.cmds:
        command = postgast.unwrap_node(each)
        yield from COMMANDS.get(command.subtype, _UNKNOWN_COMMAND)(scene, table, command)
        if command.behavior == tree.DROP_CASCADE:
            yield others.cascade(scene)


RULES: Final[Mapping[type[Any], Rule]] = {
    tree.AlterTableStmt: alter_table,
    tree.CreateStmt: tables.create_table,
    tree.CreateTableAsStmt: tables.create_table_as,
    tree.SelectStmt: tables.select,
    tree.TruncateStmt: tables.truncate,
    tree.LockStmt: tables.lock_table,
    tree.DropStmt: others.drop,
    tree.RenameStmt: renames.rename,
    tree.AlterObjectSchemaStmt: renames.move,
    tree.IndexStmt: indexes.create_index,
    tree.ReindexStmt: indexes.reindex,
    tree.ClusterStmt: indexes.cluster,
    tree.VacuumStmt: indexes.vacuum,
    tree.CreateStatsStmt: indexes.statistics,
    tree.RefreshMatViewStmt: indexes.refresh,
    tree.UpdateStmt: data.update,
    tree.DeleteStmt: data.delete,
    tree.InsertStmt: data.insert,
    tree.MergeStmt: data.merge,
    tree.CopyStmt: data.copy_rows,
    tree.AlterEnumStmt: others.add_value,
    tree.AlterDomainStmt: others.alter_domain,
    tree.ViewStmt: others.view,
    tree.CommentStmt: others.comment,
    tree.CreatePublicationStmt: others.publication,
    tree.AlterPublicationStmt: others.publication,
    tree.AlterSeqStmt: others.sequence,
    tree.CreateTrigStmt: others.on_table(
        "CREATE TRIGGER", "create-trigger", "every write of {} runs a trigger more", Severity.MEDIUM
    ),
    tree.RuleStmt: others.on_table("CREATE RULE", "create-rule", "statements on {} are rewritten", Severity.MEDIUM),
    tree.CreatePolicyStmt: others.on_table(
        "CREATE POLICY", "create-policy", "who sees which rows of {} changes", Severity.LOW
    ),
    tree.AlterPolicyStmt: others.on_table(
        "CREATE POLICY", "alter-policy", "who sees which rows of {} changes", Severity.LOW
    ),
    tree.DoStmt: others.hidden("DO"),
    tree.CallStmt: others.hidden("CALL"),
    tree.ExecuteStmt: others.hidden("EXECUTE"),
    tree.AlterSystemStmt: others.outside("ALTER SYSTEM"),
    tree.DropdbStmt: others.outside("DROP DATABASE"),
    tree.DropOwnedStmt: others.outside("DROP OWNED"),
    tree.DropTableSpaceStmt: others.outside("DROP TABLESPACE"),
    tree.DropRoleStmt: others.outside("DROP ROLE"),
    tree.DropSubscriptionStmt: others.outside("DROP SUBSCRIPTION"),
    tree.NotifyStmt: others.outside("NOTIFY"),
    tree.LoadStmt: others.outside("LOAD"),
    tree.TransactionStmt: others.quiet("transaction", "a transaction begins or ends"),
    tree.VariableSetStmt: others.setting,
    tree.GrantStmt: others.grant,
}
_WRITES: Final = frozenset({tree.InsertStmt, tree.UpdateStmt, tree.DeleteStmt, tree.MergeStmt})
_HOLDERS: Final = frozenset({tree.SelectStmt, tree.CreateTableAsStmt, tree.CopyStmt, *_WRITES})


def look(scene: Scene, node: Any) -> Iterator[Finding]:
    """What the rules say to a statement, and to what it executes inside itself: WITH d AS (DELETE …)."""
    yield from RULES.get(type(node), OTHERWISE)(scene, node)
    analyzed = isinstance(node, tree.ExplainStmt) and any(each.def_elem.defname == "analyze" for each in node.options)
    if type(node) in _HOLDERS or analyzed:
        for _, inner in postgast.walk(node):
            if type(inner) in _WRITES and inner is not node:
                yield from RULES[type(inner)](scene, inner)


OTHERWISE: Final = others.quiet("other", "no table is locked against reads or writes")
