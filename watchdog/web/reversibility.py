"""Whether a release can still be taken back in time: a live signal, put together from what is known already."""

from dataclasses import dataclass

from watchdog.model.guards import Guard
from watchdog.model.releases import ReleaseState
from watchdog.model.time import Span

_STANDING = frozenset({ReleaseState.APPLYING, ReleaseState.BAKING, ReleaseState.REVERSIBLE})


@dataclass(frozen=True)
class Kept:
    """What the databases keep for the way back.

    Attributes:
        archived: Runs of the release that are applied, with everything archived that they destroyed; None when nobody
            could count them, and `why` says so.
    """

    archived: int | None = None
    why: str = "nobody has counted the archives yet"


@dataclass(frozen=True)
class Reversibility:
    """The way back of a release.

    Attributes:
        certificate_valid: Whether its rollback was shown to restore schema and data, here.
        reason: Why it is not valid; empty when it is.
        budget: How long a climb may take.
        predicted: How long the rollback took in the rehearsal; None without a valid certificate.
        migrations: How many the release has.
    """

    certificate_valid: bool
    reason: str
    budget: Span
    predicted: Span | None
    migrations: int
    kept: Kept

    @property
    def budget_met(self) -> bool:
        """Whether the way back is known to fit the budget."""
        return self.predicted is not None and self.predicted <= self.budget

    @property
    def archives_complete(self) -> bool | None:
        """Whether every migration of the release has its archive; None when that is not known."""
        return None if self.kept.archived is None else self.kept.archived >= self.migrations


NOTHING_KEPT = Kept()


def nothing_kept(_guard: str) -> Kept:
    """Where nobody looks."""
    return NOTHING_KEPT


def reversibility(guard: Guard, kept: Kept = NOTHING_KEPT) -> Reversibility | None:
    """The way back of a guard's release; None when there is no release, or none that could be taken back any more."""
    record = guard.release
    if record is None or record.state not in _STANDING:
        return None
    certificate = record.release.certificate
    if certificate is None:
        valid, reason = False, "no certificate"
    elif certificate.restored:
        valid, reason = True, ""
    else:
        valid, reason = False, next(iter(certificate.findings), "the rehearsal did not restore schema and data")
    return Reversibility(
        certificate_valid=valid,
        reason=reason,
        budget=guard.settings.playbook.budget,
        predicted=certificate.measured if certificate is not None and valid else None,
        migrations=len(record.release.migrations),
        kept=kept,
    )
