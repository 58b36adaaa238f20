"""Applying a migration of vectors, and taking it back."""

import asyncio
import random
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.migrations.vectors.conftest import Docs
from tests.support.archives import open_to, sql
from watchdog.migrations.session import RefusedError
from watchdog.migrations.vectors import apply as applying
from watchdog.migrations.vectors import rollback as backing
from watchdog.migrations.vectors.apply import WorseError, apply
from watchdog.migrations.vectors.rollback import rollback, settle
from watchdog.migrations.vectors.runs import has_run, runs
from watchdog.ports.errors import WatchdogError

SMALLER = """\
version: 1
table: shop.docs
column: embedding
new: {column: embedding_v2, dimensions: 8, type: halfvec}
fill: {sql: "subvector(embedding, 1, 8)::halfvec(8)"}
index: {method: hnsw, operators: halfvec_cosine_ops, with: {m: 16, ef_construction: 64}}
recall: {k: 5, queries: 12, not_worse_by: 0.1, settings: {hnsw.ef_search: 400}}
"""
INDEX = """\
version: 1
table: shop.docs
column: embedding
index: {method: hnsw, operators: vector_cosine_ops, with: {m: 24}}
recall: {k: 5, queries: 12, settings: {hnsw.ef_search: 400}}
"""
WORSE = "index: {method: ivfflat, operators: halfvec_cosine_ops, with: {lists: 200}}"


def with_line(text: str, name: str, line: str) -> str:
    """A file with one line replaced."""
    return "".join(f"{line}\n" if each.startswith(f"{name}:") else f"{each}\n" for each in text.splitlines())


async def test_a_smaller_space_is_filled_measured_switched_and_taken_back(docs: Docs) -> None:
    before = await docs.state()
    applied = await apply(docs.url, SMALLER, name="smaller", release="r1")
    assert (applied.filled, applied.switched, applied.kept) == (600, True, (f"embedding_before_{applied.run}",))
    assert applied.recall_before is not None
    assert applied.recall_after is not None
    assert applied.recall_before > 0.95
    assert applied.recall_after >= applied.recall_before - 0.1
    assert await docs.columns() == [
        ("body", "text", False),
        ("embedding", "halfvec(8)", True),
        (f"embedding_before_{applied.run}", "vector(16)", False),
        ("id", "bigint", True),
    ]
    wrong = f"embedding <> subvector(embedding_before_{applied.run}, 1, 8)::halfvec(8)"
    assert await docs.value(f"SELECT count(*) FROM shop.docs WHERE {wrong}") == 0
    assert await docs.value("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal") == 0
    [run] = await runs(docs.url)
    assert (run.name, run.release, run.state, run.stage) == ("smaller", "r1", "applied", "switched")
    assert await has_run(docs.url, run.run)
    assert not await has_run(docs.url, run.run + 1)
    report = await rollback(docs.url, applied.run)
    assert await docs.state() == before
    assert (report.later, report.table, report.is_not_null) == (0, "", True)
    with pytest.raises(RefusedError, match="nothing to take back"):
        await rollback(docs.url, applied.run)


async def test_a_worse_index_is_removed_and_both_numbers_said(docs: Docs) -> None:
    before = await docs.state()
    with pytest.raises(WorseError, match=r"recall was 0\.9\d+|recall was 1\.0000") as caught:
        await apply(docs.url, with_line(SMALLER, "index", WORSE))
    assert caught.value.after < 0.6 < caught.value.before
    assert f"{caught.value.after:.4f}" in str(caught.value)
    assert await docs.state() == before
    [run] = await runs(docs.url)
    assert (run.state, run.recall_after) == ("rolled back", caught.value.after)


async def test_what_is_allowed_to_be_worse_is_switched(docs: Docs) -> None:
    text = with_line(with_line(SMALLER, "index", WORSE), "recall", "recall: {k: 5, queries: 10, not_worse_by: 1}")
    applied = await apply(docs.url, text)
    assert applied.switched
    assert applied.recall_after is not None
    assert applied.recall_after < 0.6


