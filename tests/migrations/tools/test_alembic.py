import subprocess
from pathlib import Path

import pytest

from tests.migrations.tools.projects import Project, alembic
from tests.support.archives import sql
from watchdog.migrations.rollback import rollback
from watchdog.migrations.tools.address import Address, Command
from watchdog.migrations.tools.apply import ToolApplied, apply_tool
from watchdog.ports.errors import WatchdogError

FIRST = 'op.execute("CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL, age text)")'
SECOND = """\
op.execute("ALTER TABLE users DROP COLUMN age")
op.execute("UPDATE users SET name = upper(name)")
"""


def ask(project: Project, url: str, *words: str) -> str:
    """What the tool itself says, outside of all of us."""
    command = Command("alembic", project.words(*words))
    environment = Address.of(url, 0).environment(command, {"PATH": "/usr/bin:/bin"})
    done = subprocess.run(command.words, env=environment, check=True, capture_output=True, text=True)
    return done.stdout


@pytest.fixture
def project(tmp_path: Path, tools_python: str) -> Project:
    return alembic(tmp_path, tools_python, {"one": FIRST, "two": SECOND})


async def upgraded(project: Project, url: str, scratch: str) -> ToolApplied:
    done = await apply_tool(url, Command("alembic", project.words("upgrade", "head")), scratch_url=scratch)
    assert done is not None
    return done


async def test_what_alembic_did_is_taken_back_with_its_version(
    project: Project, pg_database: str, scratch: str
) -> None:
    ask(project, pg_database, "upgrade", "one")
    await sql(pg_database, "INSERT INTO users VALUES (1, 'ann', 'x'), (2, 'bob', 'y')")
    done = await upgraded(project, pg_database, scratch)
    assert done.reversible, done
    assert done.lowered == ()
    assert done.archives == {"public.users": 2, "public.alembic_version": 1}
    assert await sql(pg_database, "TABLE users") == [(1, "ANN"), (2, "BOB")]
    assert "two" in ask(project, pg_database, "current")
    await sql(pg_database, "INSERT INTO users VALUES (3, 'later'); UPDATE users SET name = 'Bobby' WHERE id = 2")

    report = await rollback(pg_database, done.run)

    rows = await sql(pg_database, "SELECT * FROM users ORDER BY id")
    assert rows == [(1, "ann", "x"), (2, "Bobby", "y"), (3, "later", None)]
    assert (report.earlier, report.changed, report.later, report.quarantined) == (2, 1, 1, 0)
    assert "one" in ask(project, pg_database, "current")
    ask(project, pg_database, "upgrade", "head")
    assert "two" in ask(project, pg_database, "current")


async def test_a_first_migration_comes_and_goes_whole(project: Project, pg_database: str, scratch: str) -> None:
    done = await upgraded(project, pg_database, scratch)
    command = Command("alembic", project.words("upgrade", "head"))
    assert await apply_tool(pg_database, command, scratch_url=scratch) is None, "nothing was left to do"
    report = await rollback(pg_database, done.run)
    assert report.quarantined == 0
    assert await sql(pg_database, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == []
    assert await sql(pg_database, "SELECT id FROM watchdog.migration_runs") == [(done.run,)]


async def test_a_tool_that_fails_half_way_is_taken_back(
    tmp_path: Path, tools_python: str, pg_database: str, scratch: str
) -> None:
    # What only production's rows reveal: the copy has masked ones.
    check = "assert not op.get_bind().exec_driver_sql(\"SELECT 1 FROM users WHERE age = 'old'\").fetchall()"
    project = alembic(
        tmp_path, tools_python, {"one": FIRST, "two": 'op.execute("UPDATE users SET name = name || 1")', "three": check}
    )
    ask(project, pg_database, "upgrade", "one")
    await sql(pg_database, "INSERT INTO users VALUES (1, 'ann', 'old')")
    with pytest.raises(WatchdogError, match="was taken back"):
        await upgraded(project, pg_database, scratch)
    assert await sql(pg_database, "TABLE users") == [(1, "ann", "old")]
    assert "one" in ask(project, pg_database, "current")
    assert await sql(pg_database, "SELECT state FROM watchdog.migration_runs") == [("rolled back",)]
    assert await sql(pg_database, "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal") == []
