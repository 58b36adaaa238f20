import psycopg
import pytest

from tests.support.archives import sql
from watchdog.migrations.tools.texts import row, row_text, values

HARD = ["plain", "", None, "a,b", 'q"uo"te', "back\\slash", "(x)", " ", "line\nbreak", "tab\t", "ä€", '\\"', "''"]


async def test_rows_are_read_and_written_as_postgresql_does(pg_database: str) -> None:
    async with await psycopg.AsyncConnection.connect(pg_database) as connection:
        for some in (HARD, [None], [""], ["x"], ["a", None], [None, None]):
            marks = ", ".join(["%s::text"] * len(some))
            answer = await (await connection.execute(f"SELECT ROW({marks})::text".encode(), some)).fetchone()
            assert answer is not None
            assert values(answer[0]) == tuple(some)
            assert row_text(some) == answer[0]


async def test_a_row_holds_what_a_cast_to_text_says(pg_database: str) -> None:
    made = (
        "CREATE DOMAIN truth AS bool; CREATE TABLE t (a bool, b char(5), c inet, d inet, e numeric(8,3), f truth,"
        " g timestamptz, h bytea, i int[], j jsonb, k inet);"
        " INSERT INTO t VALUES (true, 'ab', '10.0.0.1', '10.0.0.0/8', 1.5, false, '2026-01-02', '\\x00ff', '{1,NULL}',"
        " '{\"a\": \"b\"}', '::1')"
    )
    await sql(pg_database, made)
    names = "abcdefghijk"
    cast = (await sql(pg_database, f"SELECT {', '.join(f'{c}::text' for c in names)} FROM t"))[0]
    whole = (await sql(pg_database, "SELECT t::text FROM t"))[0][0]
    shape = await sql(
        pg_database,
        "SELECT concat_ws(':', attnum, atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = 't'::regclass AND attnum > 0 ORDER BY attnum",
    )
    domain = (await sql(pg_database, "SELECT 'truth'::regtype::oid::bigint"))[0][0]
    found = row(whole, [token for (token,) in shape], {domain: 16})
    assert found == dict(enumerate(cast, 1))


def test_no_row_is_none_and_another_shape_is_an_error() -> None:
    assert row(None, ("1:23:-1",), {}) is None
    with pytest.raises(ValueError, match="argument"):
        row("(1,2)", ("1:23:-1",), {})
