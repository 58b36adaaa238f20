"""What a script may not hold, because no rollback could take it back; each is named with its line."""

import re
from collections.abc import Iterator
from typing import Any

from watchdog.migrations.parser import SqlSyntaxError, statements_of, tree
from watchdog.migrations.shape import Name

_STATEMENTS = {
    tree.TransactionStmt: "its own transaction; the migration runs in ours, leave out BEGIN, COMMIT and SAVEPOINT",
    tree.AlterSystemStmt: "ALTER SYSTEM reaches beyond this database",
    tree.CreatedbStmt: "CREATE DATABASE reaches beyond this database",
    tree.DropdbStmt: "DROP DATABASE destroys what no archive holds",
    tree.AlterDatabaseStmt: "ALTER DATABASE reaches beyond this schema",
    tree.AlterDatabaseSetStmt: "ALTER DATABASE … SET is not undone",
    tree.AlterDatabaseRefreshCollStmt: "ALTER DATABASE … REFRESH COLLATION VERSION is not undone",
    tree.CreateRoleStmt: "roles belong to the whole server",
    tree.AlterRoleStmt: "roles belong to the whole server",
    tree.AlterRoleSetStmt: "settings of roles belong to the whole server",
    tree.DropRoleStmt: "roles belong to the whole server",
    tree.GrantRoleStmt: "memberships of roles belong to the whole server",
    tree.ReassignOwnedStmt: "REASSIGN OWNED reaches beyond this database",
    tree.DropOwnedStmt: "DROP OWNED reaches beyond this database",
    tree.CreateTableSpaceStmt: "tablespaces belong to the whole server",
    tree.DropTableSpaceStmt: "tablespaces belong to the whole server",
    tree.AlterTableSpaceOptionsStmt: "tablespaces belong to the whole server",
    tree.AlterTableMoveAllStmt: "tables are not moved back between tablespaces",
    tree.CreateSubscriptionStmt: "subscriptions reach another server",
    tree.AlterSubscriptionStmt: "subscriptions reach another server",
    tree.DropSubscriptionStmt: "subscriptions reach another server",
    tree.CreateForeignServerStmt: "foreign servers hold what no archive holds",
    tree.AlterForeignServerStmt: "foreign servers hold what no archive holds",
    tree.CreateUserMappingStmt: "user mappings may hold passwords, which no dump shows",
    tree.AlterUserMappingStmt: "user mappings may hold passwords, which no dump shows",
    tree.DropUserMappingStmt: "user mappings may hold passwords, which no dump shows",
    tree.ImportForeignSchemaStmt: "foreign tables hold what no archive holds",
    tree.AlterExtensionStmt: "ALTER EXTENSION UPDATE has no way back",
    tree.AlterExtensionContentsStmt: "ALTER EXTENSION ADD and DROP are not undone",
    tree.NotifyStmt: "NOTIFY is heard and cannot be taken back",
    tree.ListenStmt: "LISTEN and UNLISTEN belong to a session",
    tree.UnlistenStmt: "LISTEN and UNLISTEN belong to a session",
    tree.LoadStmt: "LOAD runs code of the server's files",
    tree.CheckPointStmt: "CHECKPOINT is not for a migration",
    tree.SecLabelStmt: "security labels are not undone",
    tree.CreateTransformStmt: "transforms run code of the server's files",
    tree.CreateAmStmt: "access methods run code of the server's files",
    tree.DiscardStmt: "DISCARD takes away what our session needs",
}  # fmt: skip
_TRUSTED = frozenset({"sql", "plpgsql", "internal"})
_SETTINGS = frozenset(
    {"session_replication_role", "role", "session_authorization", "transaction_isolation", "transaction_read_only"}
)  # fmt: skip
_CALLS = re.compile(
    r"\b(lo_\w+|loread|lowrite|dblink\w*|pg_notify|pg_read_(?:binary_)?file|pg_write_\w+|pg_file_\w+|pg_reload_conf|"
    r"pg_terminate_backend|pg_cancel_backend|pg_switch_wal|pg_logical_emit_message|pg_promote|pg_advisory_lock\w*|"
    r"pg_create_\w+_replication_slot|pg_drop_replication_slot|pg_replication_origin_\w+|pg_rotate_logfile|"
    r"query_to_xml|pg_stat_reset\w*|pg_import_system_collations|pg_extension_config_dump)\s*\(",
    re.IGNORECASE,
)
_HIDDEN = re.compile(
    r"\b(NOTIFY\s+\w|ALTER\s+SYSTEM|ALTER\s+DATABASE|(?:CREATE|ALTER|DROP)\s+(?:ROLE|USER|GROUP|TABLESPACE|SUBSCRIPTION)\b|"
    r"COPY\b[^;]*\b(?:PROGRAM|TO|FROM)\b\s*'|COMMIT\s*;|ROLLBACK\s*;|SET\s+(?:LOCAL\s+|SESSION\s+)?(?:session_replication_role|ROLE)\b)",
    re.IGNORECASE,
)
_META = re.compile(r"^\s*\\\w+", re.MULTILINE)


