"""Rules about what a statement writes: nodes, relationships, properties, labels."""

from collections.abc import Iterator
from typing import Final

from watchdog.migrations.assess.graph.effects import Effect, Kind
from watchdog.migrations.assess.graph.view import (
    View,
    amount,
    graded,
    pattern,
    quote_if_needed,
    said,
    seconds,
    worse,
)
from watchdog.migrations.assess.locks import Work
from watchdog.migrations.assess.values import Category, Finding, Severity, Undo

_SOME: Final = 10_000


def written(view: View) -> Iterator[Finding]:
    """A finding for each thing that a statement writes."""
    seen = set[tuple[object, ...]]()
    for effect in view.effects:
        key = (effect.kind, effect.relationship, effect.names, effect.properties, effect.added, effect.fresh)
        if key not in seen:
            seen.add(key)
            yield from _RULES[effect.kind](view, effect)


def _category(effect: Effect) -> Category:
    return Category.RELATIONSHIP if effect.relationship else Category.DATA


def _created(view: View, effect: Effect) -> Iterator[Finding]:
    what = said(effect.names, relationship=effect.relationship)
    rows = max(1, round(effect.rows))
    severity = Severity.INFO if rows < _SOME else graded(seconds(Work.UPDATE, rows))
    rule = "create-relationships" if effect.relationship else "create-nodes"
    message = f"{what} are made, about {rows:,}"
    yield view.work(rule, _category(effect), Work.NONE, rows, message, severity=severity)


def _merged(view: View, effect: Effect) -> Iterator[Finding]:
    what = said(effect.names, relationship=effect.relationship)
    if effect.relationship or not effect.names:
        yield view.note("merge", _category(effect), Severity.INFO, f"{what} are made where they are missing")
        return
    keyed = any(
        each.constraint
        and not each.relationship
        and set(each.names) & set(effect.names)
        and set(each.properties) <= set(effect.properties)
        for each in view.indexes
    )
    if keyed or not effect.properties:
        yield view.note("merge", Category.DATA, Severity.INFO, f"{what} are made where they are missing")
        return
    label, properties = effect.names[0], effect.properties
    listed = ", ".join(f"n.{quote_if_needed(name)}" for name in properties)
    name = "_".join(part for part in (label, *properties) if part.isidentifier()).lower() or "key"
    yield view.note(
        "merge-without-key",
        Category.DATA,
        Severity.MEDIUM,
        f"{what} are made where they are missing, and no constraint makes {', '.join(properties)} unique: two that do"
        " it at once make them twice",
        safe=f"CREATE CONSTRAINT {name} IF NOT EXISTS FOR {pattern([label], 'n')} REQUIRE ({listed}) IS UNIQUE;",
    )


def _deleted(view: View, effect: Effect) -> Iterator[Finding]:
    rows, empty = view.rows(effect), view.is_empty(effect)
    severity = Severity.INFO if empty else worse(Severity.MEDIUM, graded(seconds(Work.DELETE, rows)))
    if effect.whole and not empty:
        severity = worse(severity, Severity.CRITICAL if not effect.names else Severity.HIGH)
    rule = "delete-relationships" if effect.relationship else "delete-nodes"
    whole = "-all" if effect.whole else ""
    tail = (
        "" if effect.relationship or effect.kind is Kind.DETACH else "; one that still has relationships makes it fail"
    )
    yield view.work(
        f"{rule}{whole}",
        _category(effect),
        Work.DELETE,
        rows,
        f"{amount(view, effect)} are deleted{tail}",
        severity=severity,
        safe=_in_batches(view, effect, "DETACH DELETE" if effect.kind is Kind.DETACH else "DELETE"),
        **_loss(view, effect, amount(view, effect)),
    )
    if effect.kind is Kind.DETACH and not empty:
        yield from _detached(view, effect)


def _detached(view: View, effect: Effect) -> Iterator[Finding]:
    degree = sum(view.facts.degrees.get(name, 0) for name in effect.names) if effect.names else view.facts.relationships
    if degree == 0:
        return
    count = max(1, round(degree * view.rows(effect) / max(1, view.total(effect))))
    yield view.work(
        "detach",
        Category.RELATIONSHIP,
        Work.DELETE,
        count,
        f"with them go their relationships, at most about {count:,}; the nodes at the other ends are locked",
        severity=worse(Severity.MEDIUM, graded(seconds(Work.DELETE, count))),
        destroys=f"about {count:,} relationships",
        undo=Undo.ARCHIVE,
    )


