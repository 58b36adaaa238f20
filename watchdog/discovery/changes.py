"""What a target says about its migrations, and what has changed between two readings. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import groupby
from operator import attrgetter

from watchdog.model.time import Span, Time

DDL = "ddl"
"""The tool of a statement that changes the schema, whoever runs it."""

KUBERNETES = "kubernetes"
"""The tool of a rollout; its versions are tags of images."""


class State(StrEnum):
    """What a tool has noted about a version."""

    BEGUN = "begun"
    APPLIED = "applied"
    FAILED = "failed"
    ROLLED_BACK = "rolled back"


class Change(StrEnum):
    """What was found."""

    RUNNING = "running"
    BEGUN = "begun"
    APPLIED = "applied"
    FAILED = "failed"
    TAKEN_BACK = "taken back"


@dataclass(frozen=True, order=True)
class Version:
    """A row in which a tool notes a migration.

    Attributes:
        place: The table with its schema, or the label of the nodes.
        key: What the tool tells its rows apart by.
        name: As a person knows the migration.
        heads: The tool keeps only where it stands, so a new row takes an old one's place.
    """

    tool: str
    place: str
    key: str
    name: str
    state: State = State.APPLIED
    heads: bool = False


@dataclass(frozen=True, order=True)
class Running:
    """A statement under way that changes the schema.

    Attributes:
        session: Process id and start of the session: the same for all of its statements.
        what: Verb, kind and name of the object; never the statement itself, which may hold values.
        age: How long its transaction has been open, or itself where it needs several.
    """

    session: str
    what: str
    application: str = ""
    age: Span = field(default=0, compare=False)


@dataclass(frozen=True)
class Reading:
    """What one look at a target showed.

    Attributes:
        unread: Places that are there and could not be read, with why and what to do.
    """

    at: Time
    versions: frozenset[Version] = frozenset()
    running: frozenset[Running] = frozenset()
    unread: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is under way: no statement, and no version that was begun and is not applied yet."""
        return not self.running and not any(version.state is State.BEGUN for version in self.versions)


@dataclass(frozen=True)
class Discovered:
    """A change of the schema that nobody announced.

    Attributes:
        versions: Names, as a person knows them.
        gone: Names that stood there before and do not any more.
        since: It was begun at or after this time: when it was not there yet, or when its transaction began.
        at: When it was seen.
    """

    tool: str
    place: str
    change: Change
    versions: tuple[str, ...]
    since: Time
    at: Time
    gone: tuple[str, ...] = ()


def compare(before: Reading | None, after: Reading) -> tuple[Discovered, ...]:
    """What has changed; with nothing to compare with only what is under way is new."""
    return (*_started(before, after), *(_changed(before, after) if before is not None else ()))


def settled(before: Reading | None, after: Reading) -> Reading:
    """The later reading, in which a rollout that was over is not under way again: a deployment is being scaled."""
    if before is None:
        return after
    over = {
        (version.place, version.key)
        for version in before.versions
        if version.tool == KUBERNETES and version.state is State.APPLIED
    }
    versions = (
        replace(version, state=State.APPLIED)
        if version.tool == KUBERNETES and version.state is State.BEGUN and (version.place, version.key) in over
        else version
        for version in after.versions
    )
    return replace(after, versions=frozenset(versions))


def carry(before: Reading | None, after: Reading) -> Reading:
    """The later reading, with what was known before of places that could not be read this time."""
    if before is None:
        return after
    kept = {version for version in before.versions if version.place in after.unread}
    return replace(after, versions=after.versions | kept)


def _started(before: Reading | None, after: Reading) -> Iterator[Discovered]:
    known = {one.session for one in before.running} if before else set()
    fresh = sorted(one for one in after.running if one.session not in known)
    for _, statements in groupby(fresh, key=attrgetter("session")):
        first, *more = statements
        what = tuple(one.what for one in (first, *more))
        yield Discovered(DDL, first.application, Change.RUNNING, what, after.at - first.age, after.at)


def _changed(before: Reading, after: Reading) -> Iterator[Discovered]:
    """Place by place. A place that could not be read, then or now, is no news: it may have looked so for years."""
    blind = before.unread.keys() - {version.place for version in before.versions} | after.unread.keys()
    then, now = _by_place(before.versions, blind), _by_place(after.versions, blind)
    known = {(version.tool, version.key) for version in before.versions}
    for place in sorted(then.keys() | now.keys()):
        old, new = then.get(place, {}), now.get(place, {})
        if not old and all((version.tool, version.key) in known for version in new.values()):
            continue  # A new tenant's schema, or a copy.
        gone = [old[key] for key in sorted(old.keys() - new.keys())]
        news = [version for key, version in sorted(new.items()) if key not in old or old[key].state != version.state]
        yield from _grouped(before.at, after.at, news, gone)


def _by_place(versions: Iterable[Version], blind: Iterable[str]) -> dict[tuple[str, str], dict[str, Version]]:
    places: dict[tuple[str, str], dict[str, Version]] = {}
    for version in sorted(versions):  # Where a key is there twice, always the same one counts.
        if version.place not in blind:
            places.setdefault((version.tool, version.place), {})[version.key] = version
    return places


def _grouped(since: Time, at: Time, news: list[Version], gone: list[Version]) -> Iterator[Discovered]:
    by_change: dict[Change, list[Version]] = {}
    for version in news:
        by_change.setdefault(_change(version, gone), []).append(version)
    replaced = tuple(version.name for version in gone)
    for change, versions in by_change.items():
        first, names = versions[0], tuple(version.name for version in versions)
        yield Discovered(first.tool, first.place, change, names, since, at, replaced if first.heads else ())
    if gone and not (news and gone[0].heads):
        yield Discovered(gone[0].tool, gone[0].place, Change.TAKEN_BACK, replaced, since, at, replaced)


def _change(version: Version, gone: list[Version]) -> Change:
    """What a row that is new or says something new means."""
    if version.state is State.ROLLED_BACK:
        return Change.TAKEN_BACK
    if version.state is State.APPLIED and version.heads and _is_back(version, gone):
        return Change.TAKEN_BACK
    return Change(version.state)


def _is_back(version: Version, gone: list[Version]) -> bool:
    """Whether the tool stands at a lower number than before; names that are no numbers have no order."""
    if not gone or not version.key.isdecimal():
        return False
    return all(old.key.isdecimal() and int(version.key) < int(old.key) for old in gone)
