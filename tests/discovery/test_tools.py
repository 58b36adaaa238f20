"""Alembic and Django themselves."""

import subprocess
from pathlib import Path

from tests.discovery.conftest import Beats
from tests.migrations.tools.projects import Project, alembic, django
from watchdog.discovery.changes import Change
from watchdog.discovery.postgres import PostgresDiscoverer
from watchdog.discovery.watch import Watch
from watchdog.migrations.tools.address import Address, Command
from watchdog.targets.postgres import PostgresTarget

FIRST = 'op.execute("CREATE TABLE users (id int PRIMARY KEY)")'
SECOND = 'op.execute("ALTER TABLE users ADD COLUMN name text")'
OPERATIONS = '[migrations.CreateModel("User", [("id", models.BigAutoField(primary_key=True))])]'


def run(tool: str, project: Project, url: str, *words: str) -> None:
    command = Command(tool, project.words(*words))
    environment = Address.of(url, 0).environment(command, {"PATH": "/usr/bin:/bin"})
    subprocess.run(command.words, env=environment, check=True, capture_output=True, cwd=project.place)


async def test_what_alembic_applies_is_found(
    tmp_path: Path, tools_python: str, target: PostgresTarget, pg_database: str, clock: Beats
) -> None:
    project = alembic(tmp_path, tools_python, {"one": FIRST, "two": SECOND})
    watch = Watch(PostgresDiscoverer(target, clock))
    await watch.look()
    run("alembic", project, pg_database, "upgrade", "one")
    [first] = await watch.look()
    assert (first.tool, first.place, first.change) == ("alembic", "public.alembic_version", Change.APPLIED)
    assert (first.versions, first.gone) == (("one",), ())
    run("alembic", project, pg_database, "upgrade", "head")
    [second] = await watch.look()
    assert (second.change, second.versions, second.gone) == (Change.APPLIED, ("two",), ("one",))
    assert await watch.look() == ()


async def test_what_django_applies_and_takes_back_is_found(
    tmp_path: Path, tools_python: str, target: PostgresTarget, pg_database: str, clock: Beats
) -> None:
    project = django(tmp_path, tools_python, {"0001_initial": OPERATIONS})
    run("django", project, pg_database, "migrate", "auth")
    watch = Watch(PostgresDiscoverer(target, clock))
    await watch.look()
    run("django", project, pg_database, "migrate", "shop")
    [found] = await watch.look()
    assert (found.tool, found.change, found.versions) == ("django", Change.APPLIED, ("shop.0001_initial",))
    run("django", project, pg_database, "migrate", "shop", "zero")
    [back] = await watch.look()
    assert (back.change, back.versions) == (Change.TAKEN_BACK, ("shop.0001_initial",))
