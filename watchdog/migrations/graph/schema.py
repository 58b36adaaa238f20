"""Indexes and constraints, as the statements that make them."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from watchdog.migrations.graph.views import Runner, quote

Schema: TypeAlias = Mapping[str, str]
"""`INDEX name` or `CONSTRAINT name`, and the statement that makes it."""

_CONSTRAINTS = "SHOW CONSTRAINTS YIELD name, createStatement RETURN 'CONSTRAINT ' + name, createStatement"
_INDEXES = (
    "SHOW INDEXES YIELD name, owningConstraint, createStatement WHERE owningConstraint IS NULL"
    " RETURN 'INDEX ' + name, createStatement"
)
_UNIQUE = (
    "SHOW CONSTRAINTS YIELD type, entityType, labelsOrTypes, properties"
    " WHERE entityType = 'NODE' AND (type CONTAINS 'UNIQUE' OR type CONTAINS 'KEY')"
    " RETURN labelsOrTypes[0], properties"
)
_OURS = "watchdog_"
_UNNAMED = re.compile(r"\A\s*CREATE\s[^(]*\b(?:INDEX|CONSTRAINT)\s+(?:IF\s+NOT\s+EXISTS\s+)?FOR\b", re.IGNORECASE)
_QUOTED = re.compile(r"`((?:[^`]|``)+)`")


async def read_schema(runner: Runner) -> dict[str, str]:
    """Every index and constraint but the watchdog's own."""
    found: dict[str, str] = {}
    for query in (_CONSTRAINTS, _INDEXES):
        result = await runner.run(query)
        found |= {name: text async for name, text in result if not name.partition(" ")[2].startswith(_OURS)}
    return found


async def read_keys(runner: Runner) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Labels with the properties that tell their nodes apart, by a constraint."""
    return tuple([(label, tuple(names)) async for label, names in await runner.run(_UNIQUE)])


def way_back(before: Schema, after: Schema, live: Schema) -> Iterator[str]:
    """The statements from the schema that is there to the one before; what others made or changed since stays.

    Args:
        after: Just after the script.
    """
    made = [name for name in after if before.get(name) != after[name] and live.get(name) == after[name]]
    for name in sorted(made):  # constraints before indexes
        kind, _, plain = name.partition(" ")
        yield f"DROP {kind} {quote(plain)}"
    dropped = [name for name in before if after.get(name) != before[name] and (name not in live or name in made)]
    yield from (before[name] for name in sorted(dropped))


def after_statement(after: Schema, live: Schema, statement: str) -> dict[str, str]:
    """The schema after a statement of which nobody knows whether it ended: what it does not name is others'.

    Args:
        after: Just before the statement.
    """
    found = dict(after)
    unnamed = _UNNAMED.search(statement)
    for name in {*after, *live}:
        said = unnamed or _named(name.partition(" ")[2], statement)
        if name not in live and said:
            del found[name]
        elif name in live and name not in after and said and _about(live[name], statement):
            found[name] = live[name]
    return found


def _about(made: str, statement: str) -> bool:
    """Whether every label, type and property of an index or constraint stands in a statement."""
    return all(_named(name.replace("``", "`"), statement) for name in _QUOTED.findall(made.partition(" FOR ")[2]))


def _named(name: str, statement: str) -> bool:
    return bool(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", statement))


def kept(before: Schema, after: Schema, live: Schema) -> tuple[str, ...]:
    """What the script made or dropped and others changed since."""
    made = (n for n in after if before.get(n) != after[n] and n in live and live[n] != after[n])
    dropped = (n for n in before if n not in after and n in live and live[n] != before[n])
    return tuple(sorted({*made, *dropped}))


def as_text(schema: Schema) -> str:
    """For a property."""
    return json.dumps(schema, sort_keys=True)


def from_text(text: str) -> dict[str, str]:
    """The schema in a property."""
    found: dict[str, str] = json.loads(text)
    return found
