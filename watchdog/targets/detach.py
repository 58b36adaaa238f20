"""Starts a program that outlives its starter. Run as a program of its own, with what to start as JSON on stdin.

It forks, so that the program belongs to init and never becomes a zombie of ours; the child starts a session of its
own, writes its process id and then becomes the program. So there is no moment at which it runs unrecorded.
"""

import json
import os
import sys
from pathlib import Path
from typing import TypedDict


class Spec(TypedDict):
    """What to start."""

    argv: list[str]
    cwd: str
    env: dict[str, str]
    pid_file: str
    log: str


def write_atomically(path: Path, text: str) -> None:
    """Replaces a file, so that nobody ever reads half of it."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    fresh.write_text(text)
    fresh.replace(path)


def main() -> int:
    """Starts it; 0 when it runs, 1 with the reason on stderr."""
    spec: Spec = json.load(sys.stdin)
    # Closed by a successful exec, so end of file means that the program runs.
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        _become(spec, writer)
    os.close(writer)
    with os.fdopen(reader) as answer:
        problem = answer.read()
    sys.stderr.write(problem)
    return 1 if problem else 0


def _become(spec: Spec, writer: int) -> None:
    try:
        os.setsid()
        log = os.open(spec["log"] or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if spec["cwd"]:
            os.chdir(spec["cwd"])
        write_atomically(Path(spec["pid_file"]), f"{os.getpid()}\n")
        os.execvpe(spec["argv"][0], spec["argv"], spec["env"])  # noqa: S606 - no shell is the point
    except OSError as error:
        os.write(writer, f"{error.strerror}: {error.filename or spec['argv'][0]}".encode())
    finally:
        os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
