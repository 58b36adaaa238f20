"""The tables in which tools note what they have applied, and how each is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, LiteralString


@dataclass(frozen=True)
class VersionTable:
    """How one tool keeps its versions.

    Attributes:
        columns: It is this tool's only if it has all of these.
        rows: SQL with `{table}`; gives key, name and state of each version.
        beside: It is this tool's only if this table is in the same schema.
        heads: The tool keeps only where it stands.
    """

    tool: str
    table: str
    columns: frozenset[str]
    rows: LiteralString
    beside: str = ""
    heads: bool = False


@dataclass(frozen=True)
class FoundTable:
    """A table that may be one of those.

    Attributes:
        neighbours: Those of `BESIDE` that are in the same schema.
        readable: Whether we may select from it.
    """

    schema: str
    table: str
    columns: frozenset[str]
    neighbours: frozenset[str] = frozenset()
    readable: bool = True

    @property
    def place(self) -> str:
        """Schema and table."""
        return f"{self.schema}.{self.table}"


_FLYWAY: Final = """
    SELECT installed_rank::text, concat_ws(' ', version, description),
           CASE WHEN type LIKE 'UNDO%' THEN 'rolled back' WHEN success THEN 'applied' ELSE 'failed' END
    FROM {table} WHERE type NOT IN ('SCHEMA', 'BASELINE', 'DELETE')
"""
_LIQUIBASE: Final = """
    SELECT concat_ws(':', orderexecuted, filename, author, id), concat_ws(':', filename, author, id),
           CASE exectype WHEN 'FAILED' THEN 'failed' ELSE 'applied' END
    FROM {table} WHERE exectype NOT IN ('MARK_RAN', 'SKIPPED')
"""
_PRISMA: Final = """
    SELECT id, migration_name,
           CASE WHEN rolled_back_at IS NOT NULL THEN 'rolled back' WHEN finished_at IS NOT NULL THEN 'applied'
                WHEN logs IS NOT NULL THEN 'failed' ELSE 'begun' END
    FROM {table}
"""
_PLAIN: Final = "SELECT version::text, version::text, 'applied' FROM {table}"

# Of those with one name the first whose columns are there.
TABLES: Final = (
    VersionTable(
        "alembic",
        "alembic_version",
        frozenset({"version_num"}),
        "SELECT version_num, version_num, 'applied' FROM {table}",
        heads=True,
    ),
    VersionTable(
        "django",
        "django_migrations",
        frozenset({"app", "name", "applied"}),
        "SELECT app || '.' || name, app || '.' || name, 'applied' FROM {table}",
    ),
    VersionTable(
        "flyway", "flyway_schema_history", frozenset({"installed_rank", "description", "type", "success"}), _FLYWAY
    ),
    VersionTable(
        "liquibase",
        "databasechangelog",
        frozenset({"id", "author", "filename", "orderexecuted", "exectype"}),
        _LIQUIBASE,
    ),
    VersionTable(
        "golang-migrate",
        "schema_migrations",
        frozenset({"version", "dirty"}),
        "SELECT version::text, version::text, CASE WHEN dirty THEN 'begun' ELSE 'applied' END FROM {table}",
        heads=True,
    ),
    VersionTable(
        "prisma",
        "_prisma_migrations",
        frozenset({"id", "migration_name", "finished_at", "rolled_back_at", "logs"}),
        _PRISMA,
    ),
    VersionTable("rails", "schema_migrations", frozenset({"version"}), _PLAIN, beside="ar_internal_metadata"),
    VersionTable("dbmate", "schema_migrations", frozenset({"version"}), _PLAIN),
    VersionTable(
        "sqitch",
        "changes",
        frozenset({"change_id", "script_hash", "change", "project", "committed_at"}),
        "SELECT change_id, project || ':' || change, 'applied' FROM {table}",
    ),
    VersionTable("schema_versions", "schema_versions", frozenset({"version"}), _PLAIN),
)

TOOLS: Final = tuple(dict.fromkeys(table.tool for table in TABLES))
BESIDE: Final = tuple(sorted({table.beside for table in TABLES if table.beside}))


def recognise(found: FoundTable, renamed: Mapping[str, str]) -> VersionTable | None:
    """Which tool's table it is; None when it only has such a name.

    Args:
        found: The table.
        renamed: Tools by the names that somebody has given their tables.
    """
    tool = renamed.get(found.table)
    for known in TABLES:
        named = known.tool == tool if tool else known.table == found.table
        if named and known.columns <= found.columns and (not known.beside or known.beside in found.neighbours):
            return known
    return None