async def test_settings_of_the_search_count(docs: Docs) -> None:
    all_lists = "recall: {k: 5, queries: 10, settings: {ivfflat.probes: 200}}"
    applied = await apply(docs.url, with_line(with_line(SMALLER, "index", WORSE), "recall", all_lists))
    assert applied.recall_after == 1.0


async def test_a_new_index_stands_beside_the_old_until_settled(docs: Docs) -> None:
    before = await docs.state()
    applied = await apply(docs.url, INDEX)
    assert applied.kept == ("docs_old",)
    assert await docs.value("SELECT count(*) FROM pg_indexes WHERE tablename = 'docs'") == 3
    await rollback(docs.url, applied.run)
    assert await docs.state() == before
    again = await apply(docs.url, INDEX)
    assert (await settle(docs.url, again.run)).dropped == ("docs_old",)
    assert await docs.value("SELECT count(*) FROM pg_indexes WHERE indexdef LIKE '%hnsw%m=%24%'") == 1
    with pytest.raises(RefusedError, match="settled"):
        await rollback(docs.url, again.run)


async def test_an_index_that_finds_less_than_the_one_beside_it_is_removed(docs: Docs) -> None:
    before = await docs.state()
    worse = "index: {method: ivfflat, operators: vector_cosine_ops, with: {lists: 200}}"
    with pytest.raises(WorseError):
        await apply(docs.url, with_line(INDEX, "index", worse))
    assert await docs.state() == before


async def test_people_write_while_the_column_is_filled(docs: Docs) -> None:
    stop = asyncio.Event()
    drawn = random.Random(3)
    longest = 0.0

    async def write() -> None:
        nonlocal longest
        loop = asyncio.get_running_loop()
        async with open_to(docs.url) as connection:
            number = 10_000
            while not stop.is_set():
                number += 1
                vector = str([drawn.random() for _ in range(16)])
                began = loop.time()
                with suppress(Exception):  # after the switch the column takes eight dimensions only
                    await connection.execute("INSERT INTO shop.docs VALUES (%s, 'later', %s)", (number, vector))
                    target = drawn.randint(1, 600)
                    await connection.execute("UPDATE shop.docs SET embedding = %s WHERE id = %s", (vector, target))
                    await connection.execute("UPDATE shop.docs SET body = 'x' WHERE id = %s", (target,))
                longest = max(longest, loop.time() - began)

    writer = asyncio.create_task(write())
    try:
        applied = await apply(docs.url, SMALLER)
    finally:
        stop.set()
        await writer
    kept = applied.kept[0]
    assert await docs.value("SELECT count(*) FROM shop.docs WHERE id > 10000") > 5
    wrong = f"embedding IS NULL OR embedding <> subvector({kept}, 1, 8)::halfvec(8)"
    assert await docs.value(f"SELECT count(*) FROM shop.docs WHERE {kept} IS NOT NULL AND ({wrong})") == 0
    assert longest < 2


LATER = """
INSERT INTO shop.docs (id, body, embedding)
VALUES (1001, 'new', '[1,1,1,1,1,1,1,1]'), (1002, 'new', '[2,1,1,1,1,1,1,1]');
UPDATE shop.docs SET embedding = '[1,2,3,4,5,6,7,8]' WHERE id = 5;
UPDATE shop.docs SET body = 'read again' WHERE id = 6;
DELETE FROM shop.docs WHERE id = 7;
"""


async def test_rows_written_after_the_switch_stay_and_are_listed(docs: Docs) -> None:
    rows = await docs.sql("SELECT id, embedding::text FROM shop.docs WHERE id NOT IN (7) ORDER BY id")
    applied = await apply(docs.url, SMALLER)
    await docs.sql(LATER)
    report = await rollback(docs.url, applied.run)
    assert await docs.sql("SELECT id, embedding::text FROM shop.docs WHERE embedding IS NOT NULL ORDER BY id") == rows
    assert (report.later, report.missing, report.refilled, report.left) == (3, 2, 0, 2)
    listed = await docs.sql(f"SELECT key, missing, vector::text FROM {report.table} ORDER BY key")
    assert listed == [
        (5, False, "[1,2,3,4,5,6,7,8]"),
        (1001, True, "[1,1,1,1,1,1,1,1]"),
        (1002, True, "[2,1,1,1,1,1,1,1]"),
    ]
    assert await docs.value("SELECT body FROM shop.docs WHERE id = 6") == "read again"
    assert not report.is_not_null
    assert ("embedding", "vector(16)", False) in await docs.columns()
    await settle(docs.url, applied.run)
    assert await docs.value(f"SELECT to_regclass('{report.table}')") is None


