"""Addresses of targets, read so that no piece of a password is taken for a host, a port or a path."""

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Address:
    """Where a target is, without user and password.

    Attributes:
        port: None when the address names none.
        path: What follows the port, without slashes around it.
    """

    host: str
    port: int | None
    path: str


def read_address(url: str, schemes: Collection[str]) -> Address:
    """Reads a URL of one of these schemes.

    Raises:
        ValueError: It is no such URL; the text shows nothing of it.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("this is no URL") from None  # urlsplit quotes what it cannot read
    # A password with a bare / ? or # ends the host early, and the rest of it stands behind.
    if parts.scheme not in schemes or not host or port == 0 or "@" in parts.query + parts.fragment:
        raise ValueError("this is no URL of such a target")
    return Address(host, port, parts.path.strip("/"))
