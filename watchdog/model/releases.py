"""Releases: ordered migrations plus code versions that go out together."""

from dataclasses import dataclass
from enum import StrEnum

from watchdog.model.time import Span, Time


class Protection(StrEnum):
    """How much of the way back is in our hands."""

    FULL = "full"
    TOOL_DOWN = "tool-down"
    CODE_ONLY = "code-only"


class ReleaseState(StrEnum):
    """Where a release is."""

    APPLYING = "applying"
    BAKING = "baking"
    REVERSIBLE = "reversible"
    SETTLED = "settled"
    ROLLED_BACK = "rolled back"
    DISARMED = "disarmed"


class Compatibility(StrEnum):
    """Whether the old code works on the new schema, as rehearsed."""

    COMPATIBLE = "compatible"
    INCOMPATIBLE = "incompatible"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Surroundings:
    """What a rehearsal ran on; a certificate holds only on the same.

    Attributes:
        server: Major version.
        extensions: `name version`, sorted.
        collation: The database's collation and its version.
        schema_hash: SHA-256 of the catalog before the first change.
    """

    server: str
    extensions: tuple[str, ...] = ()
    collation: str = ""
    schema_hash: str = ""


@dataclass(frozen=True)
class Certificate:
    """Proof that one exact rollback was rehearsed and restored schema and data.

    Attributes:
        rollback_hash: SHA-256 over the scripts of the playbook's data rung.
        old_code: From the old version's recorded writes, executed on the migrated copy.
        measured: How long the rollback took in the rehearsal.
        findings: Plain sentences: what was compared, and what did not agree.
        scripts: SHA-256 of each script that the rehearsal applied through us; others are not taken back by it.
    """

    id: str
    issued_at: Time
    surroundings: Surroundings
    rollback_hash: str
    restored: bool
    old_code: Compatibility
    measured: Span
    findings: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Release:
    """What goes out.

    Attributes:
        flags: Feature flags of the release, switched off by the flag rung.
        old_version: The last known good version of the code.
        new_version: The version that this release brings.
    """

    id: str
    migrations: tuple[str, ...]
    flags: tuple[str, ...] = ()
    old_version: str = ""
    new_version: str = ""
    protection: Protection = Protection.CODE_ONLY
    certificate: Certificate | None = None
