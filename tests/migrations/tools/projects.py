"""Small projects of Alembic and Django, on disk."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

_ENV = """\
import os
from alembic import context
from sqlalchemy import create_engine, pool

address = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://", 1)
with create_engine(address, poolclass=pool.NullPool).connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"""

_SETTINGS = """\
import os
SECRET_KEY = "x"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "shop"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": {
    "ENGINE": "django.db.backends.postgresql", "NAME": os.environ["PGDATABASE"], "USER": os.environ["PGUSER"],
    "PASSWORD": os.environ.get("PGPASSWORD", ""), "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"],
}}
"""

_MANAGE = """\
import os, sys
from django.core.management import execute_from_command_line
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
execute_from_command_line(sys.argv)
"""


@dataclass(frozen=True)
class Project:
    """A project's directory, and the command of its tool."""

    place: Path
    command: tuple[str, ...]

    def words(self, *said: str) -> tuple[str, ...]:
        return (*self.command, *said)


def alembic(place: Path, python: str, versions: Mapping[str, str]) -> Project:
    """Versions by name in their order, each the body of `upgrade`."""
    folder = place / "migrations" / "versions"
    folder.mkdir(parents=True)
    (place / "migrations" / "env.py").write_text(_ENV)
    (place / "alembic.ini").write_text(f"[alembic]\nscript_location = {place / 'migrations'}\n")
    last: str | None = None
    for name, body in versions.items():
        text = f"from alembic import op\nrevision = {name!r}\ndown_revision = {last!r}\ndef upgrade():\n"
        (folder / f"{name}.py").write_text(text + "".join(f"    {line}\n" for line in dedent(body).splitlines()))
        last = name
    return Project(place, (python, "-m", "alembic", "-c", str(place / "alembic.ini")))


def django(place: Path, python: str, migrations: Mapping[str, str]) -> Project:
    """Migrations of an app `shop` by name in their order, each the list of operations as Python."""
    folder = place / "shop" / "migrations"
    folder.mkdir(parents=True)
    (place / "settings.py").write_text(_SETTINGS)
    (place / "manage.py").write_text(_MANAGE)
    (place / "shop" / "__init__.py").write_text("")
    (folder / "__init__.py").write_text("")
    last: str | None = None
    for name, operations in migrations.items():
        needs = [("shop", last)] if last else []
        text = "from django.db import migrations, models\nclass Migration(migrations.Migration):\n"
        text += f"    dependencies = {needs!r}\n    operations = {operations}\n"
        (folder / f"{name}.py").write_text(text)
        last = name
    return Project(place, (python, str(place / "manage.py")))
