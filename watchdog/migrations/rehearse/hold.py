"""Whether a certificate holds for one script on one database."""

import hashlib

from watchdog.migrations.catalog import differences, surroundings
from watchdog.migrations.shape import Connection
from watchdog.model.releases import Certificate


def script_hash(script: str) -> str:
    """SHA-256 of a script, as a run and a certificate have it."""
    return hashlib.sha256(script.encode()).hexdigest()


async def holds(connection: Connection, certificate: Certificate, script: str) -> tuple[str, ...]:
    """Why a certificate proves nothing for this script on this database, one sentence each; empty when it holds."""
    found: list[str] = []
    if not certificate.restored:
        found.append("it says that the rollback did not restore everything")
    if script_hash(script) not in certificate.scripts:
        found.append("it is of another script; rehearse this one")
    return (*found, *differences(certificate.surroundings, await surroundings(connection)))
