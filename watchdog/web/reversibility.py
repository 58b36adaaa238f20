"""Whether a release can still be taken back in time: a live signal, put together from what is known already."""

from dataclasses import dataclass

from watchdog.model.guards import Guard
from watchdog.model.releases import ReleaseState
from watchdog.model.time import Span, Time

_STANDING = frozenset({ReleaseState.APPLYING, ReleaseState.BAKING, ReleaseState.REVERSIBLE})


@dataclass(frozen=True)
class Kept:
    """What the databases keep for the way back.

    Attributes:
        archived: Runs of the release that are applied, with everything archived that they destroyed; None when nobody
            could count them, and `why` says so.
        past: Runs of the release that are applied and cannot be taken back.
        predicted: How long taking back would need now, with all that users wrote since; None where nobody predicted.
        until: When the first archive may be dropped: from then on there is no return; None for never.
        lowered: Why protection is less than it was, one sentence each.
        backup_age: How old the newest archived write-ahead log is; None where the server archives none.
    """

    archived: int | None = None
    why: str = "nobody has counted the archives yet"
    past: int = 0
    predicted: Span | None = None
    until: Time | None = None
    lowered: tuple[str, ...] = ()
    backup_age: Span | None = None


@dataclass(frozen=True)
class Reversibility:
    """The way back of a release.

    Attributes:
        certificate_valid: Whether its rollback was shown to restore schema and data, here.
        reason: Why it is not valid; empty when it is.
        budget: How long a climb may take.
        rehearsed: How long the rollback took in the rehearsal; None without a valid certificate.
        migrations: How many the release has.
    """

    certificate_valid: bool
    reason: str
    budget: Span
    rehearsed: Span | None
    migrations: int
    kept: Kept

    @property
    def predicted(self) -> Span | None:
        """How long the rollback will take: as predicted for these rows, if that is longer than in the rehearsal."""
        if self.rehearsed is None:
            return None
        return max(self.rehearsed, self.kept.predicted or 0)

    @property
    def budget_met(self) -> bool:
        """Whether the way back is known to fit the budget."""
        return self.predicted is not None and self.predicted <= self.budget

    @property
    def past_return(self) -> bool:
        """Whether something of the release can no longer be taken back."""
        return self.kept.past > 0

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
        rehearsed=certificate.measured if certificate is not None and valid else None,
        migrations=len(record.release.migrations),
        kept=kept,
    )
