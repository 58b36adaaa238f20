import asyncio
import sys
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from tests.migrations.tools.plain import WAIT, held, nobody_is_there, plain, somebody_waits
from tests.support.archives import sql
from watchdog.migrations.options import Options, OptionsError
from watchdog.migrations.releases import close
from watchdog.migrations.rollback import rollback, take_back
from watchdog.migrations.session import RefusedError, connected
from watchdog.migrations.tools.address import Command, ToolError
from watchdog.migrations.tools.apply import ToolApplied, apply_tool
from watchdog.migrations.tools.finish import resume
from watchdog.ports.errors import WatchdogError

SCHEMA = """
CREATE TABLE t (id int PRIMARY KEY, v text, w text);
CREATE TABLE other (id int);
INSERT INTO t VALUES (1, 'one', 'x'), (2, 'two', 'y');
"""
LESS = "ALTER TABLE t DROP COLUMN w"


async def applied(url: str, command: Command, scratch: str) -> ToolApplied:
    done = await apply_tool(url, command, scratch_url=scratch)
    assert done is not None
    return done


async def leftovers(url: str) -> list[tuple[str]]:
    return await sql(
        url,
        "SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal UNION ALL"
        " SELECT relname::text FROM pg_class WHERE relnamespace = 'watchdog'::regnamespace AND relname ~ '^tool_'"
        " UNION ALL SELECT proname::text FROM pg_proc WHERE pronamespace = 'watchdog'::regnamespace",
    )


async def test_a_table_written_only_in_production_lowers_protection_aloud(
    pg_database: str, scratch: str, tmp_path: Path
) -> None:
    await sql(pg_database, SCHEMA)
    # The copy's text is masked, so nothing is found there.
    command = plain(tmp_path, (LESS, "INSERT INTO other SELECT id FROM t WHERE v = 'one'"))
    done = await applied(pg_database, command, scratch)
    assert not done.reversible
    assert 'the tool wrote "public"."other"' in done.lowered[0]
    with pytest.raises(WatchdogError, match="cannot be taken back"):
        await rollback(pg_database, done.run)
    assert await leftovers(pg_database) == []


async def test_another_schema_than_on_the_copy_is_still_taken_back(
    pg_database: str, scratch: str, tmp_path: Path
) -> None:
    await sql(pg_database, SCHEMA)
    sometimes = """DO $$ BEGIN IF EXISTS (SELECT FROM t WHERE v = 'one') THEN
        ALTER TABLE other ADD COLUMN note text; END IF; END $$"""
    done = await applied(pg_database, plain(tmp_path, (sometimes, LESS)), scratch)
    assert done.reversible
    assert "not rehearsed" in done.lowered[0]
    await rollback(pg_database, done.run)
    assert await sql(pg_database, "SELECT * FROM t ORDER BY id") == [(1, "one", "x"), (2, "two", "y")]
    assert len((await sql(pg_database, "INSERT INTO other VALUES (1) RETURNING *"))[0]) == 1


async def test_what_users_write_into_a_new_table_meanwhile_is_kept_apart(
    pg_database: str, scratch: str, tmp_path: Path
) -> None:
    await sql(pg_database, SCHEMA)
    command = plain(tmp_path, ("CREATE TABLE fresh AS SELECT 1 AS a", WAIT, LESS))
    async with held(pg_database) as go:
        work = asyncio.create_task(applied(pg_database, command, scratch))
        await somebody_waits(pg_database)
        await sql(pg_database, "INSERT INTO fresh VALUES (2)")
        go.set()
        done = await work
    report = await rollback(pg_database, done.run)
    assert report.quarantined == 1
    assert await sql(pg_database, """SELECT "row" ->> 'a' FROM watchdog.migration_quarantine""") == [("2",)]


