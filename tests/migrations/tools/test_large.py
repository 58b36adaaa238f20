"""Large tables of a tool's run: users write before, while and after it works, with the end that small ones have."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.migrations.tools.plain import WAIT, held, plain, somebody_waits
from tests.support.archives import open_to, sql
from watchdog.migrations.options import Options
from watchdog.migrations.outlook import outlooks
from watchdog.migrations.rollback import Report, rollback
from watchdog.migrations.runs import runs
from watchdog.migrations.session import RefusedError, plain_text
from watchdog.migrations.shadow import built
from watchdog.migrations.shape import Connection
from watchdog.migrations.tools import later
from watchdog.migrations.tools.apply import ToolApplied, apply_tool
from watchdog.migrations.tools.correct import Watched
from watchdog.migrations.undo import Plan

LARGE = Options(online_rows=1)
SCHEMA = r"""
CREATE TABLE t (id int PRIMARY KEY, v text, w text, at timestamptz);
INSERT INTO t SELECT n, 'v' || n, 'w' || n, now() FROM generate_series(1, 40) n;
CREATE TABLE pairs (note text, "the ""first" text, n bigint, PRIMARY KEY ("the ""first", n));
INSERT INTO pairs SELECT 'a, "b\ ' || n, CASE n % 3 WHEN 0 THEN 'x, y' WHEN 1 THEN 'q"\ (' ELSE 'z' END, n
  FROM generate_series(1, 40) n;
"""
TOOLS = {
    "rows change, a column goes and comes": (
        "UPDATE t SET v = upper(v); UPDATE pairs SET note = note || '!' WHERE n < 30",
        WAIT,
        "ALTER TABLE t DROP COLUMN w, ADD COLUMN x text DEFAULT 'd'; UPDATE pairs SET note = 'tool' WHERE n = 5",
    ),
    "rows go and come": (
        "DELETE FROM t WHERE id % 4 = 0; DELETE FROM pairs WHERE n % 4 = 0",
        WAIT,
        "INSERT INTO t VALUES (900, 'tool', 'tool'); INSERT INTO pairs VALUES ('tool', 'tool', 900)",
    ),
    "a table goes, the other is called otherwise": (
        "ALTER TABLE t RENAME TO u; ALTER TABLE u RENAME id TO number; UPDATE u SET v = 'tool' WHERE number < 9",
        WAIT,
        "ALTER TABLE u DROP COLUMN at; DROP TABLE pairs",
    ),
    "everything is emptied": ("TRUNCATE t", WAIT, "UPDATE pairs SET note = ''"),
}


def writes(base: int) -> tuple[str, ...]:
    """What users do, with rows of their own each time."""
    return (
        f"UPDATE {{t}} SET v = 'mine {base}' WHERE {{id}} IN ({base + 1}, {base + 4}, 25)",
        f"DELETE FROM {{t}} WHERE {{id}} IN ({base + 2}, {base + 8})",
        f"INSERT INTO {{t}} ({{id}}, v) VALUES ({100 + base}, 'new, \"{base}')",
        f"INSERT INTO {{t}} ({{id}}, v) VALUES ({base + 4}, 'again'), ({base + 8}, 'again')",
        f"UPDATE {{t}} SET {{id}} = {200 + base} WHERE {{id}} = {base + 3}",
        f"UPDATE {{t}} SET w = 'mine' WHERE {{id}} = {base + 1}",
        f"UPDATE {{t}} SET x = 'mine' WHERE {{id}} = {base + 5}",
        f"UPDATE {{t}} SET at = '2020-02-02 10:00+0' WHERE {{id}} IN ({base + 6}, {base - 9})",
        f"UPDATE pairs SET note = 'mine, \"{base}' WHERE n IN ({base + 1}, {base + 4}, 26)",
        f"DELETE FROM pairs WHERE n IN ({base + 2}, {base + 8})",
        f"INSERT INTO pairs VALUES ('new', 'new, \"\\ ', {100 + base}), ('again', 'z', {base + 8})",
    )


async def write(url: str, base: int) -> None:
    """What the tables do not take is left out; users have settings of their own."""
    renamed = await sql(url, "SELECT to_regclass('u') IS NOT NULL")
    names = {"t": "u", "id": "number"} if renamed == [(True,)] else {"t": "t", "id": "id"}
    async with open_to(url) as connection:
        await connection.execute("SET datestyle = 'SQL, DMY'; SET timezone = 'Asia/Tokyo'")
        for one in writes(base):
            with suppress(psycopg.Error):
                await connection.execute(one.format(**names).encode())


async def rows(url: str) -> list[tuple[Any, ...]]:
    async with open_to(url) as connection:
        await connection.execute("SET timezone = 'UTC'")
        found = await connection.execute(
            "SELECT 't', t::text FROM t UNION ALL SELECT 'pairs', p::text FROM pairs p"
            ' UNION ALL SELECT "table", "row"::text FROM watchdog.migration_quarantine ORDER BY 1, 2'
        )
        return await found.fetchall()


async def large_tables(url: str, run: int) -> list[str]:
    query = (
        "SELECT p -> 'name' ->> 1 FROM watchdog.migration_runs,"
        " jsonb_array_elements(manifest #> '{plan,tables}') p WHERE (p ->> 'online')::bool"
    )
    return sorted(name for (name,) in await sql(url, f"{query} AND id = {run}"))


async def leftovers(url: str) -> list[tuple[str]]:
    return await sql(
        url,
        "SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal UNION ALL"
        " SELECT proname::text FROM pg_proc WHERE pronamespace = 'watchdog'::regnamespace UNION ALL"
        " SELECT relname::text FROM pg_class WHERE relnamespace = 'watchdog'::regnamespace"
        " AND relname ~ '^tool_|_(log|keys|folded|first)$' AND relkind = 'r'",
    )


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tables were made beside, each time a rollback looks."""
    seen: list[int] = []

    async def looked(connection: Connection, number: int, plan: Plan) -> frozenset[int]:
        found = await built(connection, number, plan)
        seen.append(len(found))
        return found

    monkeypatch.setattr("watchdog.migrations.rollback.built", looked)
    return seen