async def test_later_rows_are_filled_again_where_the_file_says_how(docs: Docs) -> None:
    refill = 'refill: {sql: "array_fill(length(body), ARRAY[16])::vector(16)"}\n'
    applied = await apply(docs.url, SMALLER + refill)
    await docs.sql(LATER)
    report = await rollback(docs.url, applied.run)
    assert (report.later, report.refilled, report.left, report.is_not_null) == (3, 3, 0, True)
    assert await docs.value("SELECT embedding::text FROM shop.docs WHERE id = 1001") == str([3] * 16).replace(" ", "")
    assert ("embedding", "vector(16)", True) in await docs.columns()


async def test_a_refill_that_fails_does_not_undo_the_rollback(docs: Docs) -> None:
    applied = await apply(docs.url, SMALLER + 'refill: {sql: "body::vector(16)"}\n')
    await docs.sql(LATER)
    report = await rollback(docs.url, applied.run)
    assert (report.left, report.refilled) == (2, 0)
    assert "SQLSTATE 22P02" in report.not_refilled
    assert "new" not in report.not_refilled
    assert [run.state for run in await runs(docs.url)] == ["rolled back"]


FILLER = """
import os, psycopg
with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
    table, old, new = (os.environ["WATCHDOG_" + name] for name in ("TABLE", "COLUMN", "NEW_COLUMN"))
    connection.execute(f"UPDATE {table} SET {new} = subvector({old}, 9, 8) WHERE {new} IS NULL")
"""


async def test_a_command_fills_the_column(docs: Docs, tmp_path: Path) -> None:
    script = tmp_path / "fill.py"
    script.write_text(FILLER)
    text = with_line(SMALLER, "fill", f"fill: {{command: [{sys.executable}, {script}]}}")
    text = with_line(text, "new", "new: {column: embedding_v2, dimensions: 8}").replace("halfvec_", "vector_")
    applied = await apply(docs.url, text)
    assert applied.switched
    wrong = f"embedding <> subvector({applied.kept[0]}, 9, 8)"
    assert await docs.value(f"SELECT count(*) FROM shop.docs WHERE {wrong}") == 0


