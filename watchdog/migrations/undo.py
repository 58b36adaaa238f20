"""The undo of a script, from the contents and the shape of a schema before and after it. Pure."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from watchdog.migrations.aside import ASIDE
from watchdog.migrations.renames import quote
from watchdog.migrations.shape import ForeignKey, Name, Shape
from watchdog.migrations.table_plans import Kept, TablePlan, added_columns, changed_table, in_place
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
            if new is not None and (new.storage != old.storage or in_place(old, new, self.aside(old.number)) is None):
                found.add(old.name)
        return frozenset(found | self._freed())

    def aside(self, number: int) -> frozenset[int]:
        """Columns of a table, by number, that were moved aside instead of dropped."""
        table = self.shape_forward.table(number)
        return frozenset(c.number for c in table.columns if c.name.startswith(f"{ASIDE}_")) if table else frozenset()

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
        changes = in_place(old, new, learnt.aside(old.number))
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
            found.append(TablePlan("gone", old.name, None, columns, (), old.key))
            continue
        one = changed_table(old, forward[old.number], new, "rebuilt" if old.name in dropped else "shrunk")
        if one.kind == "shrunk":
            still = {column.number for column in new.columns if column.required}
            aside = learnt.aside(old.number) - still
            one = replace(one, required=tuple(c.name for c in old.columns if c.required and c.number in aside))
        if one.kind == "rebuilt" or one.added or one.required:
            found.append(one)
    for new in after.values():
        if new.kind == "r" and learnt.shape_before.table(new.number) is None:
            made = added_columns(new.columns, forward[new.number])
            found.append(TablePlan("new", new.name, forward[new.number].name, (), made))
    return tuple(found)