def refusals(script: str) -> tuple[str, ...]:
    """Why a script may not run, one sentence each with its line; empty when it may."""
    try:
        split = [(one.stmt, one.stmt_location, one.stmt_len) for one in statements_of(script)]
    except SqlSyntaxError as error:
        if meta := _META.search(script):
            line = script.count("\n", 0, meta.start(0)) + 1
            return (f"line {line}: {meta.group().strip()} is for psql only; write SQL",)
        return (str(error),)
    raw = script.encode()
    found: list[str] = []
    for node, start, length in split:
        text = raw[start : start + length if length else None].decode()
        first = start + len(text.encode()) - len(text.lstrip().encode())
        line = raw.count(b"\n", 0, first) + 1
        statement = getattr(node, node.WhichOneof("node"))
        found += [f"line {line}: {reason}" for reason in _reasons(statement, text)]
    return tuple(dict.fromkeys(found))


def _reasons(statement: Any, text: str) -> Iterator[str]:
    defines = isinstance(statement, tree.CreateFunctionStmt | tree.CommentStmt)
    if not defines:
        for call in _CALLS.findall(text):
            yield f"{call}() has effects that no archive holds"
    if isinstance(statement, tree.DoStmt | tree.CallStmt):
        for hidden in _HIDDEN.findall(text):
            yield f"{hidden.strip()} inside a DO block cannot be taken back"
    for node in _walk(statement):
        if reason := _STATEMENTS.get(type(node)) or _special(node):
            yield reason


def _special(node: Any) -> str:
    match node:
        case tree.CopyStmt():
            return "COPY needs a client or the server's files; use INSERT … SELECT"
        case tree.VariableSetStmt() if node.name.lower() in _SETTINGS or node.kind == tree.VAR_RESET_ALL:
            return f"{node.name or 'RESET ALL'} belongs to the run; leave it out"
        case tree.VacuumStmt() if node.is_vacuumcmd:
            return "VACUUM cannot be in one transaction with the archive"
        case tree.AlterTableCmd() if node.subtype in {tree.AT_SetTableSpace, tree.AT_SetAccessMethod}:
            return "tables are not moved back between tablespaces and access methods"
        case tree.IndexStmt() if node.concurrent:
            return "CREATE INDEX CONCURRENTLY cannot be in one transaction with the archive"
        case tree.DropStmt() if node.concurrent:
            return "DROP INDEX CONCURRENTLY cannot be in one transaction with the archive"
        case tree.DropStmt() if node.remove_type in {
            tree.OBJECT_FOREIGN_TABLE, tree.OBJECT_FOREIGN_SERVER, tree.OBJECT_FDW, tree.OBJECT_SUBSCRIPTION,
            tree.OBJECT_EXTENSION, tree.OBJECT_TRANSFORM, tree.OBJECT_ACCESS_METHOD,
        }:  # fmt: skip
            return "it drops what no archive holds: an extension or something foreign"
        case tree.ReindexStmt() if any(p.def_elem.defname == "concurrently" for p in node.params):
            return "REINDEX CONCURRENTLY cannot be in one transaction with the archive"
        case tree.DoStmt() | tree.CreateFunctionStmt():
            return _language(node)
        case tree.CreatePLangStmt():
            return "CREATE LANGUAGE is not undone"
        case _:
            return ""


def _language(node: Any) -> str:
    options = node.args if isinstance(node, tree.DoStmt) else node.options
    for option in options:
        if option.def_elem.defname == "language" and option.def_elem.arg.string.sval.lower() not in _TRUSTED:
            return f"language {option.def_elem.arg.string.sval} may do things that no archive holds"
    return ""


def _walk(node: Any) -> Iterator[Any]:
    yield node
    for descriptor, value in node.ListFields():
        if descriptor.type != descriptor.TYPE_MESSAGE:
            continue
        for child in value if not hasattr(value, "ListFields") else (value,):
            yield from _walk(child)


def written(script: str) -> tuple[frozenset[Name], frozenset[Name]]:
    """Tables whose rows the script names as written, and which of them it deletes from; no schema if none is said."""
    found: set[Name] = set()
    deleted: set[Name] = set()
    for one in statements_of(script):
        for node in _walk(one.stmt):
            if isinstance(node, tree.InsertStmt | tree.UpdateStmt | tree.DeleteStmt | tree.MergeStmt):
                found.add((node.relation.schemaname, node.relation.relname))
                if isinstance(node, tree.DeleteStmt | tree.MergeStmt):
                    deleted.add((node.relation.schemaname, node.relation.relname))
            elif isinstance(node, tree.TruncateStmt):
                tables = {(r.range_var.schemaname, r.range_var.relname) for r in node.relations}
                found |= tables
                deleted |= tables
    return frozenset(found), frozenset(deleted)