async def test_a_tool_that_changed_nothing_before_it_failed_leaves_nothing(
    pg_database: str, scratch: str, tmp_path: Path
) -> None:
    await sql(pg_database, SCHEMA)
    fails = "SELECT 1 / (1 - count(*)) FROM t WHERE v = 'one'"
    with pytest.raises(WatchdogError, match=r"(?s)division by zero.*Nothing was changed"):
        await applied(pg_database, plain(tmp_path, (fails, LESS)), scratch)
    assert await sql(pg_database, "SELECT id FROM watchdog.migration_runs") == []
    assert await leftovers(pg_database) == []


async def test_a_tool_that_fails_on_the_copy_is_not_started(pg_database: str, scratch: str, tmp_path: Path) -> None:
    await sql(pg_database, SCHEMA)
    with pytest.raises(WatchdogError, match=r"(?s)on a copy of the schema with status 1.*nowhere"):
        await applied(pg_database, plain(tmp_path, (LESS, "TABLE nowhere")), scratch)
    assert await sql(pg_database, "SELECT w FROM t ORDER BY id") == [("x",), ("y",)]


async def test_a_tool_that_is_told_to_stop_is_taken_back(pg_database: str, scratch: str, tmp_path: Path) -> None:
    await sql(pg_database, SCHEMA)
    async with held(pg_database):
        command = plain(tmp_path, (LESS, "UPDATE t SET v = 'new'", WAIT, "DROP TABLE other"))
        work = asyncio.create_task(applied(pg_database, command, scratch))
        await somebody_waits(pg_database)
        await sql(pg_database, "INSERT INTO t VALUES (3, 'later')")
        work.cancel()
        with pytest.raises(WatchdogError, match="was taken back"):
            await work
    assert await sql(pg_database, "SELECT * FROM t ORDER BY id") == [
        (1, "one", "x"),
        (2, "two", "y"),
        (3, "later", None),
    ]
    assert await leftovers(pg_database) == []


async def test_a_run_whose_process_was_killed_is_finished_and_taken_back(
    pg_database: str, scratch: str, tmp_path: Path
) -> None:
    await sql(pg_database, SCHEMA)
    command = plain(tmp_path, (LESS, "UPDATE t SET v = 'new'", WAIT))
    words = ("--database", pg_database, "--scratch", scratch, "--tool", "other", "--env", "DATABASE_URL")
    watchdog = (sys.executable, "-m", "watchdog", "migration", "apply", *words, "--", *command.words)
    async with held(pg_database) as go:
        quiet = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(*watchdog, stdout=quiet, stderr=quiet)
        try:
            await somebody_waits(pg_database)
        finally:
            process.kill()
            await process.wait()
        with pytest.raises(WatchdogError, match="still works"):
            await resume(pg_database, 1)
        go.set()
    await nobody_is_there(pg_database)
    await sql(pg_database, "INSERT INTO t VALUES (3, 'later')")
    with pytest.raises(RefusedError, match="run 1 stopped half way"):
        async with connected(pg_database) as connection, connection.transaction():
            await take_back(connection, 1)
    await rollback(pg_database, 1)
    rows = await sql(pg_database, "SELECT * FROM t ORDER BY id")
    assert rows == [(1, "one", "x"), (2, "two", "y"), (3, "later", None)]
    assert await leftovers(pg_database) == []
    assert await resume(pg_database, 1) is None


