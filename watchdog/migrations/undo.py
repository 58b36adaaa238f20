"""The undo of a script, from the contents and the shape of a schema before and after it. Pure."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from watchdog.migrations.renames import quote
from watchdog.migrations.shape import Column, ForeignKey, Name, Shape, Table
from watchdog.migrations.toc import Entry

_IN_PLACE = {"FUNCTION": "CREATE FUNCTION", "PROCEDURE": "CREATE PROCEDURE"}
# Not foreign keys: a child without parent is a later row, or its parent was deleted later.
_CONSTRAINING = frozenset({"CONSTRAINT", "CHECK CONSTRAINT"})
_LAST = frozenset(
    {
        "FK CONSTRAINT",
        "COMMENT",
        "TRIGGER",
        "EVENT TRIGGER",
        "RULE",
        "ACL",
        "DEFAULT ACL",
        "PUBLICATION",
        "PUBLICATION TABLE",
    }
)


@dataclass(frozen=True)
class Kept:
    """A column that was there before.

    Attributes:
        forward: Its name just after the script; None when the script dropped it.
        type: Of before, without length, as an assignment target.
    """

    name: str
    forward: str | None
    type: str
    same_type: bool
    generated: bool


@dataclass(frozen=True)
class Added:
    """A column that the script added.

    Attributes:
        forward: Its name just after the script.
        live: Its name after everything else was named back.
    """

    forward: str
    live: str


@dataclass(frozen=True)
class TablePlan:
    """What happens to the rows of one table.

    Attributes:
        kind: `rebuilt` from archive and live rows, `gone` and to come back from the archive, `new` and to be set
            aside, or `shrunk` in place, whose added columns are set aside.
        name: Before; for a new table what it is called when the rest was named back.
        forward: What it is called just after the script; None when it is gone.
        key: Columns of the primary key when they were there before and after.
    """

    kind: str
    name: Name
    forward: Name | None
    columns: tuple[Kept, ...]
    added: tuple[Added, ...]
    key: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """An undo, as SQL in the order of its execution.

    Attributes:
        drops: What the script made, and what must make way.
        makes: What must be there before the rows come.
        constrains: Indexes and constraints, made when the earlier rows are there.
        finishes: Foreign keys, triggers, and what else comes last.
        foreign_keys: Those in `finishes`, to find children without parents beforehand.
        sequences: Sequences of before, whose positions are kept.
    """

    renames: tuple[str, ...]
    drops: tuple[str, ...]
    makes: tuple[str, ...]
    constrains: tuple[str, ...]
    finishes: tuple[str, ...]
    tables: tuple[TablePlan, ...]
    foreign_keys: tuple[ForeignKey, ...]
    sequences: tuple[Name, ...]


@dataclass(frozen=True)
class Learnt:
    """What a script did to a clone.

    Attributes:
        before, after: Contents; `after` with everything named back.
        shape_before, shape_forward, shape_after: The shape before, just after the script, and named back.
        renames: What named it back.
    """

    before: tuple[Entry, ...]
    after: tuple[Entry, ...]
    shape_before: Shape
    shape_forward: Shape
    shape_after: Shape
    renames: tuple[str, ...]

    def destroyed(self) -> frozenset[Name]:
        """Tables of before whose rows an undo needs from an archive, as far as the schema shows."""
        found = {t.name for t in self.shape_before.tables if self.shape_after.table(t.number) is None}
        for old in self.shape_before.tables:
            new = self.shape_after.table(old.number)
            if new is not None and (new.storage != old.storage or in_place(old, new) is None):
                found.add(old.name)
        return frozenset(found | self._freed())

    def _freed(self) -> frozenset[Name]:
        """Tables that lost a constraint: later rows may break it, and only an archive tells which rows are later."""
        lost = Counter(e.same for e in self.before) - Counter(e.same for e in self.after)
        names = {table.name for table in self.shape_before.tables}
        found: set[Name] = set()
        for entry in self.before:
            if entry.same not in lost:
                continue
            if entry.kind in _CONSTRAINING or (entry.kind == "INDEX" and "CREATE UNIQUE INDEX" in entry.definition):
                found |= {
                    name for name in names if re.search(rf"\b(TABLE|ON)( ONLY)? {_pattern(name)}\s", entry.definition)
                }
        return frozenset(found)


def _pattern(name: Name) -> str:
    return r"\.".join(f"(?:{re.escape(part)}|{re.escape(quote(part))})" for part in name)


def in_place(old: Table, new: Table) -> tuple[list[str], list[str]] | None:
    """Statements before and after the rest that give a table its old columns; None when it must be rebuilt."""
    kept = {column.number: column for column in old.columns}
    left = tuple(column for column in new.columns if column.number in kept)
    if old.other != new.other or old.kind != new.kind or tuple(c.number for c in left) != tuple(kept):
        return None
    where = f"ALTER TABLE {'' if old.kind == 'p' else 'ONLY '}{quote(old.name[0])}.{quote(old.name[1])}"
    first = [
        f"{where} DROP CONSTRAINT IF EXISTS {quote(name)}"
        for name in new.checks
        if new.checks[name] != old.checks.get(name)
    ]
    if any(new.checks.get(name) != text for name, text in old.checks.items()):
        return None
    last: list[str] = []
    for column in left:
        was = kept[column.number]
        if (was.exact, was.generated, was.other) != (column.exact, column.generated, column.other):
            return None
        if was.required and not column.required:
            return None
        if column.required and not was.required:
            first.append(f"{where} ALTER COLUMN {quote(was.name)} DROP NOT NULL")
        if column.default != was.default:
            first.append(f"{where} ALTER COLUMN {quote(was.name)} DROP DEFAULT")
            last += [f"{where} ALTER COLUMN {quote(was.name)} SET DEFAULT {was.default}"] if was.default else []
    added = [c for c in new.columns if c.number not in kept and not c.inherited]
    # Inherited columns go with the parent's.
    first += [f"{where.replace('ONLY ', '')} DROP COLUMN {quote(column.name)}" for column in added]
    return first, last


def plan(learnt: Learnt, archived: Collection[Name]) -> Plan:
    """The undo.

    Args:
        learnt: What the script does.
        archived: Tables, by their names before, whose rows before and after are kept: they are rebuilt.
    """
    common = Counter(e.same for e in learnt.before) & Counter(e.same for e in learnt.after)
    staying = _staying(learnt, archived, common)
    routines = {entry.name: entry for entry in learnt.before if entry.kind in _IN_PLACE}
    gone_routines = _same_routines(learnt)
    dropped: dict[int, Entry] = {}
    replaced: list[str] = []
    stays: set[tuple[str, str, str]] = set()
    for entry in learnt.after:
        moved = any(need in dropped for need in entry.needs)
        if entry.kind == "TABLE" and (entry.schema, entry.tag) in staying:
            if not moved:
                continue
            # It cannot stay: a type that it uses is made again.
            del staying[entry.schema, entry.tag]
        if entry.name in gone_routines and not moved:
            stays.add(entry.name)
            definition = routines[entry.name].definition
            replaced.append(re.sub(r"^CREATE ", "CREATE OR REPLACE ", definition.lstrip(), count=1))
            continue
        # Default privileges would add grants to whatever is made again, so they go first and come back last.
        forced = entry.kind == "DEFAULT ACL" or (entry.kind == "TABLE" and (entry.schema, entry.tag) in archived)
        if forced or entry.same not in common or moved:
            dropped[entry.id] = entry
    remade = Counter(entry.same for entry in dropped.values())
    made = [
        entry
        for entry in learnt.before
        if (entry.same not in common or entry.same in remade)
        and not (entry.kind == "TABLE" and (entry.schema, entry.tag) in staying)
        and entry.name not in stays
    ]
    return _assemble(learnt, dropped, made, staying, replaced)


def _staying(
    learnt: Learnt, archived: Collection[Name], common: Counter[tuple[str, str, str, str, str]]
) -> dict[Name, tuple[list[str], list[str]]]:
    """Tables that change in place, with how."""
    identical = {(e.schema, e.tag) for e in learnt.after if e.kind == "TABLE" and e.same in common}
    found: dict[Name, tuple[list[str], list[str]]] = {}
    for old in learnt.shape_before.tables:
        new = learnt.shape_after.table(old.number)
        if new is None or old.name in archived or old.name in identical:
            continue
        changes = in_place(old, new)
        if changes is not None:
            found[old.name] = changes
    return found


def _same_routines(learnt: Learnt) -> set[tuple[str, str, str]]:
    """Routines that are the same object before and after: they are replaced, and nothing that uses them moves."""
    numbers = {one.number for one in learnt.shape_after.names if one.group == "routine"}
    kept = {
        (one.schema, f"{one.name}(")
        for one in learnt.shape_before.names
        if one.group == "routine" and one.number in numbers
    }
    common = Counter(e.same for e in learnt.before) & Counter(e.same for e in learnt.after)
    after = {entry.name for entry in learnt.after}
    return {
        e.name
        for e in learnt.before
        if e.kind in _IN_PLACE and e.same not in common and e.name in after
        and (e.schema, f"{e.tag.split('(')[0].strip(chr(34))}(") in kept
    }  # fmt: skip


def _assemble(
    learnt: Learnt,
    dropped: Mapping[int, Entry],
    made: Sequence[Entry],
    staying: Mapping[Name, tuple[list[str], list[str]]],
    replaced: Sequence[str],
) -> Plan:
    # Partitions leave first, so that nothing of theirs is inherited any more.
    drops = [text for e in dropped.values() if e.kind == "TABLE ATTACH" for text in _drop(e)]
    inherited = _inherited(learnt.after, dropped)
    for entry in reversed(learnt.after):
        if entry.id in dropped and entry.kind != "TABLE ATTACH" and entry.id not in inherited:
            drops += _drop(entry)
        elif entry.kind == "TABLE" and (entry.schema, entry.tag) in staying:
            drops += staying[entry.schema, entry.tag][0]
    makes: list[str] = []
    wanted = {entry.id for entry in made}
    owners = {(e.schema, e.tag): e.owner for e in learnt.after if e.kind == "TABLE"}
    for entry in learnt.before:
        if entry.id in wanted and not entry.post and entry.kind not in (*_LAST, "TABLE ATTACH"):
            makes += [entry.definition, *([entry.owner_statement] if entry.owner_statement else [])]
        elif entry.kind == "TABLE" and (entry.schema, entry.tag) in staying:
            makes += staying[entry.schema, entry.tag][1]
            makes += [entry.owner_statement] if owners[entry.schema, entry.tag] != entry.owner else []
    constrains = [
        e.definition for e in made if e.post and e.kind not in (*_LAST, "INDEX ATTACH") and not _late(e, made)
    ]
    fks = {(e.schema, e.tag) for e in made if e.kind == "FK CONSTRAINT"}
    rebuilt = {(e.schema, e.tag) for e in dropped.values() if e.kind == "TABLE"}
    return Plan(
        renames=learnt.renames,
        drops=tuple(drops),
        makes=(*replaced, *(text for text in makes if text)),
        constrains=tuple(text for text in constrains if text),
        finishes=_finishes(made, learnt.shape_before.filled()),
        tables=_tables(learnt, rebuilt),
        foreign_keys=tuple(
            k for k in learnt.shape_before.foreign_keys if (k.child[0], f"{k.child[1]} {k.name}") in fks
        ),
        sequences=tuple(
            (one.schema, one.name) for one in learnt.shape_before.names if one.group == "relation" and one.kind == "S"
        ),
    )


def _finishes(made: Sequence[Entry], filled: Collection[Name]) -> tuple[str, ...]:
    """What comes when all rows are there; `filled` are the materialized views that had contents."""
    # With their own indexes in place partitions take their place under the parent's without new ones.
    finishes = [e.definition for e in made if e.kind == "TABLE ATTACH"]
    finishes += [e.definition for e in made if e.kind == "INDEX ATTACH"]
    for entry in made:
        if entry.kind in _LAST or (entry.post and entry.kind != "INDEX ATTACH" and _late(entry, made)):
            finishes += [entry.definition, *([entry.owner_statement] if entry.owner_statement else [])]
    finishes += [
        f"REFRESH MATERIALIZED VIEW {quote(entry.schema)}.{quote(entry.tag)}"
        for entry in made
        if entry.kind == "MATERIALIZED VIEW" and (entry.schema, entry.tag) in filled
    ]
    return tuple(text for text in finishes if text)


def _late(entry: Entry, made: Sequence[Entry]) -> bool:
    """What belongs to something made last comes after it: comments on triggers."""
    last = {one.id for one in made if one.kind in _LAST}
    return any(need in last for need in entry.needs)


def _drop(entry: Entry) -> list[str]:
    if entry.kind == "SEQUENCE OWNED BY":
        return [re.sub(r"OWNED BY .*;", "OWNED BY NONE;", entry.definition.strip(), flags=re.DOTALL)]
    if entry.kind == "COMMENT":
        return [re.sub(r" IS .*", " IS NULL;", entry.definition.strip(), count=1, flags=re.DOTALL)]
    if entry.kind == "TABLE ATTACH":
        found = re.match(
            r"ALTER TABLE ONLY (.*) ATTACH PARTITION (.*?) (?:FOR VALUES|DEFAULT)", entry.definition.strip()
        )
        return [f"ALTER TABLE {found[1]} DETACH PARTITION {found[2]}"] if found else []
    if entry.kind in {"ACL", "DEFAULT ACL"}:
        return _opposite(entry.definition)
    return [entry.drop.strip()] if entry.drop.strip() else []


def _inherited(after: Sequence[Entry], dropped: Mapping[int, Entry]) -> set[int]:
    """Indexes and keys of partitions that go with the parent's, as the partition stays where it is."""
    leaving = {(e.schema, e.tag) for e in dropped.values() if e.kind == "TABLE ATTACH"}
    entries = {entry.id: entry for entry in after}
    found: set[int] = set()
    for attach in dropped.values():
        if attach.kind != "INDEX ATTACH":
            continue
        ends = [
            entries[need] for need in attach.needs if need in entries and entries[need].kind in {"INDEX", "CONSTRAINT"}
        ]
        child = [e for e in ends if e.tag.split(" ")[-1] == attach.tag]
        table = {name for name in leaving for e in child if e.kind == "CONSTRAINT" and e.tag.split(" ")[0] == name[1]}
        if not table and len(ends) > len(child) and all(e.id in dropped for e in ends):
            found |= {e.id for e in child}
    return found


