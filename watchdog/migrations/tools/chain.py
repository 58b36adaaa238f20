"""neo4j-migrations: its files, the chain of nodes in which it notes what it applied, and what is still to come."""

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from watchdog.migrations.session import RefusedError
from watchdog.migrations.tools.address import Command, ToolError

BASELINE: Final = "BASELINE"
"""What the tool calls the beginning of its chain."""
_FILE: Final = re.compile(r"(?P<type>[VR])(?P<version>\d+(?:_\d+)*|\d+(?:\.\d+)*)__(?P<name>[\w ]+)\.(?P<ext>\w+)")
_CALLBACK: Final = re.compile(r"(?:before|after)(?:FirstUse|Migrate|Validate)(?:__[\w ]+)?\.cypher")
_END: Final = re.compile(r";(?:\r?\n|\r)")
_BLANKS: Final = "".join(map(chr, range(33)))
"""What Java's `trim` takes away."""
_CONDITION: Final = re.compile(
    r"^\s*// *(?:assume|assert)(?: in (?:schema|target))? (?:that|q').*", re.IGNORECASE | re.MULTILINE
)
_SWITCH: Final = re.compile(r":use +\w", re.IGNORECASE)
_PLACEHOLDER: Final = re.compile(r"\$\{nm:")
_VERBS: Final = ("apply", "migrate")
_HARMLESS: Final = ("--location", "--validate-on-migrate", "--verbose", "-v")
"""Options that mean the same when we carry the files out; each other one is refused by its name."""


@dataclass(frozen=True)
class File:
    """One migration as a file.

    Attributes:
        version: As the chain says it, `1.2`.
        repeatable: Whether the tool runs it again when it was changed.
    """

    name: str
    version: str
    description: str
    repeatable: bool
    text: str

    @property
    def checksum(self) -> str:
        """As the tool computes it: of each statement, without blanks at its ends and the last semicolon."""
        found = 0
        for part in _END.split(self.text):
            statement = part.strip(_BLANKS).removesuffix(";").strip(_BLANKS)
            found = zlib.crc32(statement.encode(), found)
        return str(found)

    @property
    def is_conditional(self) -> bool:
        """Whether a comment says under what conditions the tool runs it."""
        return bool(_CONDITION.search(self.text))


@dataclass(frozen=True)
class Chain:
    """What is applied; `checksums` by version, `last` is the end of the chain or `BASELINE`, `is_new` says no chain."""

    checksums: Mapping[str, str | None]
    last: str
    is_new: bool


def verb_at(command: Command) -> int:
    """Where the tool's verb stands in its command.

    Raises:
        ToolError: It is none that applies, or an option changes what would be applied, or where.
    """
    places = [place for place, word in enumerate(command.words) if place and word in _VERBS]
    if not places or places[-1] + 1 != len(command.words):
        raise ToolError("--tool neo4j-migrations: its command ends with the word apply.")
    said = {word.partition("=")[0] for word in command.words[1:] if word.startswith("-")}
    # What belongs to a Java machine stands before the class or the jar that it starts.
    if wrong := sorted(option for option in said - {"-cp", "-jar"} if option not in _HARMLESS and not _is_java(option)):
        raise ToolError(
            f"--tool neo4j-migrations: leave {', '.join(wrong)} out of its command: the address comes from --database,"
            " and of its other options only --location and --verbose are for a run that can be taken back."
        )
    return places[-1]


def _is_java(option: str) -> bool:
    return option.startswith(("-D", "-X", "--add-opens", "--enable-native"))


def locations(command: Command) -> tuple[Path, ...]:
    """The directories in which the tool looks for migrations.

    Raises:
        ToolError: None is named, or one is no directory of this machine.
    """
    words = command.words
    said = [word.partition("=")[2] for word in words if word.startswith("--location=")]
    said += [after for word, after in pairwise(words) if word == "--location"]
    found = []
    for one in ",".join(said).split(","):
        kind, _, path = one.partition(":")
        place = Path(re.sub(r"^//[^/]*", "", path))
        if kind != "file" or not place.is_dir():
            raise ToolError(
                f"--tool neo4j-migrations: --location {one or 'is missing'}: it is a directory with Cypher files, said"
                " in the command as --location=file:///srv/migrations."
            )
        found.append(place)
    return tuple(found)


