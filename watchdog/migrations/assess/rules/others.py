"""Types, views, triggers, functions, publications, and what hides what it does."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from watchdog.migrations.assess.locks import Work
from watchdog.migrations.assess.rules import indexes, tables
from watchdog.migrations.assess.rules.renames import rename_value
from watchdog.migrations.assess.scene import Scene
from watchdog.migrations.assess.sqltext import names, quoted, said
from watchdog.migrations.assess.values import Category, Finding, Severity, Undo
from watchdog.migrations.parser import postgast, tree

_TABLES: Final = frozenset({tree.OBJECT_TABLE, tree.OBJECT_FOREIGN_TABLE})
_ON_TABLES: Final = frozenset({tree.OBJECT_TRIGGER, tree.OBJECT_POLICY, tree.OBJECT_RULE})
_VIEWS: Final = frozenset({tree.OBJECT_VIEW, tree.OBJECT_MATVIEW})


def drop(scene: Scene, node: Any) -> Iterator[Finding]:
    """DROP of anything."""
    for each in node.objects:
        yield from _drop_one(scene, node, each)
    if node.behavior == tree.DROP_CASCADE:
        yield cascade(scene)


def cascade(scene: Scene) -> Finding:
    """CASCADE takes what is not named."""
    message = "CASCADE drops what is not named: views, foreign keys, columns, whatever depends on it"
    return scene.note(
        "cascade",
        Severity.HIGH,
        message,
        category=Category.RELATIONSHIP,
        undo=Undo.NO,
        destroys="objects that are not named",
        safe="-- drop the dependent objects first, by name, and then this one without CASCADE",
    )


def _drop_one(scene: Scene, node: Any, each: Any) -> Iterator[Finding]:
    name, kind = names(each), node.remove_type
    if kind in _TABLES:
        yield from tables.drop_table(
            scene, scene.named(name), cascade=node.behavior == tree.DROP_CASCADE, if_exists=node.missing_ok
        )
    elif kind == tree.OBJECT_INDEX:
        yield from indexes.drop_index(scene, node, scene.named(name))
    elif kind in _ON_TABLES:
        table = scene.named(name[:-1])
        word = tree.ObjectType.Name(kind).removeprefix("OBJECT_").lower()
        relation = scene.relation(table)
        if node.missing_ok and relation and name[-1] not in relation.attached:
            message = f"{said(table)} has no {word} {quoted(name[-1])} to drop"
            yield scene.note(f"drop-{word}", Severity.INFO, message, table=table)
            return
        message = f"{word} {quoted(name[-1])} of {said(table)} is dropped"
        severity = Severity.INFO if scene.is_fresh(table) else Severity.MEDIUM
        yield scene.change(f"drop-{word}", "DROP TRIGGER", table, message, severity=severity)
    elif kind in _VIEWS:
        view = scene.named(name)
        message = f"{said(view)} is dropped; old code that reads it fails with 42P01"
        yield scene.change("drop-view", "DROP VIEW", view, message, severity=Severity.HIGH)
    elif kind == tree.OBJECT_SCHEMA:
        yield scene.note(
            "drop-schema", Severity.CRITICAL, f"schema {quoted(*name)} is dropped", category=Category.DATA,
            undo=Undo.ARCHIVE, destroys=f"everything in schema {quoted(*name)}",
        )  # fmt: skip
    elif kind == tree.OBJECT_SEQUENCE:
        yield scene.note(
            "drop-sequence", Severity.HIGH, f"sequence {quoted(*name)} is dropped with its position",
            undo=Undo.ARCHIVE, destroys=f"the position of {quoted(*name)}",
        )  # fmt: skip
    else:
        word = tree.ObjectType.Name(kind).removeprefix("OBJECT_").lower().replace("_", " ")
        message = f"{word} {quoted(*name)} is dropped; code that uses it fails"
        yield scene.note(f"drop-{word.replace(' ', '-')}", Severity.MEDIUM, message)


def add_value(scene: Scene, node: Any) -> Iterator[Finding]:
    """ALTER TYPE … ADD VALUE, and RENAME VALUE."""
    name = quoted(*(each.string.sval for each in node.type_name))
    if node.old_val:
        yield rename_value(scene, node)
        return
    message = (
        f"type {name} gets the value '{node.new_val}', which cannot be removed again: to undo it, the type is made "
        "anew and every table with it rewritten; old code may not know it"
    )
    yield scene.note("enum-add-value", Severity.LOW, message, undo=Undo.ARCHIVE)


def alter_domain(scene: Scene, node: Any) -> Iterator[Finding]:
    """ALTER DOMAIN."""
    name = quoted(*(each.string.sval for each in node.type_name))
    constraint = postgast.unwrap_node(getattr(node, "def")) if node.HasField("def") else None
    checks = node.subtype == "C" and not (constraint is not None and constraint.skip_validation)
    if checks or node.subtype == "O":
        message = f"every table with a column of domain {name} is read while writes wait"
        yield scene.note(
            "domain-constraint", Severity.HIGH, message, category=Category.DATA, work=Work.SCAN, seconds=None,
            safe=f"-- add the constraint NOT VALID, then, in a transaction of its own:\n"
            f"ALTER DOMAIN {name} VALIDATE CONSTRAINT <name>;",
        )  # fmt: skip
    else:
        yield scene.note("alter-domain", Severity.LOW, f"domain {name} changes", category=Category.DATA)


def composite(scene: Scene, node: Any) -> Iterator[Finding]:
    """ALTER TYPE of a composite type."""
    message = f"the type {said(scene.table(node.relation))} changes, and with it every table and function that uses it"
    yield scene.note("alter-type", Severity.MEDIUM, message, undo=Undo.ARCHIVE)


def view(scene: Scene, node: Any) -> Iterator[Finding]:
    """CREATE VIEW."""
    name = scene.table(node.view)
    if node.replace:
        message = f"view {said(name)} is made, or replaced while its readers wait a moment"
        yield scene.change("replace-view", "CREATE OR REPLACE VIEW", name, message)
    else:
        scene.known.fresh.add(name)
        yield scene.note("create-view", Severity.INFO, f"view {said(name)} is made", table=name)


def on_table(kind: str, rule: str, what: str, severity: Severity) -> Callable[[Scene, Any], Iterator[Finding]]:
    """A rule for what hangs on one table."""

    def look(scene: Scene, node: Any) -> Iterator[Finding]:
        table = scene.table(node.table if hasattr(node, "table") else node.relation)
        bad = Severity.INFO if scene.is_fresh(table) else severity
        yield scene.change(rule, kind, table, what.format(said(table)), severity=bad)

    return look


def comment(scene: Scene, node: Any) -> Iterator[Finding]:
    """COMMENT ON."""
    name = names(node.object)
    if node.objtype in {tree.OBJECT_TABLE, tree.OBJECT_COLUMN}:
        table = scene.named(name[:-1] if node.objtype == tree.OBJECT_COLUMN else name)
        yield scene.change("comment", "COMMENT", table, f"a comment of {said(table)} changes")
    else:
        yield scene.note("comment", Severity.INFO, "a comment changes")


def publication(scene: Scene, node: Any) -> Iterator[Finding]:
    """CREATE and ALTER PUBLICATION."""
    published = [postgast.unwrap_node(each) for each in node.pubobjects]
    locked = [scene.table(each.pubtable.relation) for each in published if each.HasField("pubtable")]
    yield scene.note(
        "publication",
        Severity.MEDIUM,
        f"what publication {quoted(node.pubname)} sends changes; its subscribers must know the same tables",
        category=Category.RELATIONSHIP,
        locks=tuple(lock for table in locked for lock in scene.lock("PUBLICATION … TABLE", table)),
    )


def sequence(scene: Scene, node: Any) -> Iterator[Finding]:
    """ALTER SEQUENCE."""
    name = scene.table(node.sequence)
    options = {postgast.unwrap_node(each).defname for each in node.options}
    lost: dict[str, Any] = {}
    if "restart" in options:
        lost = {"destroys": f"the position of {said(name)}", "undo": Undo.ARCHIVE}
    severity = Severity.MEDIUM if lost else Severity.LOW
    yield scene.change(
        "alter-sequence", "ALTER SEQUENCE", name, f"sequence {said(name)} changes", severity=severity, **lost
    )


def hidden(what: str) -> Callable[[Scene, Any], Iterator[Finding]]:
    """A rule for statements that cannot be seen through."""

    def look(scene: Scene, _node: Any) -> Iterator[Finding]:
        message = f"{what} hides what it does: nothing of it was assessed; write its statements in the script"
        yield scene.note("hidden", Severity.HIGH, message, category=Category.DATA, undo=Undo.NO, seconds=None)

    return look


def outside(what: str) -> Callable[[Scene, Any], Iterator[Finding]]:
    """A rule for statements whose effect no rollback takes back."""

    def look(scene: Scene, _node: Any) -> Iterator[Finding]:
        message = f"{what} acts outside this database or beyond any archive; it cannot be taken back"
        yield scene.note("outside", Severity.HIGH, message, category=Category.DATA, undo=Undo.NO)

    return look


def grant(scene: Scene, node: Any) -> Iterator[Finding]:
    """GRANT and REVOKE."""
    if node.is_grant:
        yield scene.note("grant", Severity.INFO, "somebody may do more")
    else:
        yield scene.note("revoke", Severity.MEDIUM, "old code that needs what is revoked fails with 42501")


def setting(scene: Scene, node: Any) -> Iterator[Finding]:
    """SET: a search path says what the names that follow mean."""
    if node.name == "search_path":
        values = (each.a_const.sval.sval for each in node.args)
        scene.known.path = tuple(each for each in values if each not in {"", "$user"})
    yield scene.note("setting", Severity.INFO, "a setting of the session changes")


def quiet(rule: str, message: str) -> Callable[[Scene, Any], Iterator[Finding]]:
    """A rule for what nobody feels."""

    def look(scene: Scene, _node: Any) -> Iterator[Finding]:
        yield scene.note(rule, Severity.INFO, message)

    return look
