"""Validate rollback: whether the certificate of a rehearsal proves something here and now."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from watchdog.app.procedures.parts import Outcome, Part
from watchdog.app.procedures.place import Place
from watchdog.app.procedures.staging import Script
from watchdog.app.vouch import vouch
from watchdog.model.releases import Certificate, Release
from watchdog.model.rules import RungKind
from watchdog.model.time import Span, say_span
from watchdog.ports.errors import WatchdogError
from watchdog.web.bodies import BodyError, CertificateBody, parse
from watchdog.web.moments import seconds

NAME = "rollback"


class CertificateFileError(WatchdogError):
    """A file holds no certificate."""

    exit_status = 2


def read_certificate(path: Path) -> Certificate:
    """A certificate as `watchdog playbook rehearse --out` writes it.

    Raises:
        CertificateFileError: It cannot be read, or is none.
    """
    try:
        return parse(CertificateBody, path.read_bytes()).to_model()
    except OSError as error:
        raise CertificateFileError(f"{path} cannot be read ({error.strerror})") from error
    except BodyError as error:
        raise CertificateFileError(f"{path} is no certificate: {error}") from error


async def prove_rollback(
    where: Place, certificate: Certificate | None, max_age: Span, scripts: Sequence[Script] = ()
) -> Part:
    """Whether the way back was rehearsed: valid, missing, expired, or for other scripts, servers or schemas.

    Args:
        scripts: The migrations that are about to go out; one that the rehearsal did not apply is not proven.
    """
    settings = where.guard.settings
    playbook = settings.playbook
    if not any(rung.kind is RungKind.DATA for rung in playbook.rungs):
        return Part(NAME, Outcome.NOT_RUN, f"playbook {playbook.name} has no data rung, so there is nothing to prove")
    if certificate is None:
        return Part(
            NAME, Outcome.FAILED, "no certificate: make one by `watchdog playbook rehearse`, name it by --certificate"
        )
    numbers = {
        "measured_seconds": seconds(certificate.measured) or 0.0,
        "budget_seconds": seconds(playbook.budget) or 0.0,
    }
    if said := _outdated(certificate, where.clock.now() - certificate.issued_at, max_age, scripts):
        return Part(NAME, Outcome.FAILED, said, (), numbers)
    vouched = await vouch(Release("test", (), certificate=certificate), settings, where.resources)
    held = vouched.certificate
    if held is None or not held.restored:
        said = f"certificate {certificate.id} does not prove that schema and data come back"
        return Part(NAME, Outcome.FAILED, said, held.findings if held else (), numbers)
    took = say_span(certificate.measured)
    if certificate.measured > playbook.budget:
        said = f"the rehearsed rollback took {took}, more than the budget of {say_span(playbook.budget)}"
        return Part(NAME, Outcome.FAILED, said, (), numbers)
    return Part(
        NAME,
        Outcome.OK,
        f"certificate {certificate.id} holds here: back in {took}; old code {held.old_code}",
        (),
        numbers,
    )


def _outdated(certificate: Certificate, age: Span, max_age: Span, scripts: Sequence[Script]) -> str:
    """Why it is not for now and these scripts; empty when it is. One that names no scripts is for any."""
    if age > max_age:
        return f"certificate {certificate.id} is {say_span(age)} old and has expired; rehearse again"
    others = [one.name for one in scripts if certificate.scripts and _digest(one) not in certificate.scripts]
    if others:
        return f"certificate {certificate.id} is of other scripts: {', '.join(others)} was not rehearsed as it is now"
    return ""


def _digest(script: Script) -> str:
    """As a run has it."""
    return hashlib.sha256(script.text.encode()).hexdigest()
