"""Identifiers that are not derived from state come from here."""

import os
import socket
import uuid


def rehearsal() -> str:
    """Names one rehearsal, so that no receipt of an earlier one is taken for its own."""
    return f"rehearsal-{uuid.uuid4().hex[:12]}"  # noqa: TID251  # this is the source of ids


def holder() -> str:
    """Names this process among all that ever hold a guard: host, process, a random part."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"  # noqa: TID251  # this is the source of ids
