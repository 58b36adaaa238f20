"""The tools that we know: how each is told where the database is, and what it keeps there about itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True)
class Tool:
    """One migration tool.

    Attributes:
        environment: Variables that tell it the database, beside `DATABASE_URL` and libpq's, as name and value; a value
            may hold the placeholders of a command.
        verbs: The words that begin a migration in its command line.
        status: What stands in place of the verb and all that follows, to ask it for its state without a change.
        appends: Words that come after the program's name, for a tool that reads no environment.
        keeps: Whether what follows the verb also belongs to the question for its state.
        graph: Whether it migrates a graph.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    verbs: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    appends: tuple[str, ...] = ()
    keeps: bool = False
    graph: bool = False


_JDBC_FLYWAY: Final = {"FLYWAY_URL": "{jdbc_url}", "FLYWAY_USER": "{user}", "FLYWAY_PASSWORD": "{password}"}
_JDBC_LIQUIBASE: Final = {
    "LIQUIBASE_COMMAND_URL": "{jdbc_url}",
    "LIQUIBASE_COMMAND_USERNAME": "{user}",
    "LIQUIBASE_COMMAND_PASSWORD": "{password}",
}

TOOLS: Final[Mapping[str, Tool]] = MappingProxyType({
    "alembic": Tool({"SQLALCHEMY_URL": "{url}"}, ("upgrade", "downgrade", "stamp"), ("current",)),
    "django": Tool({}, ("migrate",), ("showmigrations",)),
    "flyway": Tool(_JDBC_FLYWAY, ("migrate", "repair", "baseline"), ("info",)),
    "liquibase": Tool(_JDBC_LIQUIBASE, ("update", "update-count", "update-to-tag"), ("status",)),
    "golang-migrate": Tool({}, ("up", "down", "goto"), ("version",), ("-database", "{url}")),
    "prisma": Tool({}, ("deploy",), ("status",), keeps=True),
    "dbmate": Tool({}, ("up", "migrate", "rollback", "down"), ("status",)),
    "sqitch": Tool({"SQITCH_TARGET": "{sqitch_url}"}, ("deploy", "revert"), ("status",)),
    "neo4j-migrations": Tool({}, ("apply", "migrate"), ("validate",), graph=True),
    "other": Tool(),
})  # fmt: skip

VERSION_TABLES: Final = frozenset({
    "alembic_version", "django_migrations", "flyway_schema_history", "schema_migrations", "databasechangelog",
    "databasechangeloglock", "_prisma_migrations", "goose_db_version", "knex_migrations", "knex_migrations_lock",
    "ar_internal_metadata", "__diesel_schema_migrations", "_sqlx_migrations", "typeorm_migrations", "SequelizeMeta",
})  # fmt: skip
"""Tables in which tools note what they applied: copied whole and unmasked to the rehearsal, written by tools alone."""

VERSION_SCHEMAS: Final = frozenset({"sqitch"})
"""Schemas in which every table is one of those."""
