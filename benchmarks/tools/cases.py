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
from watchdog.servers.postgres import tool

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


_PRISMA: Final = ("prisma@6.19.0", "@prisma/adapter-pg@6.19.0")
# With `engine: "js"` the schema engine comes in the package. It does not know PostgreSQL's type `name`, which it reads
# itself (prisma/orm#27403), and it wants to download another engine that it never uses.
_PRISMA_CONFIG: Final = """\
import { createRequire } from "node:module";
import { PrismaPg } from "@prisma/adapter-pg";
const { Pool } = createRequire(createRequire(import.meta.url).resolve("@prisma/adapter-pg"))("pg");
const NAME = 19, TEXT = 25;
class KnowsNames extends Pool {
  async query(...asked) {
    const found = await super.query(...asked);
    for (const one of [found].flat())
      for (const field of one?.fields ?? []) if (field.dataTypeID === NAME) field.dataTypeID = TEXT;
    return found;
  }
}
export default {
  schema: "schema.prisma",
  experimental: { adapter: true },
  engine: "js",
  adapter: async () => new PrismaPg(new KnowsNames({ connectionString: process.env.DATABASE_URL })),
  migrations: { path: "migrations" },
};
"""
_OTHER_DATABASES: Final = ("libdbd-firebird-perl", "libdbd-mysql-perl", "libdbd-odbc-perl", "libdbd-sqlite3-perl")


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


def run_program(*words: str, at: Path, **more: str) -> str:
    """What a program says; raises MissingError when it fails."""
    if shutil.which(words[0]) is None:
        raise MissingError(f"{words[0]} is not there")
    done = subprocess.run(words, cwd=at, env=os.environ | more, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    if done.returncode:
        raise MissingError((done.stderr or done.stdout).strip().splitlines()[-1])
    return done.stdout


def class_path(coordinates: tuple[str, ...]) -> str:
    """The jars of Maven coordinates and of all that they need; raises MissingError."""
    try:
        place = Path(import_module("jgo").build("+".join(coordinates)).path)
    except (ImportError, OSError, RuntimeError) as error:
        raise MissingError(str(error)) from error
    return os.pathsep.join(str(jar) for jar in sorted(place.rglob("*.jar")))


def _flyway(_: Path, migrations: Path) -> Command:
    java = ("java", "-cp", class_path(_FLYWAY), "org.flywaydb.commandline.Main")
    return Command("flyway", (*java, f"-locations=filesystem:{migrations}", "migrate"))


def _liquibase(_: Path, migrations: Path) -> Command:
    java = ("java", "-cp", class_path(_LIQUIBASE), "liquibase.integration.commandline.LiquibaseCommandLine")
    where = (f"--search-path={migrations}", "--changelog-file=all.sql")
    return Command("liquibase", (*java, *where, "update"))


def _golang_migrate(place: Path, migrations: Path) -> Command:
    module = "github.com/golang-migrate/migrate/v4/cmd/migrate@v4.18.3"
    run_program("go", "install", "-tags", "postgres", module, at=place, GOBIN=str(place))
    return Command("golang-migrate", (str(place / "migrate"), "-path", str(migrations), "up"))


def _node_pg_migrate(place: Path, migrations: Path) -> Command:
    run_program("npm", "install", "--no-fund", "--no-audit", "node-pg-migrate@7.9.1", "pg@8.13.1", at=place)
    program = place / "node_modules" / ".bin" / "node-pg-migrate"
    words = (str(program), "up", "-m", str(migrations))
    return Command("other", words, ("DATABASE_URL",), ("pgmigrations",))


def _dbmate(place: Path, migrations: Path) -> Command:
    run_program("npm", "install", "--no-fund", "--no-audit", "dbmate@2.36.0", at=place)
    program = place / "node_modules" / ".bin" / "dbmate"
    return Command("dbmate", (str(program), "--no-dump-schema", "--migrations-dir", str(migrations), "up"))


def _prisma(place: Path, migrations: Path) -> Command:
    run_program("npm", "install", "--no-fund", "--no-audit", "--ignore-scripts", *_PRISMA, at=place)
    schema = 'datasource db {\n  provider = "postgresql"\n  url = env("DATABASE_URL")\n}\n'
    (place / "schema.prisma").write_text(schema, encoding="utf-8")
    (place / "prisma.config.mjs").write_text(_PRISMA_CONFIG, encoding="utf-8")
    (migrations / "migration_lock.toml").write_text('provider = "postgresql"\n', encoding="utf-8")
    unused = place / "unused.so.node"
    unused.touch()
    program = place / "node_modules" / ".bin" / "prisma"
    words = ("env", "-C", str(place), f"PRISMA_QUERY_ENGINE_LIBRARY={unused}", str(program), "migrate", "deploy")
    return Command("prisma", words)


def _sqitch(place: Path, migrations: Path) -> Command:
    """Debian's packages, unpacked where nobody else sees them."""
    only = (f"--no-{kind}" for kind in ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances"))
    needed = run_program("apt-cache", "depends", "--recurse", *only, "sqitch", "libdbd-pg-perl", at=place).splitlines()
    modules = sorted({name for name in needed if name.startswith("lib") and name.endswith("-perl")})
    run_program("apt-get", "download", "sqitch", *(name for name in modules if name not in _OTHER_DATABASES), at=place)
    root = place / "root"
    for package in place.glob("*.deb"):
        run_program("dpkg-deb", "-x", str(package), str(root), at=place)
    libraries = os.pathsep.join(str(path) for path in (root / "usr/share/perl5", *root.glob("usr/lib/*/perl5/*")))
    config = f'[core]\n\tengine = pg\n[engine "pg"]\n\tclient = {tool("psql")}\n'
    (migrations / "sqitch.conf").write_text(config, encoding="utf-8")
    words = ("env", f"PERL5LIB={libraries}", str(root / "usr/bin/sqitch"), "-C", str(migrations), "deploy")
    return Command("sqitch", words)


def _write_dbmate(place: Path, number: int, text: str) -> None:
    (place / f"{number}_shop.sql").write_text(f"-- migrate:up\n{text}\n-- migrate:down\n", encoding="utf-8")


def _write_prisma(place: Path, number: int, text: str) -> None:
    (place / f"{number}_shop").mkdir()
    (place / f"{number}_shop" / "migration.sql").write_text(text, encoding="utf-8")


def _write_sqitch(place: Path, number: int, text: str) -> None:
    plan = place / "sqitch.plan"
    so_far = plan.read_text(encoding="utf-8") if number > 1 else "%syntax-version=1.0.0\n%project=shop\n\n"
    plan.write_text(
        f"{so_far}shop{number} 2026-01-0{number}T00:00:00Z Ann <ann@example.org> # shop\n", encoding="utf-8"
    )
    (place / "deploy").mkdir(exist_ok=True)
    (place / "deploy" / f"shop{number}.sql").write_text(f"BEGIN;\n{text}\nCOMMIT;\n", encoding="utf-8")


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
    Case("dbmate 2.36", _dbmate, _write_dbmate, "TABLE schema_migrations"),
    Case(
        "Prisma 6.19",
        _prisma,
        _write_prisma,
        "SELECT migration_name, finished_at IS NOT NULL, applied_steps_count FROM _prisma_migrations ORDER BY 1",
    ),
    Case("sqitch 1.3", _sqitch, _write_sqitch, "SELECT change, script_hash FROM sqitch.changes ORDER BY 1"),
    Case("node-pg-migrate 7.9", _node_pg_migrate, _write_as("{}_shop.sql"), "SELECT name FROM pgmigrations ORDER BY 1"),
)