def _set(view: View, effect: Effect) -> Iterator[Finding]:
    rows = view.rows(effect)
    keys = ", ".join(effect.properties)
    known = {(name, key) for name in effect.names for key in effect.properties}
    new = bool(effect.properties and effect.names) and not known & view.facts.lost
    if effect.fresh or (effect.names and view.total(effect) == 0):
        return  # part of what is made
    severity = graded(seconds(Work.UPDATE, rows))
    what = f"{keys or 'properties'} of {amount(view, effect)}"
    if new:
        message = f"{what} gets a value; nothing had one"
        yield view.work("set-new-property", _category(effect), Work.UPDATE, rows, message, severity=severity)
        return
    removed = effect.kind is Kind.REMOVE
    yield view.work(
        "remove-property" if removed else "set-property",
        _category(effect),
        Work.UPDATE,
        rows,
        f"{what} is {'taken away; old code that reads it finds nothing' if removed else 'written over'}",
        severity=worse(severity, Severity.HIGH if removed and effect.whole else Severity.MEDIUM),
        safe=_in_batches(view, effect, "REMOVE" if removed else "SET"),
        **_loss(view, effect, f"earlier values of {what}"),
    )


def _replaced(view: View, effect: Effect) -> Iterator[Finding]:
    if view.is_empty(effect):
        return
    rows = view.rows(effect)
    kept = f", and {', '.join(effect.properties)} is written anew" if effect.properties else ""
    yield view.work(
        "replace-properties",
        _category(effect),
        Work.UPDATE,
        rows,
        f"every property of {amount(view, effect)} goes{kept}; SET … += keeps the others",
        severity=worse(Severity.HIGH, graded(seconds(Work.UPDATE, rows))),
        safe="// SET x += {…} instead of SET x = {…}",
        **_loss(view, effect, f"all properties of {amount(view, effect)}"),
    )


def _labelled(view: View, effect: Effect) -> Iterator[Finding]:
    if view.is_empty(effect):
        return
    rows = view.rows(effect)
    if not effect.added:
        message = f"labels out of an expression are given to {amount(view, effect)}; which, only its run tells"
        yield view.work("dynamic-labels", Category.SCHEMA, Work.UPDATE, rows, message, severity=Severity.MEDIUM)
        return
    given = " and ".join(f":{name}" for name in effect.added)
    yield view.work("add-label", Category.SCHEMA, Work.UPDATE, rows, f"{amount(view, effect)} get the label {given}")


def _unlabelled(view: View, effect: Effect) -> Iterator[Finding]:
    if view.is_empty(effect):
        return
    rows = view.rows(effect)
    taken = " and ".join(f":{name}" for name in effect.added) or "labels out of an expression"
    bad = Severity.HIGH if effect.whole and set(effect.added) & set(effect.names) else Severity.MEDIUM
    yield view.work(
        "remove-label",
        Category.SCHEMA,
        Work.UPDATE,
        rows,
        f"{amount(view, effect)} lose {taken}; old code that matches it does not find them, and no index holds them",
        severity=worse(bad, graded(seconds(Work.UPDATE, rows))),
        safe="// give the new label first; take the old one away in a later release, when no code matches it",
        **_loss(view, effect, f"which nodes carried {taken}"),
    )


def _loss(view: View, effect: Effect, what: str) -> dict[str, object]:
    return {"undo": Undo.EXACTLY} if view.is_empty(effect) else {"destroys": what, "undo": Undo.ARCHIVE}


def _in_batches(view: View, effect: Effect, clause: str) -> str:
    """The statement in transactions of their own; empty where one is small enough, or it does so already."""
    if view.look.statement.batches or view.rows(effect) < _SOME:
        return ""
    name = "r" if effect.relationship else "n"
    target = name if clause.endswith("DELETE") else f"{name}.{'…' if clause == 'REMOVE' else '… = …'}"
    where = "" if effect.whole else " WHERE …"
    return (
        f"MATCH {pattern(effect.names, name, relationship=effect.relationship)}{where}\n"
        f"CALL ({name}) {{ {clause} {target} }} IN TRANSACTIONS OF 1000 ROWS;"
    )


_RULES: Final = {
    Kind.CREATE: _created,
    Kind.MERGE: _merged,
    Kind.DELETE: _deleted,
    Kind.DETACH: _deleted,
    Kind.SET: _set,
    Kind.REMOVE: _set,
    Kind.REPLACE: _replaced,
    Kind.LABEL: _labelled,
    Kind.UNLABEL: _unlabelled,
}