async def test_a_row_that_comes_between_fill_and_switch_is_filled_too(
    docs: Docs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "fill.py"
    script.write_text(FILLER)
    text = with_line(SMALLER, "fill", f"fill: {{command: [{sys.executable}, {script}]}}")
    text = with_line(text, "new", "new: {column: embedding_v2, dimensions: 8}").replace("halfvec_", "vector_")
    real = applying.switch  # type: ignore[attr-defined] # what the module itself calls
    late = ["UPDATE shop.docs SET embedding = embedding + embedding WHERE id = 9"]

    async def switch(*args: Any) -> bool:
        if late:
            await docs.sql(late.pop())
        return await real(*args)

    monkeypatch.setattr(applying, "switch", switch)
    applied = await apply(docs.url, text)
    wrong = f"embedding IS DISTINCT FROM subvector({applied.kept[0]}, 9, 8)"
    assert await docs.value(f"SELECT count(*) FROM shop.docs WHERE {wrong}") == 0


async def test_a_command_that_fails_can_go_on_later(docs: Docs, tmp_path: Path) -> None:
    before = await docs.state()
    script = tmp_path / "fill.py"
    script.write_text("raise SystemExit(3)")
    text = with_line(SMALLER, "fill", f"fill: {{command: [{sys.executable}, {script}]}}")
    text = with_line(text, "new", "new: {column: embedding_v2, dimensions: 8}").replace("halfvec_", "vector_")
    with pytest.raises(WatchdogError, match="ended with status 3; apply again to go on"):
        await apply(docs.url, text)
    script.write_text(FILLER)
    applied = await apply(docs.url, text)
    assert [run.state for run in await runs(docs.url)] == ["applied"]
    await rollback(docs.url, applied.run)
    assert await docs.state() == before


async def test_without_fill_the_application_has_to_write_the_vectors(docs: Docs) -> None:
    text = with_line(SMALLER, "fill", "fill: none")
    with pytest.raises(WatchdogError, match="600 rows have no vector in embedding_v2"):
        await apply(docs.url, text)
    await docs.sql("UPDATE shop.docs SET embedding_v2 = subvector(embedding, 1, 8)::halfvec(8)")
    # An old vector that changes without the new one leaves the new one out of date, so it is missing again.
    await docs.sql("UPDATE shop.docs SET embedding = embedding + embedding WHERE id = 3")
    with pytest.raises(WatchdogError, match="1 rows have no vector"):
        await apply(docs.url, text)
    await docs.sql("UPDATE shop.docs SET embedding_v2 = subvector(embedding, 1, 8)::halfvec(8) WHERE id = 3")
    assert (await apply(docs.url, text)).switched


async def test_without_a_switch_both_columns_stand_and_what_was_written_is_kept(docs: Docs) -> None:
    before = await docs.state()
    applied = await apply(docs.url, SMALLER + "switch: none\n")
    assert not applied.switched
    await docs.sql("UPDATE shop.docs SET embedding_v2 = '[9,9,9,9,9,9,9,9]' WHERE id = 4")
    report = await rollback(docs.url, applied.run)
    assert await docs.state() == before
    assert await docs.sql(f"SELECT key, vector::text FROM {report.table}") == [(4, "[9,9,9,9,9,9,9,9]")]


OWN = """
CREATE TABLE docs (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), embedding ext.vector(3), note json);
INSERT INTO docs (embedding) SELECT ARRAY[n, n % 7, n % 11]::ext.vector(3) FROM generate_series(1, 1200) n;
"""


async def test_an_ordinary_owner_and_an_extension_in_another_schema_do(pg_database: str, owner: str) -> None:
    role = f"{pg_database.rsplit('/', 1)[1]}_app"
    await sql(pg_database, f"CREATE SCHEMA ext; CREATE EXTENSION vector SCHEMA ext; CREATE ROLE {role}")
    try:
        await sql(
            pg_database, f"GRANT USAGE ON SCHEMA ext TO PUBLIC; GRANT CREATE ON SCHEMA public TO {owner_of(owner)}"
        )
        await sql(owner, f"{OWN} GRANT INSERT, SELECT, UPDATE ON docs TO {role}")
        text = (
            "version: 1\ntable: docs\ncolumn: embedding\nnew: {column: other, dimensions: 2}\nswitch: none\n"
            "fill: {sql: 'subvector(embedding, 1, 2)'}\nindex: {operators: vector_ip_ops}\nrecall: {not_worse_by: 1}\n"
        )
        applied = await apply(owner, text)
        await sql(
            pg_database, f"SET ROLE {role}; INSERT INTO docs (embedding) VALUES (ARRAY[5000, 1, 1]::ext.vector(3))"
        )
        found = await sql(pg_database, "SELECT other::text FROM docs WHERE other::real[] @> ARRAY[5000::real]")
        assert found == [("[5000,1]",)]
        await rollback(owner, applied.run)
        switched = await apply(owner, text.replace("switch: none\n", ""))
        await sql(
            pg_database, f"SET ROLE {role}; UPDATE docs SET note = '{{}}' WHERE embedding::real[] @> ARRAY[7::real]"
        )
        report = await rollback(owner, switched.run)
        assert report.later == 0  # the old vector still makes the new one
        assert await sql(pg_database, "SELECT count(*), count(embedding) FROM docs") == [(1201, 1201)]
    finally:
        await sql(pg_database, f"DROP OWNED BY {role}; DROP ROLE {role}")


def owner_of(url: str) -> str:
    return url.partition("://")[2].partition(":")[0]


async def test_queries_of_ones_own_are_searched(docs: Docs) -> None:
    text = with_line(SMALLER, "recall", "recall: {sql: 'SELECT embedding FROM shop.docs LIMIT 3'}")
    with pytest.raises(RefusedError, match="must give 2 vectors a row"):
        await apply(docs.url, text)
    [run] = await runs(docs.url)
    await rollback(docs.url, run.run)
    two = "SELECT embedding, embedding_v2 FROM shop.docs ORDER BY id LIMIT 3"
    applied = await apply(docs.url, with_line(SMALLER, "recall", f"recall: {{k: 1, sql: '{two}'}}"))
    assert (applied.recall_before, applied.recall_after) == (1.0, 1.0)


async def test_the_old_column_goes_when_it_is_settled(docs: Docs) -> None:
    applied = await apply(docs.url, SMALLER)
    assert (await settle(docs.url, applied.run)).dropped == applied.kept
    assert [name for name, *_ in await docs.columns()] == ["body", "embedding", "id"]


class DiedError(BaseException):
    """What no `except` of the program catches, as a kill."""


def dies(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, *, after: bool) -> None:
    """Lets the process die once before or after a step."""
    step = getattr(module, name)
    calls = 0

    async def dying(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        result = await step(*args, **kwargs) if after or calls > 1 else None
        if calls == 1:
            raise DiedError
        return result

    monkeypatch.setattr(module, name, dying)


STEPS = ["add_column", "fill_new", "build_index", "_measured_after", "switch"]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", STEPS)
async def test_killed_at_any_step_it_goes_back(
    docs: Docs, monkeypatch: pytest.MonkeyPatch, step: str, *, after: bool
) -> None:
    before = await docs.state()
    dies(monkeypatch, applying, step, after=after)
    with pytest.raises(DiedError):
        await apply(docs.url, SMALLER)
    [run] = await runs(docs.url)
    await rollback(docs.url, run.run)
    assert await docs.state() == before


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", STEPS)
async def test_killed_at_any_step_it_goes_on(
    docs: Docs, monkeypatch: pytest.MonkeyPatch, step: str, *, after: bool
) -> None:
    dies(monkeypatch, applying, step, after=after)
    with pytest.raises(DiedError):
        await apply(docs.url, SMALLER)
    if (step, after) != ("switch", True):
        assert (await apply(docs.url, SMALLER)).switched
    [run] = await runs(docs.url)
    assert (run.state, run.stage) == ("applied", "switched")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", ["switch_back", "_list", "take_away", "_refilled", "not_null_again"])
async def test_a_rollback_that_is_killed_goes_on(
    docs: Docs, monkeypatch: pytest.MonkeyPatch, step: str, *, after: bool
) -> None:
    applied = await apply(docs.url, SMALLER)
    await docs.sql(LATER)
    dies(monkeypatch, backing, step, after=after)
    with pytest.raises(DiedError):
        await rollback(docs.url, applied.run)
    report = await rollback(docs.url, applied.run)
    assert (report.later, report.missing, report.left) == (3, 2, 2)
    assert [name for name, *_ in await docs.columns()] == ["body", "embedding", "id"]
    assert await docs.value(f"SELECT count(*) FROM {report.table}") == 3


async def test_a_process_killed_while_it_fills_goes_back(docs: Docs) -> None:
    before = await docs.state()
    slow = "(SELECT subvector(embedding, 1, 8)::halfvec(8) FROM pg_sleep(0.002 + 0 * id))"
    text = with_line(SMALLER, "fill", f'fill: {{sql: "{slow}"}}')
    code = "import asyncio; from watchdog.migrations.vectors.apply import apply;"
    code += f"asyncio.run(apply({docs.url!r}, {text!r}))"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=Path(__file__).parents[3])
    busy = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'watchdog migration' AND query ~ 'pg_sleep'"
    try:
        async with asyncio.timeout(30):
            while not await docs.value(busy):
                assert process.returncode is None
    finally:
        process.kill()
        await process.wait()
    async with asyncio.timeout(30):
        while True:  # until the server has seen that nobody is there any more
            with suppress(RefusedError):
                await rollback(docs.url, 1)
                break
    assert await docs.state() == before


async def test_what_is_left_invalid_of_an_index_is_built_anew(docs: Docs, monkeypatch: pytest.MonkeyPatch) -> None:
    dies(monkeypatch, applying, "build_index", after=True)
    with pytest.raises(DiedError):
        await apply(docs.url, SMALLER)
    await docs.sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid::regclass::text ~ 'embedding_v2'")
    await apply(docs.url, SMALLER)
    assert await docs.value("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == 0


async def test_a_long_reader_delays_the_switch_and_nobody_else(docs: Docs) -> None:
    async with open_to(docs.url) as reader, open_to(docs.url) as other:
        await reader.execute("BEGIN")
        await reader.execute("SELECT 1 FROM shop.docs LIMIT 1")
        task = asyncio.create_task(apply(docs.url, SMALLER))
        loop = asyncio.get_running_loop()
        longest, until = 0.0, loop.time() + 3
        while loop.time() < until:
            began = loop.time()
            await other.execute("SELECT 1 FROM shop.docs LIMIT 1")
            longest = max(longest, loop.time() - began)
        assert not task.done()
        await reader.execute("COMMIT")
        assert (await task).switched
    assert longest < 1.6


@pytest.mark.parametrize(
    ("prepare", "line", "says"),
    [
        ("CREATE VIEW shop.seen AS SELECT embedding FROM shop.docs", None, "view shop.seen"),
        ("CREATE PUBLICATION everything FOR TABLE shop.docs", None, "publication everything knows embedding"),
        ("ALTER TABLE shop.docs ALTER embedding SET DEFAULT '[0]'", None, "default value"),
        ("GRANT SELECT (embedding) ON shop.docs TO pg_monitor", None, "privileges on the column"),
        ("ALTER TABLE shop.docs DROP CONSTRAINT docs_pkey", None, "id does not tell rows apart"),
        ("ALTER TABLE shop.docs ADD embedding_v2 int", None, "has a column embedding_v2 already"),
        ("SELECT 1", "table: shop.none", "there is no table shop.none"),
        ("SELECT 1", "column: body", "body is text, not vector or halfvec"),
        ("SELECT 1", "column: nothing", "has no column nothing"),
        ("TRUNCATE shop.docs", None, "no row has a vector"),
    ],
)
async def test_what_cannot_be_done_is_refused(docs: Docs, prepare: str, line: str | None, says: str) -> None:
    await docs.sql(prepare)
    before = await docs.state()
    text = with_line(SMALLER, line.partition(":")[0], line) if line else SMALLER
    with pytest.raises(RefusedError) as caught:
        await apply(docs.url, text)
    assert says in str(caught.value)
    for run in await runs(docs.url):
        await rollback(docs.url, run.run)
    assert await docs.state() == before


async def test_one_table_takes_one_run_at_a_time(docs: Docs, monkeypatch: pytest.MonkeyPatch) -> None:
    dies(monkeypatch, applying, "fill_new", after=True)
    with pytest.raises(DiedError):
        await apply(docs.url, SMALLER)
    with pytest.raises(RefusedError, match="run 1 on this table is still applying"):
        await apply(docs.url, INDEX)
    with pytest.raises(RefusedError, match="run 1 on this table is still applying"):
        await apply(docs.url, SMALLER, release="another")
    with pytest.raises(RefusedError, match="is applying; take it back first"):
        await settle(docs.url, 1)
    with pytest.raises(WatchdogError, match="no run 9 of vectors"):
        await rollback(docs.url, 9)


async def test_two_migrations_go_back_in_reverse(docs: Docs) -> None:
    before = await docs.state()
    first = await apply(docs.url, SMALLER)
    between = await docs.columns()
    smallest = SMALLER.replace("dimensions: 8", "dimensions: 4").replace(", 1, 8)", ", 1, 4)").replace("(8)", "(4)")
    smallest = smallest.replace("subvector(embedding", "subvector(embedding::vector(8)")
    second = await apply(docs.url, smallest)
    with pytest.raises(RefusedError, match=f"run {second.run} stands on it"):
        await rollback(docs.url, first.run)
    await rollback(docs.url, second.run)
    assert await docs.columns() == between
    await rollback(docs.url, first.run)
    assert await docs.state() == before
