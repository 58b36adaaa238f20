"""Becomes a server: drops privileges, asks to be signalled when its parent dies, and executes the command.

Runs as a script (`python -I -S launcher.py PARENT_PID SIGNAL UID:GID|- COMMAND…`), so only the standard library is
here. Doing this in a process of its own, and not in `preexec_fn`, keeps Python code out of the window between
fork and exec of a process with threads, where it can deadlock.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, signal: int, account: str, command: list[str]) -> None:
    """Never returns: execute `command`, or exit because `parent` is gone already."""
    if account != "-":
        uid, gid = (int(part) for part in account.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    # After the change of user, because that clears the setting; it survives the exec.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        sys.exit("the parent was gone before the server could start")
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted; the command comes from our own code


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
