"""What archives take is known beforehand, from a sample that leaves nothing behind."""

import pytest
import pytest_asyncio

from tests.support.archives import archived, open_to, sql
from watchdog.migrations.budget import BytesError, Prediction, check, parse_bytes, predict, say_bytes
from watchdog.migrations.runs import images_of
from watchdog.migrations.table_plans import Kept, TablePlan
from watchdog.ports.errors import WatchdogError

GIB = 1024**3


def table(name: str, columns: str, kind: str = "gone") -> TablePlan:
    kept = tuple(Kept(one, one, "text", same_type=True, generated=False) for one in columns.split())
    return TablePlan(kind, ("public", name), None, kept, ())


async def predicted(url: str, *tables: TablePlan) -> Prediction:
    async with open_to(url) as connection:
        return await predict(connection, tables)


@pytest_asyncio.fixture
async def filled(owner: str) -> str:
    """Small rows and wide ones; together more than a sample."""
    await sql(
        owner,
        "CREATE TABLE small (id int PRIMARY KEY, at timestamptz, price numeric, gone int, note text);"
        " INSERT INTO small SELECT n, now(), n / 7.0, NULL, repeat('x', 300 + n % 100)"
        " FROM generate_series(1, 60000) n;"
        # A tenth is dead: what is counted are rows, not pages.
        " DELETE FROM small WHERE id % 10 = 0;"
        " CREATE TABLE wide (id int, body text);"
        " INSERT INTO wide SELECT n, (SELECT string_agg(md5((n * i)::text), '') FROM generate_series(1, 250) i)"
        " FROM generate_series(1, 3000) n",
    )
    return owner


async def test_bytes_are_near_what_the_archives_take(filled: str, scratch: str) -> None:
    for name, columns, rows in (("small", "id at price gone note", 54_000), ("wide", "id body", 3_000)):
        said = await predicted(filled, table(name, columns))
        run = await archived(filled, f"DROP TABLE {name}", scratch)
        async with open_to(filled) as connection:
            taken = sum((await images_of(connection, run)).values())
        assert said.bytes == pytest.approx(taken, rel=0.15), name
        assert said.rows == pytest.approx(rows, rel=0.15), name
        assert 0 < said.archive_seconds < said.rollback_seconds


async def test_rows_are_known_also_where_statistics_are_there(filled: str) -> None:
    await sql(filled, "ANALYZE small")
    said = await predicted(filled, table("small", "id at price gone note"))
    assert said.rows == pytest.approx(54_000, rel=0.05)


async def test_a_small_table_is_counted_and_two_images_take_twice_as_much(owner: str) -> None:
    await sql(owner, "CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 1000)")
    once = await predicted(owner, table("t", "id"))
    twice = await predicted(owner, table("t", "id", "rebuilt"))
    assert once.rows == twice.rows == 1000
    assert twice.bytes == 2 * once.bytes


@pytest.mark.parametrize("kind", ["new", "shrunk"])
async def test_what_is_not_archived_takes_nothing(owner: str, kind: str) -> None:
    await sql(owner, "CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 1000)")
    assert (await predicted(owner, table("t", "id", kind))).bytes == 0


async def test_empty_tables_take_nothing_and_no_columns_are_no_trouble(owner: str) -> None:
    await sql(owner, "CREATE TABLE t (id int); CREATE TABLE bare (); INSERT INTO bare DEFAULT VALUES")
    await sql(owner, "CREATE TABLE emptied (id int); INSERT INTO emptied VALUES (1); DELETE FROM emptied")
    assert (await predicted(owner, table("t", "id"), table("emptied", "id"))).bytes == 0
    assert (await predicted(owner, table("bare", ""))).rows == 1


async def test_the_sample_leaves_nothing_behind(owner: str) -> None:
    await sql(owner, "CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 1000)")
    async with open_to(owner) as connection:
        await predict(connection, [table("t", "id")])
        left = await connection.execute(b"SELECT relname FROM pg_class WHERE relname ~ '^sample_'")
        assert await left.fetchall() == []


async def test_a_table_that_is_not_there_is_said(owner: str) -> None:
    with pytest.raises(WatchdogError, match=r"cannot be predicted.*does not exist"):
        await predicted(owner, table("t", "id"))


def test_what_does_not_fit_is_a_sentence() -> None:
    asked = Prediction(bytes=30 * GIB, rows=1_000_000)
    assert check(asked, None) is None
    assert check(asked, 30 * GIB, 31 * GIB) is None
    assert "about 30.0 GiB for 1,000,000 rows, and the budget is 20.0 GiB" in (check(asked, 20 * GIB) or "")
    assert "only 1.0 GiB are free" in (check(asked, 40 * GIB, GIB) or "")


@pytest.mark.parametrize(
    ("text", "count"),
    [("20GiB", 20 * GIB), ("1.5 gib", 3 * GIB // 2), ("500MB", 500_000_000), ("1kB", 1000), ("7", 7), ("7 B", 7)],
)
def test_a_number_of_bytes_is_read(text: str, count: int) -> None:
    assert parse_bytes(text) == count


@pytest.mark.parametrize("text", ["", "much", "-1GiB", "1PiB", "1e9", "GiB"])
def test_what_is_no_number_of_bytes_is_refused(text: str) -> None:
    with pytest.raises(BytesError, match="say it as 20GiB"):
        parse_bytes(text)


@pytest.mark.parametrize(("count", "said"), [(0, "0 bytes"), (1024, "1.0 KiB"), (3 * GIB // 2, "1.5 GiB")])
def test_a_number_of_bytes_is_said(count: int, said: str) -> None:
    assert say_bytes(count) == said