async def applied(
    url: str, scratch: str, place: Path, statements: tuple[str, ...], options: Options = LARGE,
    meanwhile: Callable[[], Awaitable[object]] | None = None,
) -> ToolApplied:  # fmt: skip
    async with held(url) as go:
        work = asyncio.create_task(apply_tool(url, plain(place, statements), scratch_url=scratch, options=options))
        if meanwhile is not None:
            await somebody_waits(url)
            await meanwhile()
        go.set()
        done = await work
    assert done is not None
    assert done.reversible, done.lowered
    return done


@asynccontextmanager
async def twin(url: str, scratch: str) -> AsyncIterator[str]:
    name = f"{url.rsplit('/', 1)[1]}_small"
    await sql(scratch, f"CREATE DATABASE {name} TEMPLATE {url.rsplit('/', 1)[1]}")
    try:
        yield f"{url.rsplit('/', 1)[0]}/{name}"
    finally:
        await sql(scratch, f"DROP DATABASE {name} WITH (FORCE)")


def counted(report: Report) -> tuple[int, ...]:
    return (
        report.earlier, report.changed, report.deleted, report.later, report.quarantined, report.conflicts,
    )  # fmt: skip


@pytest.mark.parametrize(
    "case", [(name, few) for name in TOOLS for few in (0, 2_000)], ids=lambda one: f"{one[0]}, {one[1]}"
)
async def test_the_end_is_the_same_as_of_a_small_table(
    pg_database: str, scratch: str, tmp_path: Path, case: tuple[str, int], beside: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    name, few = case
    monkeypatch.setattr("watchdog.migrations.merge_large._FEW", few)
    await sql(pg_database, SCHEMA)
    ends: list[Any] = []
    async with twin(pg_database, scratch) as small:
        for url, options in ((pg_database, LARGE), (small, Options())):
            await write(url, 0)

            async def meanwhile(url: str = url) -> None:
                await write(url, 10)

            done = await applied(url, scratch, tmp_path, TOOLS[name], options, meanwhile)
            assert await large_tables(url, done.run) == (["pairs", "t"] if options is LARGE else [])
            await write(url, 20)
            report = await rollback(url, done.run)
            ends.append((counted(report), await rows(url), done.archives))
            assert await leftovers(url) == []
    assert ends[0] == ends[1]
    assert sum(ends[0][0][1:4]) > 5, "users did not really write"
    assert beside == [2, 2, 0, 0]  # all was made beside, and none had to be tried again


BETWEEN = """UPDATE t SET v = 'between' WHERE id IN (1, 2, 3); DELETE FROM t WHERE id = 4;
INSERT INTO t (id, v) VALUES (101, 'between'), (102, 'between')"""
AFTER = """UPDATE t SET v = 'after' WHERE id IN (3, 7); DELETE FROM t WHERE id IN (8, 102);
INSERT INTO t (id, v) VALUES (103, 'after')"""


async def test_nothing_is_lost_of_what_is_written_while_the_run_is_finished(
    pg_database: str, scratch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sql(pg_database, SCHEMA)
    before = dict(await sql(pg_database, "SELECT id, w FROM t"))
    async with await psycopg.AsyncConnection.connect(pg_database) as across:

        async def before_the_snapshot(connection: Connection) -> None:
            assert await sql(pg_database, "SELECT 1 FROM pg_trigger WHERE tgname = 'watchdog_log_1'") != []
            await sql(pg_database, BETWEEN)
            await across.execute("UPDATE t SET v = 'across' WHERE id IN (2, 5); DELETE FROM t WHERE id = 6")
            await plain_text(connection)

        async def after_the_snapshot(connection: Connection, run: int, logs: frozenset[int]) -> None:
            await forget_seen(connection, run, logs)
            await sql(pg_database, AFTER)
            await across.commit()

        forget_seen = later.forget_seen
        monkeypatch.setattr("watchdog.migrations.tools.finish.plain_text", before_the_snapshot)
        monkeypatch.setattr("watchdog.migrations.tools.later.forget_seen", after_the_snapshot)
        done = await applied(
            pg_database, scratch, tmp_path, ("UPDATE t SET v = upper(v)", "ALTER TABLE t DROP COLUMN w")
        )
    monkeypatch.undo()
    assert await large_tables(pg_database, done.run) == ["t"]
    [(archive,)] = await sql(pg_database, "SELECT name FROM watchdog.migration_archives")
    indexes = f"SELECT indisunique FROM pg_index WHERE indrelid = '{archive}'::regclass"
    assert await sql(pg_database, indexes) == [(True,)]
    await sql(pg_database, "DELETE FROM t WHERE id = 101; UPDATE t SET v = 'last' WHERE id IN (1, 9)")
    # Just what the tool had left there.
    await sql(pg_database, "INSERT INTO t SELECT 4, 'V4', at FROM t WHERE id = 5")
    report = await rollback(pg_database, done.run)
    mine = {1: "last", 2: "across", 3: "after", 5: "across", 7: "after", 9: "last", 103: "after"}
    wanted = {n: (mine.get(n, f"v{n}"), before.get(n)) for n in [*range(1, 41), 103] if n not in {6, 8}}
    wanted[4] = ("V4", None)
    assert {n: (v, w) for n, v, w in await sql(pg_database, "SELECT id, v, w FROM t")} == wanted
    # What was deleted before the snapshot is not of before.
    assert counted(report) == (31, 6, 2, 2, 0, 6)


async def test_a_finish_that_fails_leaves_no_log_and_can_be_made_again(
    pg_database: str, scratch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sql(pg_database, SCHEMA)

    async def fails(connection: Connection, *_: object) -> None:
        await connection.execute("SELECT 1 / 0")

    monkeypatch.setattr("watchdog.migrations.tools.later.forget_seen", fails)
    with pytest.raises(Exception, match="could not be finished and stays `applying`"):
        await applied(pg_database, scratch, tmp_path, ("UPDATE t SET v = upper(v)",))
    assert await sql(pg_database, "SELECT 1 FROM pg_trigger WHERE tgname ~ '^watchdog_log'") == []
    monkeypatch.undo()
    await sql(pg_database, "UPDATE t SET v = 'mine' WHERE id = 1")
    await rollback(pg_database, 1)
    assert await sql(pg_database, "SELECT v FROM t WHERE id < 3 ORDER BY id") == [("mine",), ("v2",)]
    assert await leftovers(pg_database) == []


async def test_a_table_that_users_emptied_while_the_tool_worked_has_whole_images(
    pg_database: str, scratch: str, tmp_path: Path
) -> None:
    await sql(pg_database, SCHEMA)
    statements = ("UPDATE t SET v = upper(v); UPDATE pairs SET note = 'tool'", WAIT, "ALTER TABLE t DROP COLUMN w")

    async def meanwhile() -> None:
        await sql(pg_database, "TRUNCATE t; INSERT INTO t (id, v) VALUES (1, 'mine')")

    done = await applied(pg_database, scratch, tmp_path, statements, meanwhile=meanwhile)
    assert await large_tables(pg_database, done.run) == ["pairs"]
    assert await sql(pg_database, "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'watchdog_log_1'") == [
        ("pairs",)
    ]
    await rollback(pg_database, done.run)
    assert await sql(pg_database, "SELECT id, v FROM t") == [(1, "mine")]
    assert await sql(pg_database, "SELECT count(*) FROM pairs WHERE note = 'tool'") == [(0,)]
    assert await leftovers(pg_database) == []


async def test_where_the_tool_did_something_else_than_on_the_copy_images_are_whole(
    pg_database: str, scratch: str, tmp_path: Path
) -> None:
    await sql(pg_database, SCHEMA)
    sometimes = (
        "DO $$ BEGIN IF EXISTS (SELECT FROM t WHERE v = 'v1') THEN ALTER TABLE t ADD COLUMN y int; END IF; END $$"
    )
    done = await applied(pg_database, scratch, tmp_path, (sometimes, "ALTER TABLE t DROP COLUMN w"))
    assert "not rehearsed" in done.lowered[0]
    assert await large_tables(pg_database, done.run) == []
    await sql(pg_database, "UPDATE t SET v = 'mine' WHERE id = 1")
    await rollback(pg_database, done.run)
    assert await sql(pg_database, "SELECT id, v, w FROM t WHERE id < 3 ORDER BY id") == [
        (1, "mine", "w1"), (2, "v2", "w2"),
    ]  # fmt: skip
    assert await leftovers(pg_database) == []


async def test_where_all_tables_are_published_images_are_whole(pg_database: str, scratch: str, tmp_path: Path) -> None:
    await sql(pg_database, f"{SCHEMA} CREATE PUBLICATION everything FOR ALL TABLES")

    async def meanwhile() -> None:
        await sql(pg_database, "UPDATE t SET v = 'while' WHERE id = 1")

    done = await applied(pg_database, scratch, tmp_path, ("UPDATE t SET v = 'tool'", WAIT), meanwhile=meanwhile)
    assert await large_tables(pg_database, done.run) == []
    await sql(pg_database, "UPDATE t SET v = 'later' WHERE id = 2")
    await rollback(pg_database, done.run)
    assert await sql(pg_database, "SELECT v FROM t WHERE id < 4 ORDER BY id") == [("while",), ("later",), ("v3",)]
    assert await leftovers(pg_database) == []


async def test_two_runs_of_one_table_come_back_one_after_the_other(
    pg_database: str, scratch: str, tmp_path: Path
) -> None:
    await sql(pg_database, SCHEMA)
    first = await applied(pg_database, scratch, tmp_path, ("UPDATE t SET v = upper(v)", "ALTER TABLE t ADD x int"))
    await sql(pg_database, "UPDATE t SET v = 'one' WHERE id = 1; DELETE FROM t WHERE id = 2")

    async def meanwhile() -> None:
        await sql(pg_database, "UPDATE t SET v = 'while' WHERE id = 6; INSERT INTO t (id, v) VALUES (101, 'while')")

    statements = ("UPDATE t SET v = v || '!'", WAIT, "ALTER TABLE t DROP COLUMN w")
    second = await applied(pg_database, scratch, tmp_path, statements, meanwhile=meanwhile)
    assert await large_tables(pg_database, first.run) == []
    assert await large_tables(pg_database, second.run) == ["t"]
    await sql(pg_database, "UPDATE t SET v = 'two' WHERE id = 3; DELETE FROM t WHERE id = 4")
    await rollback(pg_database, second.run)
    assert await sql(pg_database, "SELECT id, v, w FROM t WHERE id IN (1, 3, 5, 6) ORDER BY id") == [
        (1, "one", "w1"), (3, "two", "w3"), (5, "V5", "w5"), (6, "while", "w6"),
    ]  # fmt: skip
    await sql(pg_database, "UPDATE t SET v = 'three' WHERE id = 5")
    await rollback(pg_database, first.run)
    assert await sql(pg_database, "SELECT id, v, w FROM t WHERE id < 8 OR id > 100 ORDER BY id") == [
        (1, "one", "w1"), (3, "two", "w3"), (5, "three", "w5"), (6, "while", "w6"), (7, "v7", "w7"),
        (101, "while", None),
    ]  # fmt: skip
    assert await leftovers(pg_database) == []


async def test_of_the_log_only_lines_of_rows_that_users_wrote_are_read(
    pg_database: str, scratch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sql(pg_database, SCHEMA)
    read: list[str] = []
    event = Watched.event

    def seen(watched: Watched, logged: Any) -> Any:
        read.append(watched.table.name[1])
        return event(watched, logged)

    async def meanwhile() -> None:
        await sql(pg_database, "UPDATE pairs SET note = 'mine' WHERE n = 9")

    monkeypatch.setattr("watchdog.migrations.tools.correct.Watched.event", seen)
    change = "UPDATE t SET v = upper(v); UPDATE pairs SET note = note || '!'"
    done = await applied(pg_database, scratch, tmp_path, (change, WAIT, change), meanwhile=meanwhile)
    # The users' line twice, and two of the tool's of the same row; of all others none.
    assert read == ["pairs"] * 4
    await rollback(pg_database, done.run)
    assert await sql(pg_database, "SELECT note FROM pairs WHERE n = 9") == [("mine",)]
    assert await sql(pg_database, "SELECT count(*) FROM t WHERE v = 'v' || id") == [(40,)]


async def test_a_key_behind_very_many_columns_is_no_obstacle(pg_database: str, scratch: str, tmp_path: Path) -> None:
    columns = ", ".join(f"c{n} int" for n in range(300))
    await sql(pg_database, f"CREATE TABLE wide ({columns}, id int PRIMARY KEY)")
    await sql(pg_database, "INSERT INTO wide (id, c7) SELECT n, n FROM generate_series(1, 9) n")

    async def meanwhile() -> None:
        await sql(pg_database, "UPDATE wide SET c8 = 8 WHERE id = 2")

    done = await applied(pg_database, scratch, tmp_path, ("UPDATE wide SET c7 = 0", WAIT), meanwhile=meanwhile)
    await rollback(pg_database, done.run)
    assert await sql(pg_database, "SELECT c7, c8 FROM wide WHERE id < 3 ORDER BY id") == [(1, None), (2, 8)]


async def test_the_log_is_told_and_ended_at_its_limit(pg_database: str, scratch: str, tmp_path: Path) -> None:
    await sql(pg_database, SCHEMA)
    options = Options(online_rows=1, log_bytes=1)
    done = await applied(pg_database, scratch, tmp_path, ("ALTER TABLE t DROP COLUMN w",), options)
    await sql(pg_database, "UPDATE t SET v = 'mine' WHERE id = 1")
    (ahead,) = (await outlooks(pg_database, await runs(pg_database))).values()
    assert ahead.log is not None
    assert "may take 1" in ahead.log.ended
    assert ahead.rollback_seconds is not None
    report = await rollback(pg_database, done.run)
    assert report.by_archive == ['"public"."t"']
    assert await sql(pg_database, "SELECT v, w FROM t WHERE id < 3 ORDER BY id") == [("mine", "w1"), ("v2", "w2")]


async def test_with_an_ended_log_a_run_that_wrote_rows_does_not_come_back(
    pg_database: str, scratch: str, tmp_path: Path
) -> None:
    await sql(pg_database, SCHEMA)
    options = Options(online_rows=1, log_bytes=1)
    statements = ("UPDATE t SET v = upper(v)", "ALTER TABLE t DROP COLUMN w")
    done = await applied(pg_database, scratch, tmp_path, statements, options)
    await sql(pg_database, "UPDATE t SET v = 'mine' WHERE id = 1")
    await outlooks(pg_database, await runs(pg_database))
    with pytest.raises(RefusedError, match="the script wrote its rows"):
        await rollback(pg_database, done.run)