async def test_a_run_that_never_came_to_its_tool_is_taken_away(
    pg_database: str, scratch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sql(pg_database, SCHEMA)
    command = plain(tmp_path, (LESS,))
    monkeypatch.setattr("watchdog.migrations.tools.apply._archive", _dies)
    with pytest.raises(LookupError):
        await applied(pg_database, command, scratch)
    assert await leftovers(pg_database) != []
    with pytest.raises(RefusedError, match="run 1 of a tool is not finished: who applied it is gone"):
        await applied(pg_database, command, scratch)
    assert await resume(pg_database, 1) is None
    await rollback(pg_database, 1)
    assert await leftovers(pg_database) == []
    with pytest.raises(LookupError):
        await applied(pg_database, command, scratch)
    monkeypatch.undo()
    # Of this one the run itself was lost: whoever comes next takes away what is left of it.
    await sql(pg_database, "DELETE FROM watchdog.migration_runs")
    done = await applied(pg_database, command, scratch)
    assert await leftovers(pg_database) == []
    await rollback(pg_database, done.run)
    assert await sql(pg_database, "SELECT w FROM t ORDER BY id") == [("x",), ("y",)]


async def _dies(*_: object) -> None:
    raise LookupError


async def test_an_ordinary_owner_can_do_it(owner: str, scratch: str, tmp_path: Path) -> None:
    await sql(owner, "CREATE SCHEMA mine; CREATE TABLE mine.t (id int, v text); INSERT INTO mine.t VALUES (1, 'a')")
    done = await applied(owner, plain(tmp_path, ("UPDATE mine.t SET v = 'b'", "ALTER TABLE mine.t ADD x int")), scratch)
    await rollback(owner, done.run)
    assert await sql(owner, "TABLE mine.t") == [(1, "a")]


async def test_a_tool_that_goes_elsewhere_is_refused_before_it_does_anything(
    pg_database: str, scratch: str, tmp_path: Path
) -> None:
    script = tmp_path / "tool.py"
    script.write_text(f"import psycopg; psycopg.connect({pg_database!r})")
    command = Command("alembic", (sys.executable, str(script), "upgrade", "head"))
    with pytest.raises(RefusedError, match="has another one in its own configuration"):
        await applied(pg_database, command, scratch)


async def test_sessions_that_do_not_say_whose_they_are_are_refused(
    pg_database: str, scratch: str, tmp_path: Path
) -> None:
    await sql(pg_database, SCHEMA)
    script = tmp_path / "tool.py"
    script.write_text(
        "import os, psycopg\n"
        "with psycopg.connect(os.environ['DATABASE_URL'], options='') as c: c.execute('UPDATE t SET v = 1')"
    )
    command = Command("other", (sys.executable, str(script)), ("DATABASE_URL",))
    with pytest.raises(RefusedError, match="cannot be told from others'"):
        await applied(pg_database, command, scratch)
    assert await sql(pg_database, "SELECT v FROM t WHERE id = 1") == [("one",)]


async def test_a_held_table_stops_us_before_the_tool_begins(
    pg_database: str, scratch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watchdog.migrations.tools.capture._TRIES", 1)
    await sql(pg_database, SCHEMA)
    async with await psycopg.AsyncConnection.connect(pg_database) as user:
        await user.execute("UPDATE t SET v = 'mine' WHERE id = 1")
        with pytest.raises(WatchdogError, match="was not started, and nothing was changed"):
            await applied(pg_database, plain(tmp_path, ("UPDATE t SET v = 'b'",)), scratch)
    assert await sql(pg_database, "SELECT v FROM t ORDER BY id") == [("mine",), ("two",)]
    assert await leftovers(pg_database) == []


async def test_a_held_table_that_the_tool_should_not_write_is_only_said(
    pg_database: str, scratch: str, tmp_path: Path
) -> None:
    await sql(pg_database, SCHEMA)
    async with await psycopg.AsyncConnection.connect(pg_database) as user:
        await user.execute("INSERT INTO other VALUES (1)")
        done = await applied(pg_database, plain(tmp_path, ("UPDATE t SET v = 'b'",)), scratch)
    assert done.reversible
    assert 'somebody held "public"."other"' in done.lowered[0]


async def test_a_publication_of_all_tables_is_no_obstacle(pg_database: str, scratch: str, tmp_path: Path) -> None:
    await sql(pg_database, SCHEMA)
    await sql(pg_database, "CREATE PUBLICATION everything FOR ALL TABLES")
    command = plain(tmp_path, ("UPDATE t SET v = 'new'", WAIT, LESS))
    async with held(pg_database) as go:
        work = asyncio.create_task(applied(pg_database, command, scratch))
        await somebody_waits(pg_database)
        await sql(pg_database, "UPDATE t SET v = 'mine' WHERE id = 1")
        go.set()
        done = await work
    await rollback(pg_database, done.run)
    assert await sql(pg_database, "SELECT * FROM t ORDER BY id") == [(1, "mine", "x"), (2, "two", "y")]


async def test_roles_are_refused_on_the_copy(pg_database: str, scratch: str, tmp_path: Path) -> None:
    try:
        with pytest.raises(RefusedError, match="outside the schema"):
            await applied(pg_database, plain(tmp_path, ("CREATE ROLE made_by_a_tool",)), scratch)
    finally:
        await sql(scratch, "DROP ROLE IF EXISTS made_by_a_tool")


async def test_the_password_is_in_no_message(pg_database: str, scratch: str, tmp_path: Path) -> None:
    script = tmp_path / "tool.py"
    script.write_text("import os, sys; sys.exit(os.environ['DATABASE_URL'])")
    command = Command("other", (sys.executable, str(script)), ("DATABASE_URL",))
    with pytest.raises(WatchdogError) as error:
        await applied(pg_database, command, scratch)
    assert str(psycopg.conninfo.conninfo_to_dict(pg_database)["password"]) not in str(error.value)
    assert ":***@" in str(error.value)


async def test_wrong_use_is_said(pg_database: str, tmp_path: Path) -> None:
    command = plain(tmp_path, (LESS,))
    with pytest.raises(OptionsError, match="are for scripts"):
        await apply_tool(pg_database, command, options=Options(defer=True))
    with pytest.raises(ToolError, match="neo4j-migrations migrates a graph"):
        await apply_tool(pg_database, Command("neo4j-migrations", ("neo4j-migrations", "apply")))
    with pytest.raises(RefusedError, match=r"put \{url\} into the command"):
        await apply_tool(pg_database, replace(command, variables=()))
    with pytest.raises(ToolError, match="it is one of alembic"):
        Command("nothing", ("x",))
    with pytest.raises(ToolError, match="its command is missing"):
        Command("alembic", ())


async def test_a_tool_that_came_too_late_for_its_release_is_taken_back(
    pg_database: str, scratch: str, tmp_path: Path
) -> None:
    await sql(pg_database, SCHEMA)
    command = plain(tmp_path, (LESS, WAIT))
    async with held(pg_database) as go:
        work = asyncio.create_task(apply_tool(pg_database, command, scratch_url=scratch, options=Options(release="r1")))
        await somebody_waits(pg_database)
        async with await psycopg.AsyncConnection.connect(pg_database, autocommit=True) as connection:
            await close(connection, "r1")
        go.set()
        with pytest.raises(WatchdogError, match=r"Run 1 came too late and was taken back\."):
            await work
    assert await sql(pg_database, "SELECT w FROM t ORDER BY id") == [("x",), ("y",)]
    assert await leftovers(pg_database) == []


async def test_a_table_with_rows_that_others_refer_to_may_be_made_anew(
    pg_database: str, scratch: str, tmp_path: Path
) -> None:
    await sql(pg_database, SCHEMA)
    await sql(pg_database, "CREATE TABLE child (id int PRIMARY KEY, t int NOT NULL REFERENCES t)")
    await sql(pg_database, "INSERT INTO child SELECT id, id FROM t")
    done = await applied(pg_database, plain(tmp_path, (LESS,)), scratch)
    await rollback(pg_database, done.run)
    assert await sql(pg_database, "SELECT w FROM t JOIN child ON child.t = t.id ORDER BY t.id") == [("x",), ("y",)]


async def test_of_two_that_begin_at_once_one_is_refused(pg_database: str, scratch: str, tmp_path: Path) -> None:
    await sql(pg_database, SCHEMA)
    command = plain(tmp_path, ("UPDATE t SET v = v || '!'", WAIT))
    async with held(pg_database) as go:
        both = [asyncio.create_task(applied(pg_database, command, scratch)) for _ in range(2)]
        done, _ = await asyncio.wait(both, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        go.set()
        await asyncio.gather(*both, return_exceptions=True)
    assert [type(one.exception()) for one in done] == [RefusedError]
    assert await sql(pg_database, "SELECT v FROM t ORDER BY id") == [("one!",), ("two!",)]
    assert await sql(pg_database, "SELECT state FROM watchdog.migration_runs") == [("applied",)]