def _opposite(definition: str) -> list[str]:
    """Takes grants back and gives back what was revoked, the last one first."""
    found: list[str] = []
    for statement in definition.strip().split(";\n"):
        text = statement.strip().removesuffix(";")
        if match := re.match(r"(.*?)\bGRANT (.*) TO (.*?)( WITH GRANT OPTION)?$", text, re.DOTALL):
            found.append(f"{match[1]}REVOKE {match[2]} FROM {match[3]}")
        elif match := re.match(r"(.*?)\bREVOKE (.*) FROM (.*)$", text, re.DOTALL):
            found.append(f"{match[1]}GRANT {match[2]} TO {match[3]}")
    return found[::-1]


def _tables(learnt: Learnt, dropped: Collection[Name]) -> tuple[TablePlan, ...]:
    found: list[TablePlan] = []
    after = {table.number: table for table in learnt.shape_after.tables}
    forward = {table.number: table for table in learnt.shape_forward.tables}
    for old in learnt.shape_before.tables:
        if old.kind != "r":
            continue
        new = after.pop(old.number, None)
        if new is None:
            columns = tuple(Kept(c.name, None, c.type, same_type=False, generated=c.generated) for c in old.columns)
            found.append(TablePlan("gone", old.name, None, columns, ()))
            continue
        one = _table(old, forward[old.number], new, "rebuilt" if old.name in dropped else "shrunk")
        if one.kind == "rebuilt" or one.added:
            found.append(one)
    for new in after.values():
        if new.kind == "r" and learnt.shape_before.table(new.number) is None:
            added = _added(new.columns, forward[new.number])
            found.append(TablePlan("new", new.name, forward[new.number].name, (), added))
    return tuple(found)


def _added(columns: Sequence[Column], forward: Table) -> tuple[Added, ...]:
    names = {column.number: column.name for column in forward.columns}
    return tuple(Added(names[column.number], column.name) for column in columns)


def _table(old: Table, forward: Table, new: Table, kind: str) -> TablePlan:
    there = {column.number: column for column in forward.columns}
    columns: list[Kept] = []
    for c in old.columns:
        now = there.get(c.number)
        same = now is not None and now.exact == c.exact
        columns.append(Kept(c.name, now.name if now else None, c.type, same_type=same, generated=c.generated))
    numbers = {column.number for column in old.columns}
    added = _added([c for c in new.columns if c.number not in numbers], forward)
    key = old.key if new.key == old.key and all(c.forward is not None for c in columns if c.name in old.key) else ()
    return TablePlan(kind, old.name, forward.name, tuple(columns), added, key)
