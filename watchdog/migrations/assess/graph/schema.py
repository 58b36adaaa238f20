"""Rules about indexes and constraints."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from watchdog.migrations.assess.graph.facts import Index
from watchdog.migrations.assess.graph.plan import LABELS, NAME, Operator, names, parts, plain
from watchdog.migrations.assess.graph.view import View, said
from watchdog.migrations.assess.locks import Work
from watchdog.migrations.assess.values import Category, Finding, Severity

_INDEX: Final = re.compile(
    rf"(?P<type>\w+) INDEX (?:(?P<name>{NAME}) )?FOR "
    rf"(?:\(:(?P<labels>{LABELS})\)|\(\)-\[:(?P<types>{LABELS})\]-\(\)) ON (?:EACH )?[(\[](?P<keys>.*?)[)\]](?: |$)",
    re.DOTALL,
)
_CONSTRAINT: Final = re.compile(
    rf"CONSTRAINT (?:(?P<name>{NAME}) )?FOR "
    rf"(?:\({NAME}:(?P<labels>{NAME})\)|\(\)-\[{NAME}:(?P<types>{NAME})\]-\(\))"
    r" REQUIRE \((?P<keys>.*?)\) IS (?P<what>.*)",
    re.DOTALL,
)
_DROP: Final = re.compile(rf"(?:INDEX|CONSTRAINT) (?P<name>{NAME})(?P<lenient> IF EXISTS)?")


@dataclass(frozen=True)
class Wanted:
    """What a statement is to make.

    Attributes:
        what: Of a constraint, what it requires: `UNIQUE`, `NOT NULL`, `NODE KEY`, `:: STRING`; empty for an index.
        lenient: Whether it does nothing when it is there already.
    """

    index: Index
    what: str
    lenient: bool

    @property
    def unique(self) -> bool:
        """Whether equal values break it."""
        return "UNIQUE" in self.what or "KEY" in self.what

    @property
    def enterprise(self) -> bool:
        """Whether only Neo4j Enterprise has it."""
        return bool(self.what) and "UNIQUE" not in self.what


def wanted(operators: tuple[Operator, ...]) -> Wanted | None:
    """The index or constraint that a plan makes; None for any other statement."""
    lenient = any(each.name == "DoNothingIfExists" for each in operators)
    for each in operators:
        form = {"CreateIndex": _INDEX, "CreateConstraint": _CONSTRAINT}.get(each.name)
        found = form.match(each.details) if form else None
        if found:
            said_of = found.groupdict()
            keys = tuple(plain(key.rpartition(".")[2]) for key in parts(found["keys"]))
            listed = names(found["labels"] or found["types"])
            name = plain(found["name"]) if found["name"] else ""
            what = said_of.get("what") or ""
            kind = said_of.get("type") or "RANGE"
            index = Index(name, kind, bool(found["types"]), listed, keys, name or "new" if what else None)
            return Wanted(index, what, lenient)
    return None


def schema(view: View, standing: int | None) -> Iterator[Finding]:
    """A finding for each change of the schema.

    Args:
        standing: How many values stand in the way of the constraint; None when that is not known.
    """
    made = wanted(view.operators)
    if made:
        there = _there(view, made)
        if view.facts.community and made.enterprise:
            message = f"a constraint IS {made.what} is for Neo4j Enterprise; this server is Community, so it fails"
            yield view.note("enterprise-only", Category.SCHEMA, Severity.HIGH, message)
        elif there:
            yield _repeated(view, made, there)
        elif made.what:
            yield from _constraint(view, made, standing)
        else:
            yield _index(view, made)
        view.known.dropped.discard(made.index.name)
        view.known.indexes.append(made.index)
    for each in view.operators:
        if each.name in {"DropIndex", "DropConstraint"} and (found := _DROP.match(each.details)):
            yield from _dropped(view, plain(found["name"]), each.name == "DropIndex", lenient=bool(found["lenient"]))
            view.known.dropped.add(plain(found["name"]))


def _there(view: View, made: Wanted) -> Index | None:
    def same(one: Index) -> bool:
        mine = made.index
        form = (one.type, one.relationship, one.names, one.properties) == (
            mine.type,
            mine.relationship,
            mine.names,
            mine.properties,
        )
        named = bool(mine.name) and mine.name in {one.name, one.constraint}
        return named or (form and (made.unique or not made.what))

    return next((each for each in view.indexes if same(each)), None)


def _repeated(view: View, made: Wanted, there: Index) -> Finding:
    category = Category.SCHEMA if made.what else Category.INDEX
    if made.lenient:
        return view.note("there-already", category, Severity.INFO, f"{there.name} is there already, so nothing is done")
    return view.note(
        "there-already",
        category,
        Severity.HIGH,
        f"{there.name} is there already, with this name or on the same, so it fails",
        safe=f"DROP {'CONSTRAINT' if there.constraint else 'INDEX'} {there.name} IF EXISTS;",
    )


def _index(view: View, made: Wanted) -> Finding:
    index = made.index
    count = view.facts.count(index.names, relationship=index.relationship)
    return view.work(
        "create-index",
        Category.INDEX,
        Work.INDEX,
        count,
        f"an index over {count:,} {said(index.names, relationship=index.relationship)} is built; reads and writes go"
        " on, and queries use it once it is online",
        severity=Severity.LOW if count else Severity.INFO,
    )


def _constraint(view: View, made: Wanted, standing: int | None) -> Iterator[Finding]:
    index = made.index
    count = view.facts.count(index.names, relationship=index.relationship)
    what = said(index.names, relationship=index.relationship)
    keys = ", ".join(index.properties)
    if standing:
        problem = "values of {} are on more than one" if made.unique else "lack {} among the"
        tail = "unless the statements before it mend them, it fails" if view.known.changed else "so it fails; mend them"
        severity = Severity.MEDIUM if view.known.changed else Severity.HIGH
        message = f"{standing:,} {problem.format(keys)} {what}, {tail}"
        yield view.note("constraint-fails", Category.SCHEMA, severity, message)
    yield view.work(
        "create-constraint",
        Category.SCHEMA,
        Work.INDEX,
        count,
        f"{count:,} {what} are checked while their writers wait",
        **({"severity": Severity.INFO} if not count else {}),
    )
    if count:
        message = f"from then on writes of old code that break {keys} IS {made.what} fail"
        yield view.note("constraint-breaks-writes", Category.SCHEMA, Severity.LOW, message)


def _dropped(view: View, name: str, index: bool, *, lenient: bool) -> Iterator[Finding]:  # noqa: FBT001 - which of two
    category = Category.INDEX if index else Category.SCHEMA
    there = next((each for each in view.indexes if name in {each.name, each.constraint}), None)
    if not there:
        severity = Severity.INFO if lenient else Severity.MEDIUM
        message = f"{name} is not known here{', so nothing is done' if lenient else '; if it is not there, it fails'}"
        yield view.note("not-there", category, severity, message)
    elif index and there.constraint:
        message = f"index {name} belongs to constraint {there.constraint}, so it fails; drop that one"
        safe = f"DROP CONSTRAINT {there.constraint};"
        yield view.note("index-of-constraint", category, Severity.HIGH, message, safe=safe)
    else:
        what = said(there.names, relationship=there.relationship)
        used = (
            f"queries have used it {there.reads:,} times" if there.reads else "no query has used it as far as is known"
        )
        severity = (
            Severity.HIGH if there.reads and index else Severity.MEDIUM if there.reads or not index else Severity.LOW
        )
        message = f"the index on {', '.join(there.properties)} of {what} goes; {used}"
        if not index:
            message += "; once equal values are written, the constraint cannot be made again"
        yield view.note("drop-index" if index else "drop-constraint", category, severity, message)
