"""What a plan's operators write, out of what the server says about them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from watchdog.migrations.assess.graph.plan import LABELS, NAME, Operator, names, parts, plain


class Kind(Enum):
    """What happens to nodes or relationships."""

    CREATE = "create"
    MERGE = "merge"
    DELETE = "delete"
    DETACH = "detach"
    SET = "set"
    REPLACE = "replace"
    REMOVE = "remove"
    LABEL = "label"
    UNLABEL = "unlabel"


@dataclass(frozen=True)
class Effect:
    """One thing that a statement writes.

    Attributes:
        relationship: Whether it is about relationships, not nodes.
        names: The labels, or the types; empty where the plan does not name them.
        properties: Those that are written; of a merge, those that it looks for.
        rows: How often it is estimated to happen.
        whole: Whether nothing but labels chooses what it happens to.
        fresh: Whether it happens only to what the statement has made.
        added: Of LABEL and UNLABEL, the labels given or taken; empty when they come out of an expression.
    """

    kind: Kind
    relationship: bool
    names: tuple[str, ...]
    properties: tuple[str, ...] = ()
    rows: float = 0.0
    whole: bool = False
    fresh: bool = False
    added: tuple[str, ...] = ()


_WORDS: Final = re.compile(r"(?:ON MATCH |ON CREATE )?(?:SET|REMOVE|DELETE|DETACH DELETE|CREATE|MERGE|LOCK)\b")
_PROPERTY: Final = re.compile(rf"(?P<name>{NAME})\.(?P<property>{NAME}) = (?P<value>.*)", re.DOTALL)
_MAP: Final = re.compile(rf"(?P<name>{NAME}) (?P<sign>\+?=) (?P<map>.*)", re.DOTALL)
_LABEL: Final = re.compile(rf"(?P<name>{NAME}):(?P<labels>{LABELS}|\$.*)", re.DOTALL)
_DYNAMIC: Final = re.compile(rf"(?P<name>{NAME})\[.*\] = .*", re.DOTALL)
_NODE: Final = re.compile(rf"\((?P<name>{NAME})?(?::(?P<labels>{LABELS}))?(?: (?P<map>\{{.*\}}))?\)", re.DOTALL)
_TIE: Final = re.compile(rf"\[(?P<name>{NAME})?(?::(?P<labels>{NAME}))?(?: (?P<map>\{{.*\}}))?\]", re.DOTALL)
_KEY: Final = re.compile(rf"(?P<key>{NAME}): ")
_ALIAS: Final = re.compile(rf"(?P<old>{NAME}) AS (?P<new>{NAME})")
_MEMBER: Final = re.compile(rf"(?P<new>{NAME}) IN \[(?P<old>{NAME})\]")
_SETS: Final = frozenset(
    {
        *("SetProperty", "SetProperties", "SetNodeProperty", "SetNodeProperties", "SetRelationshipProperty"),
        *("SetRelationshipProperties", "SetNodePropertiesFromMap", "SetRelationshipPropertiesFromMap"),
        *("SetPropertiesFromMap", "SetDynamicProperty", "SetLabels", "RemoveLabels"),
    }
)
_DELETES: Final = ("Delete", "DetachDelete")


def effects_of(plan: Operator) -> Iterator[Effect]:
    """Everything that a plan writes, the last operator first."""
    scope = _Scope(plan)
    for operator in plan.walk():
        for effect in _of(operator, scope):
            yield replace(effect, rows=operator.rows, whole=not scope.narrowed)


class _Scope:
    """What the names in a plan mean."""

    def __init__(self, plan: Operator) -> None:
        everything = list(plan.walk())
        # An Eager names what it keeps apart, which says nothing about it.
        self.reading = "\n".join(each.details for each in everything if not _writes(each) and each.name != "Eager")
        self.writing = "\n".join(each.details for each in everything if _writes(each))
        self.narrowed = any(each.narrows or each.name.endswith("Merge") for each in everything)
        pairs = [*_ALIAS.finditer(self.reading), *_MEMBER.finditer(self.writing)]
        self.aliases = {found["new"]: found["old"] for found in pairs}

    def of(self, name: str) -> tuple[bool, tuple[str, ...], bool]:
        """Whether a name is a relationship, its labels or type, and whether the statement has made it."""
        tied, labels, fresh = self._direct(name)
        seen = {name}
        while not (tied or labels or fresh) and (name := self.aliases.get(name, name)) not in seen:
            seen.add(name)
            tied, labels, fresh = self._direct(name)
        return tied, labels, fresh

    def _direct(self, name: str) -> tuple[bool, tuple[str, ...], bool]:
        escaped = re.escape(name)
        tied = re.search(rf"-\[{escaped}(?=[:\]*\s])", f"{self.reading}\n{self.writing}")
        read = re.search(rf"(?<![\w`.]){escaped}:(?P<labels>{LABELS})", self.reading)
        made = re.search(rf"[(\[]{escaped}(?::(?P<labels>{LABELS}))?[ )\]]", self._made)
        found = read or (made if made and made["labels"] else None)
        known = re.search(rf"(?<![\w`.$]){escaped}(?![\w`])", self.reading)
        return bool(tied), names(found["labels"]) if found else (), bool(made) and not known

    @property
    def _made(self) -> str:
        return "\n".join(found for found in self.writing.splitlines() if found.startswith(("CREATE ", "(")))


def _writes(operator: Operator) -> bool:
    return (
        operator.name in _SETS
        or operator.name.startswith(_DELETES)
        or operator.name in {"Create", "Foreach"}
        or operator.name.endswith("Merge")
    )


def _of(operator: Operator, scope: _Scope) -> Iterator[Effect]:
    if not _writes(operator):
        return
    name, details = operator.name, operator.details
    if name in _SETS:
        word = "REMOVE" if name == "RemoveLabels" else "SET"
        yield from (one for part in parts(details) for one in _set(part, word, scope))
    elif name.startswith(_DELETES):
        yield from (one for part in parts(details) for one in _deleted(part, scope, detach=name.startswith("Detach")))
    elif name == "Create":
        yield from (one for part in parts(details) for one in _created(part, Kind.CREATE))
    else:
        yield from _said(details, scope, merge=name.endswith("Merge"))


def _said(details: str, scope: _Scope, *, merge: bool) -> Iterator[Effect]:
    """Of a MERGE or a FOREACH, whose details are clauses."""
    word = ""
    for part in parts(details):
        found = _WORDS.match(part)
        word = found[0] if found else word
        rest = part[found.end() :].strip() if found else part
        if word == "CREATE":
            yield from _created(rest, Kind.MERGE if merge else Kind.CREATE)
        elif word in {"DELETE", "DETACH DELETE"}:
            yield from _deleted(rest, scope, detach=word.startswith("DETACH"))
        elif word.endswith(("SET", "REMOVE")):
            fresh = word.startswith("ON CREATE")
            yield from (replace(one, fresh=one.fresh or fresh) for one in _set(rest, word.rpartition(" ")[2], scope))


def _set(part: str, word: str, scope: _Scope) -> Iterator[Effect]:
    if found := _PROPERTY.fullmatch(part):
        tied, labels, fresh = scope.of(found["name"])
        kind = Kind.REMOVE if found["value"] == "NULL" else Kind.SET
        yield Effect(kind, tied, labels, (plain(found["property"]),), fresh=fresh)
    elif found := _MAP.fullmatch(part):
        tied, labels, fresh = scope.of(found["name"])
        kind = Kind.REPLACE if found["sign"] == "=" else Kind.SET
        yield Effect(kind, tied, labels, _keys(found["map"]), fresh=fresh)
    elif found := _LABEL.fullmatch(part):
        _, labels, fresh = scope.of(found["name"])
        kind = Kind.UNLABEL if word == "REMOVE" else Kind.LABEL
        given = () if found["labels"].startswith("$") else names(found["labels"])
        yield Effect(kind, False, labels, fresh=fresh, added=given)  # noqa: FBT003 - nodes have labels
    else:
        dynamic = _DYNAMIC.fullmatch(part)
        tied, labels, fresh = scope.of(dynamic["name"]) if dynamic else (False, (), False)
        yield Effect(Kind.SET, tied, labels, fresh=fresh)


def _deleted(part: str, scope: _Scope, *, detach: bool) -> Iterator[Effect]:
    kind = Kind.DETACH if detach else Kind.DELETE
    path = re.findall(rf"[(\[]({NAME})[)\]]", part)
    for name in path or [part]:
        tied, labels, fresh = scope.of(name)
        yield Effect(Kind.DELETE if tied else kind, tied, labels, fresh=fresh)


def _created(part: str, kind: Kind) -> Iterator[Effect]:
    """Of a pattern: the server writes nodes and relationships apart."""
    if found := _NODE.fullmatch(part):
        yield Effect(kind, False, names(found["labels"] or ""), _keys(found["map"] or ""))  # noqa: FBT003 - a node
    elif tie := re.search(r"\[.*\]", part, re.DOTALL):
        inner = _TIE.fullmatch(tie[0])
        yield Effect(
            kind,
            True,  # noqa: FBT003 - a relationship
            names(inner["labels"] or "") if inner else (),
            _keys(inner["map"] or "") if inner else (),
        )


def _keys(text: str) -> tuple[str, ...]:
    """The keys of a map that is written out; empty for any other expression."""
    if not (text.startswith("{") and text.endswith("}")):
        return ()
    found = (_KEY.match(part) for part in parts(text[1:-1]))
    return tuple(plain(each["key"]) for each in found if each)
