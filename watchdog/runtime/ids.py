"""Identifiers that are not derived from state come from here."""

import os
import socket
import uuid


def holder() -> str:
    """Names this process among all that ever hold a guard: host, process, a random part."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"  # noqa: TID251  # this is the source of ids
