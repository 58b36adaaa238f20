"""What each kind of statement locks, as PostgreSQL's manual says it; tests compare it with a running server."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class LockMode(StrEnum):
    """A table-level lock mode, from the weakest to the strongest."""

    ACCESS_SHARE = "ACCESS SHARE"
    ROW_SHARE = "ROW SHARE"
    ROW_EXCLUSIVE = "ROW EXCLUSIVE"
    SHARE_UPDATE_EXCLUSIVE = "SHARE UPDATE EXCLUSIVE"
    SHARE = "SHARE"
    SHARE_ROW_EXCLUSIVE = "SHARE ROW EXCLUSIVE"
    EXCLUSIVE = "EXCLUSIVE"
    ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE"

    @property
    def rank(self) -> int:
        """0 for ACCESS SHARE to 7 for ACCESS EXCLUSIVE."""
        return list(LockMode).index(self)

    @property
    def blocks(self) -> str:
        """Whom it keeps waiting."""
        return _BLOCKS[self]

    @property
    def blocks_writes(self) -> bool:
        """Whether INSERT, UPDATE and DELETE wait for it."""
        return self.rank >= LockMode.SHARE.rank


_BLOCKS: Final[Mapping[LockMode, str]] = {
    LockMode.ACCESS_SHARE: "no reads and no writes",
    LockMode.ROW_SHARE: "no reads and no writes",
    LockMode.ROW_EXCLUSIVE: "no reads; writes only of the same rows",
    LockMode.SHARE_UPDATE_EXCLUSIVE: "no reads and no writes; VACUUM, ANALYZE and other schema changes",
    LockMode.SHARE: "writes",
    LockMode.SHARE_ROW_EXCLUSIVE: "writes",
    LockMode.EXCLUSIVE: "writes and SELECT FOR UPDATE",
    LockMode.ACCESS_EXCLUSIVE: "reads and writes",
}


class Work(StrEnum):
    """What a statement does with a whole table while it holds its lock."""

    NONE = "none"
    SCAN = "scan"
    INDEX = "index build"
    REWRITE = "rewrite"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True)
class Kind:
    """A kind of statement.

    Attributes:
        mode: On the table that it names.
        work: What it does with the whole table, where nothing else is known.
        source: Chapters of PostgreSQL's manual.
    """

    mode: LockMode
    work: Work
    source: str


_AEL, _SRE, _SUE = LockMode.ACCESS_EXCLUSIVE, LockMode.SHARE_ROW_EXCLUSIVE, LockMode.SHARE_UPDATE_EXCLUSIVE


def _alter(mode: LockMode = _AEL, work: Work = Work.NONE) -> Kind:
    return Kind(mode, work, "ALTER TABLE")


def _kind(source: str, mode: LockMode = _AEL, work: Work = Work.NONE) -> Kind:
    return Kind(mode, work, source)


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "ADD COLUMN": _alter(),
        "DROP COLUMN": _alter(),
        "SET DEFAULT": _alter(),
        "SET NOT NULL": _alter(work=Work.SCAN),
        "DROP NOT NULL": _alter(),
        "SET STATISTICS": _alter(_SUE),
        "SET STORAGE": _alter(),
        "SET COMPRESSION": _alter(),
        "SET (attribute option)": _alter(_SUE),
        "ADD GENERATED AS IDENTITY": _alter(),
        "SET EXPRESSION": _alter(work=Work.REWRITE),
        "DROP EXPRESSION": _alter(),
        "ALTER COLUMN TYPE": _alter(work=Work.REWRITE),
        "ADD CHECK": _alter(work=Work.SCAN),
        "ADD CHECK NOT VALID": _alter(),
        "ADD NOT NULL": _alter(work=Work.SCAN),
        "ADD NOT NULL NOT VALID": _alter(),
        "ADD FOREIGN KEY": _alter(_SRE, Work.SCAN),
        "ADD FOREIGN KEY NOT VALID": _alter(_SRE),
        "ADD UNIQUE": _alter(work=Work.INDEX),
        "ADD UNIQUE USING INDEX": _alter(),
        "ADD EXCLUDE": _alter(work=Work.INDEX),
        "VALIDATE CONSTRAINT": _alter(_SUE, Work.SCAN),
        "DROP CONSTRAINT": _alter(),
        "ALTER CONSTRAINT": _alter(),
        "RENAME": _alter(),
        "SET SCHEMA": _alter(),
        "OWNER TO": _alter(),
        "SET TABLESPACE": _alter(work=Work.REWRITE),
        "SET LOGGED or UNLOGGED": _alter(work=Work.REWRITE),
        "SET ACCESS METHOD": _alter(work=Work.REWRITE),
        "SET (storage parameter)": _alter(_SUE),
        "CLUSTER ON": _alter(_SUE),
        "ENABLE or DISABLE TRIGGER": _alter(_SRE),
        "ROW LEVEL SECURITY": _alter(),
        "REPLICA IDENTITY": _alter(),
        "INHERIT": _alter(),
        "ATTACH PARTITION": _alter(_SUE, Work.SCAN),
        "DETACH PARTITION": _alter(),
        "DETACH PARTITION CONCURRENTLY": _alter(_SUE),
        "ALTER TABLE": _alter(),
        "CREATE TABLE": _kind("CREATE TABLE"),
        "CREATE INDEX": _kind("CREATE INDEX", LockMode.SHARE, Work.INDEX),
        "CREATE INDEX ON ONLY": _kind("CREATE INDEX", LockMode.SHARE),
        "CREATE INDEX CONCURRENTLY": _kind("CREATE INDEX, Building Indexes Concurrently", _SUE, Work.INDEX),
        "DROP INDEX": _kind("DROP INDEX"),
        "DROP INDEX CONCURRENTLY": _kind("DROP INDEX", _SUE),
        "ALTER INDEX RENAME": _kind("ALTER INDEX", _SUE),
        "REINDEX": _kind("REINDEX", LockMode.SHARE, Work.INDEX),
        "REINDEX CONCURRENTLY": _kind("REINDEX, Rebuilding Indexes Concurrently", _SUE, Work.INDEX),
        "CLUSTER": _kind("CLUSTER", work=Work.REWRITE),
        "VACUUM FULL": _kind("VACUUM", work=Work.REWRITE),
        "VACUUM": _kind("VACUUM", _SUE, Work.SCAN),
        "ANALYZE": _kind("ANALYZE", _SUE),
        "DROP TABLE": _kind("DROP TABLE; Explicit Locking"),
        "TRUNCATE": _kind("TRUNCATE"),
        "INSERT": _kind("Explicit Locking", LockMode.ROW_EXCLUSIVE),
        "UPDATE": _kind("Explicit Locking", LockMode.ROW_EXCLUSIVE, Work.UPDATE),
        "DELETE": _kind("Explicit Locking", LockMode.ROW_EXCLUSIVE, Work.DELETE),
        "MERGE": _kind("Explicit Locking", LockMode.ROW_EXCLUSIVE, Work.UPDATE),
        "COPY FROM": _kind("Explicit Locking", LockMode.ROW_EXCLUSIVE),
        "SELECT FOR UPDATE": _kind("Explicit Locking", LockMode.ROW_SHARE),
        "CREATE TRIGGER": _kind("CREATE TRIGGER; Explicit Locking", _SRE),
        "DROP TRIGGER": _kind("DROP TRIGGER; Explicit Locking"),
        "CREATE RULE": _kind("CREATE RULE; Explicit Locking"),
        "CREATE POLICY": _kind("CREATE POLICY; Explicit Locking"),
        "CREATE STATISTICS": _kind("CREATE STATISTICS; Explicit Locking", _SUE),
        "COMMENT": _kind("COMMENT", _SUE),
        "CREATE OR REPLACE VIEW": _kind("CREATE VIEW; Explicit Locking"),
        "DROP VIEW": _kind("DROP VIEW; Explicit Locking"),
        "REFRESH MATERIALIZED VIEW": _kind("REFRESH MATERIALIZED VIEW", work=Work.REWRITE),
        "REFRESH MATERIALIZED VIEW CONCURRENTLY": _kind("REFRESH MATERIALIZED VIEW", LockMode.EXCLUSIVE, Work.REWRITE),
        "PUBLICATION … TABLE": _kind("CREATE PUBLICATION; Explicit Locking", _SUE),
        "ALTER SEQUENCE": _kind("ALTER SEQUENCE", _SRE),
        "ALTER DOMAIN ADD CONSTRAINT": _kind("ALTER DOMAIN", LockMode.SHARE, Work.SCAN),
        "INHERITS": _kind("CREATE TABLE", _SUE),
        "REFERENCES": _kind("CREATE TABLE; Explicit Locking", _SRE),
        "PARTITION OF": _kind("CREATE TABLE"),
    }
)
