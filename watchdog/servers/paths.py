"""Where fetched binaries live, and how several processes build them exactly once."""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from watchdog.servers.errors import ServerError

NAME = "migration-watchdog"


def cache_dir() -> Path:
    """The directory of downloaded and extracted binaries; everything in it can be deleted at any time.

    `$WATCHDOG_CACHE`, else `$XDG_CACHE_HOME/migration-watchdog`, else `~/.cache/migration-watchdog`.
    Root's own cache usually lies below a directory that only root may enter, while PostgreSQL refuses to run
    as root and so has to read its binaries as somebody else; root then uses the system's cache directory.
    """
    if chosen := os.environ.get("WATCHDOG_CACHE"):
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    cache = (Path(base) if base else Path.home() / ".cache") / NAME
    if os.geteuid() != 0 or closed_directory(cache) is None:
        return cache
    return _system_cache_dir()


def closed_directory(path: Path) -> Path | None:
    """The first directory on the way to and including `path` that not everybody may enter, or None."""
    for directory in (*reversed(path.absolute().parents), path.absolute()):
        if directory.is_dir() and not directory.stat().st_mode & 0o001:
            return directory
    return None


@contextmanager
def scratch_dir(name: str) -> Iterator[Path]:
    """A temporary directory for servers' data, deleted at the end.

    Everybody may enter it, though only we may list it: as root the servers run as another user.
    """
    path = Path(tempfile.mkdtemp(prefix=f"{NAME}-{name}-"))
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def build_once(place: Path, build: Callable[[Path], None]) -> Path:
    """Return `place`, built by `build(empty directory)` unless it is there already.

    Safe between threads and processes: one builds under a file lock, the others wait, and the finished
    directory appears in one rename, so a build that was interrupted leaves nothing that looks complete.
    """
    if place.exists():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_name(f".{place.name}.partial")
    with place.with_name(f".{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if place.exists():
            return place
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            build(partial)
            _let_everybody_read_directories(partial)
            partial.rename(place)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return place


def _let_everybody_read_directories(root: Path) -> None:
    """Undo a strict umask: as root the servers run as another user."""
    for directory in (root, *(path for path in root.rglob("*") if path.is_dir() and not path.is_symlink())):
        directory.chmod(0o755)


def _system_cache_dir() -> Path:
    for parent in (Path("/var/cache"), Path(tempfile.gettempdir())):
        if _is_ours_alone(parent / NAME):
            return parent / NAME
    raise ServerError(
        "Found no directory for server binaries that root can write and others can read; set WATCHDOG_CACHE to one."
    )


def _is_ours_alone(cache: Path) -> bool:
    """Make `cache` unless it is there; whether only we can write it, and everybody can enter it.

    Anybody can make a directory in the temporary one, and root must not run what another user put there.
    """
    try:
        cache.mkdir(exist_ok=True)
        status = cache.lstat()
        if stat.S_ISLNK(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
            return False
        cache.chmod(0o755)
    except OSError:
        return False
    return True
