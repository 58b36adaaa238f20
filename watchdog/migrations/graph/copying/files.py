"""The file of a copy, which nobody else may read, and beside it the manifest with counts and hashes."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from watchdog.migrations.graph.copying.tally import Tally
from watchdog.ports.errors import WatchdogError

VERSION = 1
_PRIVATE = 0o600


class CopyFileError(WatchdogError):
    """A file is there already, is missing, or is not what its manifest says; its name and what to do."""


@dataclass(frozen=True)
class Manifest:
    """What a copy holds.

    Attributes:
        sha256: Of the file.
        lines: How many nodes and relationships are in it.
        schema: Indexes and constraints, each with the statement that makes it.
        tally: Counts and hashes.
    """

    sha256: str
    lines: int
    schema: Mapping[str, str]
    tally: Tally

    def as_json(self) -> dict[str, Any]:
        """As the file beside a copy has it."""
        return {
            "version": VERSION,
            "sha256": self.sha256,
            "lines": self.lines,
            "schema": dict(self.schema),
            **self.tally.as_json(),
        }

    @classmethod
    def of(cls, path: Path) -> Self:
        """The manifest of a copy, whose file is then as it was written.

        Raises:
            CopyFileError: One of both is missing, damaged, or of another version.
        """
        beside = manifest_path(path)
        try:
            said = json.loads(beside.read_text(encoding="utf-8"))
            version = said["version"]
            found = cls(said["sha256"], int(said["lines"]), dict(said["schema"]), Tally.read(said))
            with path.open("rb") as file:
                there = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise CopyFileError(f"{error.filename} cannot be read ({error.strerror}); a copy is both files.") from error
        except (ValueError, KeyError, TypeError, AttributeError):
            raise CopyFileError(f"{beside} is no manifest of a copy; take the one that was written with it.") from None
        if version != VERSION:
            raise CopyFileError(f"{beside} has version {version}, and this program reads {VERSION}; use its own.")
        if there != found.sha256:
            raise CopyFileError(f"{path} is not as it was written (another SHA-256); take another copy.")
        return found


class NewCopy:
    """A copy that is being written."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._file = os.fdopen(descriptor, "w", encoding="utf-8", newline="\n")
        self._hash = hashlib.sha256()
        self.lines = 0
        self.bytes = 0

    def write(self, line: str) -> None:
        """Adds a line."""
        coded = line.encode()
        self._file.write(line)
        self._hash.update(coded)
        self.lines += 1
        self.bytes += len(coded)

    def finish(self, schema: Mapping[str, str], tally: Tally) -> Manifest:
        """Puts the file and its manifest in their places, once they are on the disk."""
        manifest = Manifest(self._hash.hexdigest(), self.lines, schema, tally)
        self._settle()
        beside = os.fdopen(_private(_part(manifest_path(self._path))), "w", encoding="utf-8")
        with beside:
            json.dump(manifest.as_json(), beside, indent=2)
            beside.flush()
            os.fsync(beside.fileno())
        _part(self._path).rename(self._path)
        _part(manifest_path(self._path)).rename(manifest_path(self._path))
        return manifest

    def close(self) -> None:
        """Lets go of the file."""
        self._file.close()

    def _settle(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


@contextmanager
def new_copy(path: Path) -> Iterator[NewCopy]:
    """A file to write a copy into, which is there when it is finished, and else not.

    Raises:
        CopyFileError: A file of that name is there already, or the folder cannot be written to.
    """
    for taken in (path, manifest_path(path)):
        if taken.exists():
            raise CopyFileError(f"{taken} is there already; name another file.")
    try:
        copy = NewCopy(path, _private(_part(path)))
    except OSError as error:
        raise CopyFileError(f"{path} cannot be written ({error.strerror}); name another place.") from error
    try:
        yield copy
    except OSError as error:
        raise CopyFileError(f"{path} cannot be written ({error.strerror}); make room or name another place.") from error
    finally:
        copy.close()
        _part(path).unlink(missing_ok=True)
        _part(manifest_path(path)).unlink(missing_ok=True)


def lines_of(path: Path, after: int) -> Iterator[str]:
    """The lines of a copy behind the first ones."""
    with path.open(encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file):
            if number >= after:
                yield line


def manifest_path(path: Path) -> Path:
    """Where the manifest of a copy is."""
    return path.with_name(f"{path.name}.manifest")


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _private(path: Path) -> int:
    path.unlink(missing_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
