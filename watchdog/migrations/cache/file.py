"""A migration of Redis keys as a file: which prefixes are moved, cleared or given an expiry."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from watchdog.migrations.yaml_file import Section, parse

OURS = "watchdog:"

_SHORTEST = 3
_ENDS = (":", "/", "-", "_", ".", "|")
_CAP = 100_000
_MOST_KEYS = 10_000_000
_KINDS = ("move", "clear", "expire")


@dataclass(frozen=True)
class Move:
    """Keys get another prefix.

    Attributes:
        keep: They are copied; the old ones stay until the run is settled.
    """

    prefix: str
    to: str
    keep: bool = False
    kind: Literal["move"] = "move"


@dataclass(frozen=True)
class Clear:
    """Keys are deleted; without `archive` for ever."""

    prefix: str
    archive: bool = True
    kind: Literal["clear"] = "clear"


@dataclass(frozen=True)
class Expire:
    """Keys live for so many seconds at most; one that expires sooner stays as it is."""

    prefix: str
    seconds: int
    kind: Literal["expire"] = "expire"


Step: TypeAlias = Move | Clear | Expire


@dataclass(frozen=True)
class CacheMigration:
    """A whole file.

    Attributes:
        text: As it was read.
        never: Prefixes of keys that no step touches.
        cap: With more keys than this nothing is done.
        budget: What the archive may take, in bytes.
        expires: After how many seconds the archive may vanish.
    """

    text: str
    never: tuple[str, ...]
    cap: int
    budget: int
    expires: int
    steps: tuple[Step, ...]

    @property
    def prefixes(self) -> tuple[str, ...]:
        """Every prefix under which something is written."""
        return tuple(prefix for step in self.steps for prefix in touched(step))


def touched(step: Step) -> tuple[str, ...]:
    """The prefixes under which a step writes."""
    return (step.prefix, step.to) if isinstance(step, Move) else (step.prefix,)


def overlap(one: str, other: str) -> bool:
    """Whether a key can have both prefixes."""
    return one.startswith(other) or other.startswith(one)


def read_migration(text: str, file: str = "migration") -> CacheMigration:
    """Reads a file.

    Raises:
        FileError: With everything that is wrong, each with its line.
    """
    top, problems = parse(text, file)
    never = top.texts("never")
    if not all(never):
        top.complain("never", "holds an empty prefix, which protects everything; leave it out")
    cap = top.whole("cap", _CAP, least=1, most=_MOST_KEYS)
    budget = top.bytes("budget", "256MiB")
    expires = top.seconds("expires", "7d")
    steps = tuple(step for section in top.sections("steps") for step in _step(section, never))
    top.finish()
    problems.finish()
    return CacheMigration(text, never, cap, budget, expires, steps)


def _step(section: Section, never: tuple[str, ...]) -> Iterator[Step]:
    kinds = [kind for kind in _KINDS if section.has(kind)]
    if len(kinds) != 1:
        section.complain(kinds[-1] if kinds else "", f"a step does one thing; write one of {', '.join(_KINDS)}")
        return
    match kinds[0]:
        case "move":
            yield _move(section, never)
        case "clear":
            yield _clear(section, never)
        case _:
            yield _expire(section, never)
    section.finish()


def _move(section: Section, never: tuple[str, ...]) -> Move:
    inner = section.section("move")
    step = Move(_prefix(inner, "from", never), _prefix(inner, "to", never), inner.flag("keep", default=False))
    if step.prefix and step.to and overlap(step.prefix, step.to):
        inner.complain("to", "one of from and to lies under the other, so a key would move again and again")
    inner.finish()
    return step


def _clear(section: Section, never: tuple[str, ...]) -> Clear:
    return Clear(_prefix(section, "clear", never), section.flag("archive", default=True))


def _expire(section: Section, never: tuple[str, ...]) -> Expire:
    inner = section.section("expire")
    step = Expire(_prefix(inner, "prefix", never), inner.whole("seconds", None, least=1, most=10 * 366 * 86_400))
    inner.finish()
    return step


def _prefix(section: Section, name: str, never: tuple[str, ...]) -> str:
    prefix = section.text(name)
    if not prefix:
        return ""
    if "*" in prefix:
        section.complain(name, "a prefix is taken literally; leave out the *")
    elif len(prefix) < _SHORTEST or not prefix.endswith(_ENDS):
        section.complain(name, f"write {_SHORTEST} characters or more with one of {' '.join(_ENDS)} last")
    elif overlap(prefix, OURS):
        section.complain(name, f"`{OURS}` is the watchdog's own; write a prefix of the service's keys")
    elif under := next((one for one in never if one and prefix.startswith(one)), None):
        section.complain(name, f"lies under the protected `{under}`, so nothing would be done")
    return prefix
