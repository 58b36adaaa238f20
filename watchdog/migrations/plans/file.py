"""A plan as a file: which migrations a release consists of, where each belongs, and what must come before it."""

from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Literal

from watchdog.migrations.yaml_file import FileError, Section, parse, read_text

Store = Literal["sql", "cypher", "redis", "vectors"]

_SUFFIXES: dict[str, Store] = {
    ".sql": "sql",
    ".cypher": "cypher",
    ".cql": "cypher",
    ".redis.yaml": "redis",
    ".vectors.yaml": "vectors",
}


@dataclass(frozen=True)
class Tenants:
    """Schemas that one script is applied to, one after the other.

    Attributes:
        schemas: Their names; empty where `query` finds them.
        query: SQL that answers with one name a row.
        canary: The first one; when it fails, the whole plan is taken back.
    """

    schemas: tuple[str, ...]
    query: str
    canary: str


@dataclass(frozen=True)
class Entry:
    """One migration of a plan.

    Attributes:
        name: What the run is called; with its release it tells runs apart.
        place: Which of the addresses that the plan is applied with.
        text: The script.
        after: What must be applied before it.
        role: PostgreSQL: whose rights it runs with.
        defer: PostgreSQL: puts destruction off.
    """

    name: str
    place: str
    store: Store
    text: str
    after: tuple[str, ...] = ()
    role: str = ""
    defer: bool = False
    tenants: Tenants | None = None


@dataclass(frozen=True)
class Plan:
    """A whole file, its entries in the order in which they are applied."""

    release: str
    entries: tuple[Entry, ...]

    @property
    def places(self) -> tuple[str, ...]:
        """Every address that it needs, by name."""
        return tuple(dict.fromkeys(entry.place for entry in self.entries))


def read_plan(path: Path) -> Plan:
    """Reads a plan and the scripts that it names, which lie beside it.

    Raises:
        FileError: With everything that is wrong, each with its line.
    """
    file, text = read_text(path)
    top, problems = parse(text, file)
    release = top.text("release")
    entries = tuple(entry for section in top.sections("migrations") for entry in _entry(section, path.parent))
    names = [entry.name for entry in entries]
    for section, entry in zip(top.sections("migrations"), entries, strict=False):
        if names.count(entry.name) > 1:
            section.complain("name", f"two migrations are called {entry.name}; a release tells them apart by name")
        for name in entry.after:
            if name not in names:
                section.complain("after", f"there is no migration {name} in this plan")
    top.finish()
    problems.finish()
    return Plan(release, _sorted(entries, file))


def _entry(section: Section, folder: Path) -> Iterator[Entry]:
    name, place, script = section.text("name"), section.text("target"), section.text("script")
    store = next((store for suffix, store in _SUFFIXES.items() if script.endswith(suffix)), None)
    after, role = section.texts("after"), section.text("role", "")
    defer = section.flag("defer", default=False)
    tenants = _tenants(section.section("tenants")) if section.has("tenants") else None
    section.finish()
    if store is None:
        section.complain("script", f"is no script that is known; its name ends with {', '.join(_SUFFIXES)}")
        return
    if store != "sql":
        for key, given in {"role": role, "defer": defer, "tenants": tenants}.items():
            if given:
                section.complain(key, "is for SQL scripts only")
    try:
        _, text = read_text(folder / script)
    except FileError as error:
        section.complain("script", str(error))
        return
    yield Entry(name, place, store, text, after, role, defer, tenants)


def _tenants(section: Section) -> Tenants:
    schemas, query = section.texts("schemas"), section.text("query", "")
    canary = section.text("canary", schemas[0] if schemas else None)
    if bool(schemas) == bool(query):
        section.complain("", "write either schemas, or a query that finds them")
    if schemas and canary not in schemas:
        section.complain("canary", f"{canary} is none of the schemas")
    section.finish()
    return Tenants(schemas, query, canary)


def _sorted(entries: tuple[Entry, ...], file: str) -> tuple[Entry, ...]:
    """By what must come before what; else as they stand in the file."""
    by_name = {entry.name: entry for entry in entries}
    sorter = TopologicalSorter({entry.name: entry.after for entry in entries})
    try:
        sorter.prepare()
    except CycleError as error:
        raise FileError((f"{file}: each of these must come after the next: {' → '.join(error.args[1])}",)) from None
    ordered: list[Entry] = []
    waiting: set[str] = set()
    while sorter.is_active():
        waiting |= set(sorter.get_ready())
        first = next(entry for entry in entries if entry.name in waiting)
        waiting.remove(first.name)
        ordered.append(by_name[first.name])
        sorter.done(first.name)
    return tuple(ordered)
