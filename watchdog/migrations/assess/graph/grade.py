"""From a Cypher script to its assessment: the server plans each statement and nothing is run."""

import re
from collections.abc import Iterator
from typing import Final

import neo4j

from watchdog.migrations.assess.graph.data import written
from watchdog.migrations.assess.graph.facts import Asked, GraphFacts, breaking, look
from watchdog.migrations.assess.graph.plan import LABELS, NAME, names
from watchdog.migrations.assess.graph.reading import beyond, reading, transactions
from watchdog.migrations.assess.graph.schema import schema, wanted
from watchdog.migrations.assess.graph.view import Known, View
from watchdog.migrations.assess.values import Assessment, Category, Finding, Severity, Undo
from watchdog.migrations.cypher import Statement, parse
from watchdog.migrations.graph.script import Look, look_at, refusals
from watchdog.ports.errors import WatchdogError
from watchdog.targets.neo4j import Neo4jTarget

# More than that is not read to look for values that break a constraint.
_CHECKED: Final = 1_000_000
_TIE: Final = re.compile(rf"-\[(?:{NAME})?:({LABELS})")


class CypherError(WatchdogError):
    """A script is no Cypher that this server takes; each place with its line."""


async def assess_cypher(target: Neo4jTarget, text: str) -> Assessment:
    """What a script does to a graph under load. Nothing is run and nothing is changed.

    Raises:
        CypherError: The server does not take a statement.
        TargetError: The graph does not answer or refuses the login.
    """
    with target.translated():
        async with target.session(default_access_mode=neo4j.READ_ACCESS) as session:
            looks = [await _look(session, statement) for statement in parse(text)]
            if wrong := [each.invalid for each in looks if each.invalid]:
                raise CypherError("; ".join(wrong))
            facts = await look(session, _asked([View(each, GraphFacts(), Known()) for each in looks]))
            known = Known()
            views = [View(each, facts, known) for each in looks]
            standing = [await _standing(session, view) for view in views]
    findings = [found for view, count in zip(views, standing, strict=True) for found in _findings(view, count)]
    findings = sorted([*findings, *_mixed(views)], key=lambda each: each.line)
    return Assessment(tuple(findings), len(views), measured=True)


async def _look(session: neo4j.AsyncSession, statement: Statement) -> Look:
    """The server's answer; a statement that is refused by its text alone is not even planned."""
    if reasons := tuple(refusals(statement)):
        return Look(statement, reasons=reasons)
    return await look_at(session, statement)


def _asked(views: list[View]) -> Asked:
    """What to ask the graph about: every label, type and property that the plans name."""
    labels, types, pairs = set[str](), set[str](), set[tuple[str, str, bool]]()
    for view in views:
        for effect in view.effects:
            (types if effect.relationship else labels).update(effect.names)
            pairs |= {(name, key, effect.relationship) for name in effect.names for key in effect.properties}
        for operator in view.operators:
            tied = _TIE.findall(operator.details)
            types.update(name for listed in tied for name in names(listed))
            if operator.name.endswith("LabelScan") or operator.name == "UnionNodeByLabelsScan":
                labels.update(names(operator.details.partition(":")[2]))
        if made := wanted(view.operators):
            (types if made.index.relationship else labels).update(made.index.names)
    return Asked(frozenset(labels), frozenset(types), frozenset(pairs))


async def _standing(session: neo4j.AsyncSession, view: View) -> int | None:
    made = wanted(view.operators)
    if not made or not made.what or made.index.relationship or view.known.written:
        return None
    if view.facts.count(made.index.names, relationship=False) > _CHECKED or "::" in made.what:
        return None
    return await breaking(session, made.index.names[0], made.index.properties, unique=made.unique)


def _findings(view: View, standing: int | None) -> Iterator[Finding]:
    for reason in view.look.reasons:
        yield view.note("no-way-back", Category.DATA, Severity.HIGH, reason, undo=Undo.NO)
    if view.look.statement.schema:
        yield from schema(view, standing)
        view.known.written = 0.0
        return
    yield from written(view)
    yield from reading(view)
    yield from transactions(view)
    yield from beyond(view)


def _mixed(views: list[View]) -> Iterator[Finding]:
    kinds = {view.look.statement.schema for view in views}
    if len(kinds) > 1:
        last = next(view for view in reversed(views) if view.look.statement.schema != views[0].look.statement.schema)
        message = "schema and data are in one script: Neo4j runs them apart, so half of it can be in effect for a while"
        yield last.note("mixed", Category.SCHEMA, Severity.LOW, message)
