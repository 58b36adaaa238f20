"""The tools, how each is fetched by its own package tool, and two migrations for it."""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final

from watchdog.migrations.tools.address import Command

FIRST: Final = "CREATE TABLE shop (id int PRIMARY KEY, name text NOT NULL, old text);"
SECOND: Final = "ALTER TABLE shop DROP COLUMN old; UPDATE shop SET name = upper(name);"
_FLYWAY: Final = (
    "org.flywaydb:flyway-commandline:10.20.1",
    "org.flywaydb:flyway-database-postgresql:10.20.1",
    "org.postgresql:postgresql:42.7.4",
)
_LIQUIBASE: Final = (
    "org.liquibase:liquibase-core:4.29.2",
    "info.picocli:picocli:4.7.6",
    "org.postgresql:postgresql:42.7.4",
)


class MissingError(Exception):
    """A tool cannot be had on this machine."""


@dataclass(frozen=True)
class Case:
    """One tool.

    Attributes:
        fetch: Gets it into a directory, and answers with its command for migrations in another one.
        write: Adds a migration, by number, to a directory.
        versions: Where it notes what it applied, as SQL.
    """

    name: str
    fetch: Callable[[Path, Path], Command]
    write: Callable[[Path, int, str], None]
    versions: str


def _run(*words: str, at: Path, **more: str) -> None:
    if shutil.which(words[0]) is None:
        raise MissingError(f"{words[0]} is not there")
    done = subprocess.run(words, cwd=at, env=os.environ | more, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    if done.returncode:
        raise MissingError((done.stderr or done.stdout).strip().splitlines()[-1])


def _class_path(coordinates: tuple[str, ...]) -> str:
    try:
        place = Path(import_module("jgo").build("+".join(coordinates)).path)
    except (ImportError, OSError, RuntimeError) as error:
        raise MissingError(str(error)) from error
    return os.pathsep.join(str(jar) for jar in sorted(place.rglob("*.jar")))


def _flyway(_: Path, migrations: Path) -> Command:
    java = ("java", "-cp", _class_path(_FLYWAY), "org.flywaydb.commandline.Main")
    return Command("flyway", (*java, f"-locations=filesystem:{migrations}", "migrate"))


def _liquibase(_: Path, migrations: Path) -> Command:
    java = ("java", "-cp", _class_path(_LIQUIBASE), "liquibase.integration.commandline.LiquibaseCommandLine")
    where = (f"--search-path={migrations}", "--changelog-file=all.sql")
    return Command("liquibase", (*java, *where, "update"))


def _golang_migrate(place: Path, migrations: Path) -> Command:
    module = "github.com/golang-migrate/migrate/v4/cmd/migrate@v4.18.3"
    _run("go", "install", "-tags", "postgres", module, at=place, GOBIN=str(place))
    return Command("golang-migrate", (str(place / "migrate"), "-path", str(migrations), "up"))


def _node_pg_migrate(place: Path, migrations: Path) -> Command:
    _run("npm", "install", "--no-fund", "--no-audit", "node-pg-migrate@7.9.1", "pg@8.13.1", at=place)
    program = place / "node_modules" / ".bin" / "node-pg-migrate"
    words = (str(program), "up", "-m", str(migrations))
    return Command("other", words, ("DATABASE_URL",), ("pgmigrations",))


def _write_liquibase(place: Path, number: int, text: str) -> None:
    path = place / "all.sql"
    so_far = path.read_text(encoding="utf-8") if number > 1 else "--liquibase formatted sql\n"
    path.write_text(f"{so_far}--changeset shop:{number}\n{text}\n", encoding="utf-8")


def _write_as(pattern: str) -> Callable[[Path, int, str], None]:
    def write(place: Path, number: int, text: str) -> None:
        (place / pattern.format(number)).write_text(text, encoding="utf-8")

    return write


CASES: Final = (
    Case("Flyway 10.20", _flyway, _write_as("V{}__shop.sql"), "SELECT version FROM flyway_schema_history ORDER BY 1"),
    Case("Liquibase 4.29", _liquibase, _write_liquibase, "SELECT id FROM databasechangelog ORDER BY 1"),
    Case("golang-migrate 4.18", _golang_migrate, _write_as("{}_shop.up.sql"), "TABLE schema_migrations"),
    Case("node-pg-migrate 7.9", _node_pg_migrate, _write_as("{}_shop.sql"), "SELECT name FROM pgmigrations ORDER BY 1"),
)