def read_files(places: Iterable[Path]) -> tuple[File, ...]:
    """Every migration of directories and what is below them, in the order of their versions.

    Raises:
        RefusedError: They hold what we do not carry out as the tool would.
        ToolError: A file cannot be read.
    """
    paths = [path for place in places for path in sorted(place.rglob("*")) if path.is_file()]
    if callbacks := [path.name for path in paths if _CALLBACK.fullmatch(path.name)]:
        raise RefusedError(tuple(f"{name} is a callback of the tool, which is not run here" for name in callbacks))
    found = [file for path in paths if (file := _read(path))]
    versions = [file.version for file in found]
    if twice := sorted({version for version in versions if versions.count(version) > 1}):
        raise RefusedError(tuple(f"version {version} is there twice" for version in twice))
    ordered = sorted(found, key=lambda file: [int(part) for part in file.version.split(".")])
    if ordered != sorted(found, key=lambda file: file.version):
        reason = "which version comes first depends on whether they are read as numbers or as text, and releases of the"
        raise RefusedError((f"{reason} tool differ in that; give them the same number of digits",))
    return tuple(ordered)


def _read(path: Path) -> File | None:
    named = _FILE.fullmatch(path.name)
    if named is None or named["ext"] not in {"cypher", "xml"}:
        return None
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ToolError(f"{path} cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise ToolError(f"{path} is not UTF-8.") from error
    version, description = named["version"].replace("_", "."), named["name"].replace("_", " ")
    return File(path.name, version, description, named["type"] == "R", text)


def pending(files: Sequence[File], chain: Chain) -> tuple[File, ...]:
    """What the tool would apply.

    Raises:
        RefusedError: The files are not those of the chain, or one of those to come is not for us.
    """
    there = {file.version for file in files}
    wrong = [f"version {one} is applied, but there is no file of it" for one in chain.checksums if one not in there]
    todo = tuple(file for file in files if file.version not in chain.checksums)
    wrong += [reason for file in files if file not in todo and (reason := _changed(file, chain))]
    late = files[len(chain.checksums) :]
    if not wrong and todo != tuple(late):
        wrong.append(f"{todo[0].name} is not applied, although a later version is")
    wrong += [f"{file.name} {reason}" for file in todo if (reason := _not_ours(file))]
    if wrong:
        raise RefusedError(tuple(wrong))
    return todo


def _changed(file: File, chain: Chain) -> str:
    # Of a catalog (XML), and where conditions were added since, only the tool knows the checksum.
    if not file.name.endswith(".cypher") or file.is_conditional or chain.checksums[file.version] == file.checksum:
        return ""
    return f"{file.name} was changed since it was applied" + ("; make it a new version" if file.repeatable else "")


def _not_ours(file: File) -> str:
    if not file.name.endswith(".cypher"):
        return "is no Cypher; write what it does as Cypher"
    if file.repeatable:
        return "is repeatable; make it a version that is applied once"
    if file.is_conditional:
        return "has a condition (assume, assert), which only the tool checks; leave it out"
    if _SWITCH.search(file.text):
        return "says :use; apply it to that database by itself"
    if _PLACEHOLDER.search(file.text):
        return "has a placeholder; write its value"
    return ""


def noted(file: File, previous: str | None, user: str) -> str:
    """The statement that notes a migration as the tool does.

    Args:
        previous: The end of the chain before it; None when there is no chain yet.
    """
    node = (
        f"(:__Neo4jMigration {{version: {_text(file.version)}, description: {_text(file.description)}, type: 'CYPHER',"
        f" repeatable: false, source: {_text(file.name)}, checksum: {_text(file.checksum)}}})"
    )
    how = (
        "[:MIGRATED_TO {at: datetime({timezone: 'UTC'}), in: duration({milliseconds: 0}), by: 'migration-watchdog',"
        f" connectedAs: {_text(user)}}}]"
    )
    if previous is None:
        return f"CREATE (:__Neo4jMigration {{version: '{BASELINE}'}})-{how}->{node}"
    return (
        f"MATCH (p:__Neo4jMigration {{version: {_text(previous)}}}) WHERE p.migrationTarget IS NULL"
        f" AND NOT EXISTS {{ (p)-[:MIGRATED_TO]->() }} CREATE (p)-{how}->{node}"
    )


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
