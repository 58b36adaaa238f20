"""What a person may say about a run when it is applied."""

from dataclasses import dataclass, field

from watchdog.migrations.policies import Policies
from watchdog.ports.errors import WatchdogError


class OptionsError(WatchdogError):
    """Options that cannot be meant."""

    exit_status = 2


@dataclass(frozen=True)
class Options:
    """How a script is applied.

    Attributes:
        budget_bytes: What its archives may take; None for no limit.
        rollback_within: Seconds that its rollback may be predicted to take; None for no limit.
        expires: Seconds after which its archives may be dropped by `settle --expired`; None for never.
        name: What people call the run.
        release: The release that it belongs to.
        archive: False for lawful deletion: nothing is kept, and the run cannot be taken back.
        reason: Why nothing is kept.
        role: Whose rights it runs with, as `SET ROLE` says; empty for the user's own.
        online_rows: From how many rows on a table is archived while users go on writing.
        defer: Moves aside what the script drops, and drops it at `settle`.
        log_bytes: What the change log of its large tables may take before it is ended; None for no limit.
        wal_bytes: Of WAL that a replica or a slot may have to come before the log is ended; None for no limit.
        lag_seconds: That a replica may be behind before the log is ended; None for no limit.
        policies: What wins in a conflict, by table.

    Raises:
        OptionsError: A length or a budget that is none, or no archive without a reason.
    """

    budget_bytes: int | None = None
    rollback_within: float | None = None
    expires: float | None = None
    name: str = ""
    release: str = ""
    archive: bool = True
    reason: str = ""
    role: str = ""
    defer: bool = False
    online_rows: int = 50_000
    log_bytes: int | None = None
    wal_bytes: int | None = None
    lag_seconds: float | None = None
    policies: Policies = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuses what contradicts itself."""
        if not self.archive and not self.reason.strip():
            raise OptionsError("Without an archive the run cannot be taken back; say why with --reason.")
        if self.archive and self.reason:
            raise OptionsError("A reason is only for a run without archive; leave --reason out, or add --no-archive.")
        if self.budget_bytes is not None and self.budget_bytes <= 0:
            raise OptionsError("The budget must be more than nothing; for a run that keeps nothing say --no-archive.")
        if self.rollback_within is not None and self.rollback_within <= 0:
            raise OptionsError("A rollback takes some time; give --rollback-within a length, as 10m.")
        if self.expires is not None and self.expires <= 0:
            raise OptionsError("The archives cannot expire before they are made; give --expires a length, as 7d.")
        if any(limit is not None and limit <= 0 for limit in (self.log_bytes, self.wal_bytes, self.lag_seconds)):
            raise OptionsError("A limit of the change log must be more than nothing; leave it out for none.")
