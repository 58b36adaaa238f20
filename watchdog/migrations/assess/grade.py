"""From a script to its assessment."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from watchdog.migrations.assess.facts import Facts
from watchdog.migrations.assess.order import between
from watchdog.migrations.assess.rules.registry import look
from watchdog.migrations.assess.scene import Known, Scene
from watchdog.migrations.assess.script import read
from watchdog.migrations.assess.speeds import Speeds
from watchdog.migrations.assess.step import Step
from watchdog.migrations.assess.surroundings import around
from watchdog.migrations.assess.values import Assessment, Finding, Lock, Severity, Undo

NOTHING_KNOWN: Final = Facts()
MEASURED: Final = Speeds()
_UNDONE: Final = {
    Undo.EXACTLY: "it can be undone exactly",
    Undo.ARCHIVE: "it can be undone from an archive only",
    Undo.NO: "it cannot be undone",
}


def assess(
    text: str, facts: Facts = NOTHING_KNOWN, speeds: Speeds = MEASURED, *, autocommit: bool = False
) -> Assessment:
    """What a script does to a database under load.

    Args:
        text: SQL.
        facts: What the database says; without it, tables are taken to be large.
        speeds: How fast the server is.
        autocommit: Each statement runs by itself where the script writes no BEGIN.

    Raises:
        SqlSyntaxError: It is no SQL.
    """
    statements = read(text, facts.schema, autocommit=autocommit)
    known = Known()
    steps = [_step(Scene(each, facts, speeds, known), known) for each in statements]
    also = list(between(steps))
    findings: list[Finding] = []
    for step in steps:
        place = step.scene.statement.line, step.scene.statement.text
        own = [each for each in also if (each.line, each.statement) == place]
        also = [each for each in also if each not in own]
        findings += _located(step, [*step.findings, *own])
    return Assessment(tuple(findings), len(statements), facts.known)


def _step(scene: Scene, known: Known) -> Step:
    """Judges one statement; what is beside it is looked at before the statement changes any name."""
    before = {".".join(each) for each in known.fresh}
    aliases, fresh = dict(known.aliases), set(known.fresh)
    found = tuple(look(scene, scene.statement.node))
    made = before | {".".join(each) for each in known.fresh}
    waits = tuple({lock: None for each in found for lock in each.locks if lock.relation not in made})
    then = replace(scene, known=replace(known, aliases=aliases, fresh=fresh))
    beside = tuple(around(Step(then, found, waits)))
    return Step(scene, found + beside, waits)


def _located(step: Step, found: list[Finding]) -> Iterator[Finding]:
    """A finding without locks of its own gets those of its statement."""
    locks: tuple[Lock, ...] = tuple({lock: None for each in step.findings for lock in each.locks})
    strongest: dict[str, Lock] = {}
    for lock in locks:
        kept = strongest.get(lock.relation)
        if kept is None or lock.mode.rank > kept.mode.rank:
            strongest[lock.relation] = lock
    for each in found:
        yield each if each.locks else replace(each, locks=tuple(strongest.values()))


def sentence(assessment: Assessment) -> str:
    """The assessment in one sentence."""
    count = assessment.statements
    if not count:
        return "The script holds no statement."
    worst = assessment.grade
    named = [each for each in assessment.findings if each.severity == worst]
    subject = f"{count} statement{'' if count == 1 else 's'}"
    if worst is Severity.INFO:
        return f"{subject}, nothing that anybody would feel; {_UNDONE[assessment.undo]}."
    more = f" (and {len(named) - 1} more)" if len(named) > 1 else ""
    return f"{subject}, {worst} risk: line {named[0].line}: {named[0].message}{more}; {_UNDONE[assessment.undo]}."
