"""Listening sockets: the daemon's own on the file system, for its owner only, and one over TCP."""

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from watchdog.ports.errors import WatchdogError

LONGEST_PATH: Final = 107
"""Bytes; what Linux allows a Unix socket's path."""

PROBE_SECONDS: Final = 1.0
BACKLOG: Final = 128


class ListenError(WatchdogError):
    """An address cannot be listened on."""


@contextlib.contextmanager
def unix_listener(path: Path) -> Iterator[socket.socket]:
    """A listening socket at a path, mode 0600; the file goes away with it.

    Raises:
        ListenError: Another daemon answers there, or the path cannot be used.
    """
    address = str(path.absolute())
    if len(os.fsencode(address)) > LONGEST_PATH:
        raise ListenError(
            f"the socket's path {address} is longer than {LONGEST_PATH} bytes: set `web.socket` in config.yaml to a "
            "short absolute path like /run/watchdog.sock"
        )
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _clear(path)
        listener.bind(address)
        # Nobody can connect before `listen`, so there is no moment at which others could.
        path.chmod(0o600)
        listener.listen(BACKLOG)
        mine = path.stat().st_ino
    except OSError as error:
        listener.close()
        raise ListenError(
            f"cannot listen at {address} ({error.strerror}): set `web.socket` in config.yaml to a path in a directory "
            "that the daemon may write"
        ) from error
    except ListenError:
        listener.close()
        raise
    try:
        yield listener
    finally:
        listener.close()
        _remove(path, mine)


def _clear(path: Path) -> None:
    """Takes a stale socket file away."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ListenError(f"{path} is there and is no socket: move it away, or set `web.socket` in config.yaml")
    if _answers(path):
        raise ListenError(
            f"another daemon answers at {path}: stop it first, or give this one a `state` directory of its own"
        )
    path.unlink()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_SECONDS)
        try:
            probe.connect(str(path.absolute()))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except (TimeoutError, BlockingIOError):
            # Its queue is full: it is there, and busy.
            return True
        return True


def _remove(path: Path, mine: int) -> None:
    """Deletes the socket file unless a successor has put its own there."""
    with contextlib.suppress(FileNotFoundError):
        if path.lstat().st_ino == mine:
            path.unlink()


@contextlib.contextmanager
def tcp_listener(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket over TCP; port 0 takes a free one.

    Raises:
        ListenError: The address is taken, or is none of this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        # Python writes the address once more into the text of some.
        reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise ListenError(
            f"cannot serve metrics at {host}:{port} ({reason}): free the port, or change `web.metrics` in config.yaml"
        ) from error
    with listener:
        yield listener
