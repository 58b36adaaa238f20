from collections.abc import Callable
from typing import Any, Literal

import psycopg
import pytest

from watchdog.model.signals import Cause, Missing, SignalKind
from watchdog.ports.errors import ProbeError
from watchdog.ports.kinds import Script
from watchdog.ports.probes import Probe
from watchdog.probes.sql_check import KIND, SqlCheckRead
from watchdog.targets.postgres import PostgresOptions, PostgresTarget

Build = Callable[..., Probe]
Connection = psycopg.AsyncConnection[Any]


def check(text: str, expect: Literal["no_rows", "value"] = "no_rows") -> SqlCheckRead:
    return SqlCheckRead(query=Script(text, "checks.sql"), expect=expect)


async def read_one(build: Build, target: PostgresTarget, read: SqlCheckRead) -> Any:
    return (await build(KIND, target, {"check": read}).read())["check"][()]


@pytest.mark.parametrize(
    ("text", "expect", "value"),
    [
        ("SELECT 1 WHERE false", "no_rows", 0.0),
        ("SELECT 1, 2, 3 FROM generate_series(1, 7)", "no_rows", 7.0),
        ("SELECT 1 FROM generate_series(1, 20000)", "no_rows", 10_000.0),
        ("  \n-- violations\nSELECT 'a' LIKE '%' AS a, '%s' AS a -- why;\n;\n", "no_rows", 1.0),
        ("WITH found AS (SELECT 1) SELECT * FROM found ORDER BY 1", "no_rows", 1.0),
        ("VALUES (1), (2)", "no_rows", 2.0),
        ("SELECT 41.5::numeric", "value", 41.5),
        ("SELECT count(*) FROM generate_series(1, 20000)", "value", 20_000.0),
        ("SELECT true", "value", 1.0),
    ],
)
async def test_a_check_counts_rows_or_answers_with_its_number(
    build: Build, pg_target: PostgresTarget, text: str, expect: Any, value: float
) -> None:
    assert await read_one(build, pg_target, check(text, expect)) == value


@pytest.mark.parametrize(
    ("text", "expect", "detail"),
    [
        ("SELECT 1\nFROM\n  nowhere", "no_rows", 'checks.sql line 3: relation "nowhere" does not exist (42P01)'),
        ("\n\nSELEC 1", "no_rows", 'checks.sql line 3: syntax error at or near "1"'),
        ("SELECT 1; DELETE FROM t", "no_rows", 'syntax error at or near ";"'),
        ("SELECT 1) AS a; SELECT (2", "no_rows", "checks.sql line 1"),
        ("INSERT INTO t VALUES (1) RETURNING 1", "no_rows", "syntax error"),
        ("SELECT writes()", "value", "it writes"),
        ("SELECT NULL::int", "value", "use coalesce|say what that means with coalesce"),
        ("SELECT 'seven'", "value", "other than a finite number"),
        ("SELECT 'NaN'::float8", "value", "other than a finite number"),
        ("SELECT 1, 2", "value", "exactly one row of one column"),
        ("SELECT 1 FROM t", "value", "exactly one row of one column"),
        ("SELECT generate_series(1, 3)", "value", "exactly one row of one column"),
        ("SELECT 1 FROM private WHERE email::int > 0", "no_rows", "InvalidTextRepresentation (SQLSTATE 22P02)"),
    ],
)
async def test_a_check_that_makes_no_sense_says_where_and_hides_no_other(
    build: Build, pg_target: PostgresTarget, admin: Connection, text: str, expect: Any, detail: str
) -> None:
    await admin.execute("CREATE TABLE t (id int)")
    await admin.execute("CREATE TABLE private (email text)")
    await admin.execute("INSERT INTO private VALUES ('anna@example.org')")
    await admin.execute(
        "CREATE FUNCTION writes() RETURNS int LANGUAGE sql VOLATILE AS 'INSERT INTO t VALUES (1) RETURNING id'"
    )
    reads = {"bad": check(text, expect), "good": check("SELECT 1 WHERE false")}
    readings = await build(KIND, pg_target, reads).read()
    bad = readings["bad"][()]
    assert isinstance(bad, Missing)
    assert bad.cause is Cause.PROBE_BROKEN
    assert any(part in bad.detail for part in detail.split("|"))
    assert "main-db (127.0.0.1" in bad.detail
    assert "anna" not in bad.detail
    assert readings["good"] == {(): 0.0}
    assert await (await admin.execute("SELECT count(*) FROM t")).fetchone() == (0,)


async def test_a_check_that_takes_too_long_does_not_answer(build: Build, pg_target: PostgresTarget) -> None:
    reads = {"slow": check("SELECT pg_sleep(60)"), "good": check("SELECT 1", "value")}
    readings = await build(KIND, pg_target, reads).read()
    slow = readings["slow"][()]
    assert isinstance(slow, Missing)
    assert slow.cause is Cause.UNREACHABLE
    assert "statement_timeout" in slow.detail
    assert readings["good"] == {(): 1.0}


async def test_a_server_that_ends_the_session_fails_the_whole_reading(build: Build, pg_target: PostgresTarget) -> None:
    reads = {"dies": check("SELECT pg_terminate_backend(pg_backend_pid())"), "good": check("SELECT 1", "value")}
    with pytest.raises(ProbeError) as caught:
        await build(KIND, pg_target, reads).read()
    assert caught.value.cause is Cause.UNREACHABLE
    assert await read_one(build, pg_target, check("SELECT 1", "value")) == 1.0


async def test_a_server_that_is_not_there_fails_the_whole_reading(
    build: Build, secret: Any, unused_tcp_port: int
) -> None:
    url = f"postgresql://u:hush-hush@127.0.0.1:{unused_tcp_port}/shop"
    target = PostgresTarget("main-db", PostgresOptions(url=secret(url)))
    with pytest.raises(ProbeError, match="main-db") as caught:
        await build(KIND, target, {"check": check("SELECT 1")}).read()
    assert caught.value.cause is Cause.UNREACHABLE
    assert "hush-hush" not in str(caught.value)


def test_an_empty_query_is_refused() -> None:
    with pytest.raises(ValueError, match="query is empty"):
        check(" ;\n")
    assert KIND.signal_kind(check("SELECT 1")) is SignalKind.CHECK
