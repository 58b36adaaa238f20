"""The brake: files that every process looks at before it acts, so that it works also when the daemon is dead."""

import contextlib
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Final

from watchdog.ports.errors import WatchdogError

_ALL: Final = "_all"
_THAWED: Final = ".thawed"
_GUARD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class FileFreezeSwitch:
    """A `FreezeSwitch` of one file a guard: `freeze/<guard>.json`, or `freeze/_all.json` for all, with who and why.

    What cannot be read counts as frozen, so an empty file made by hand does, too.

    Args:
        directory: The daemon's state directory.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "freeze"

    def frozen(self, guard: str) -> tuple[str, str] | None:
        """Who froze this guard (or all) and why; None when acting is allowed.

        Raises:
            WatchdogError: The name is none that a guard can have.
        """
        return self._look(self._file(None)) or self._look(self._file(guard))

    def freeze(self, guard: str | None, who: str, reason: str) -> None:
        """Freezes one guard, or all with None; what was said before is replaced.

        Raises:
            WatchdogError: The name is none that a guard can have, or the file cannot be made.
        """
        file = self._file(guard)
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            _replace(file, json.dumps({"who": who, "reason": reason}))
        except OSError as error:
            raise WatchdogError(
                f"Cannot freeze: {file} cannot be written ({error.strerror}). Make it as somebody who may write there; "
                "an empty file is enough."
            ) from error

    def unfreeze(self, guard: str | None, who: str) -> bool:
        """Thaws one guard, or takes the brake on all off; False when it was not frozen. `who` stays for the daemon.

        A guard frozen by its own name stays so when all are thawed, and the other way round.

        Raises:
            WatchdogError: The name is none that a guard can have, or the file cannot be deleted.
        """
        file = self._file(guard)
        if (frozen := self._look(file)) is not None:
            # Before the brake goes, so that whoever sees it gone finds the name; thawing matters more than the name.
            with contextlib.suppress(OSError):
                _replace(file.with_suffix(_THAWED), json.dumps({"who": who, "frozen": frozen}))
        try:
            file.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise WatchdogError(
                f"Cannot unfreeze: {file} cannot be deleted ({error.strerror}). Delete it as somebody who may."
            ) from error
        return True

    def thawed_by(self, guard: str, frozen: tuple[str, str]) -> str | None:
        """Who ended a freeze, which is told by who had made it and why.

        None when that was not `unfreeze`: somebody took the file away, and an earlier note is about another freeze.
        """
        notes: list[tuple[int, str, bool]] = []
        for file in (self._file(guard).with_suffix(_THAWED), self._file(None).with_suffix(_THAWED)):
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
                note = json.loads(file.read_text("utf-8"))
                notes.append((file.stat().st_mtime_ns, str(note["who"]), tuple(note["frozen"]) == frozen))
        # A guard may be frozen twice, by its name and with all; it acts again when the last of them is gone.
        return max(notes)[1] if any(same for _, _, same in notes) else None

    def _file(self, guard: str | None) -> Path:
        if guard is not None and not _GUARD.fullmatch(guard):
            raise WatchdogError(
                f"{guard!r} cannot be a guard's name: a letter or digit, then at most 99 letters, "
                'digits, ".", "_" or "-".'
            )
        return self._directory / f"{guard or _ALL}.json"

    def _look(self, file: Path) -> tuple[str, str] | None:
        try:
            said = json.loads(file.read_text("utf-8"))
            return str(said["who"]), str(said["reason"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            return "unknown", f"{file} is there but cannot be read ({type(error).__name__})"


def _replace(file: Path, text: str) -> None:
    """Writes a file whole or not at all, to stay; the daemon may run as another user, so everybody may read it."""
    handle, name = tempfile.mkstemp(prefix=".", dir=file.parent)
    partial = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fchmod(stream.fileno(), 0o644)
            os.fsync(stream.fileno())
        partial.replace(file)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    directory = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
