import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.discovery.statements import ddl_of


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("ALTER TABLE users ADD COLUMN a int", "ALTER TABLE users"),
        ("alter  table if exists only public.users drop column a", "ALTER TABLE public.users"),
        ('ALTER TABLE "Odd Name"."it""s" ADD a int', 'ALTER TABLE "Odd Name"."it""s"'),
        ("-- first\n/* second; */ CREATE TABLE IF NOT EXISTS a.b (id int)", "CREATE TABLE a.b"),
        ("CREATE UNLOGGED TABLE a AS SELECT 1", "CREATE TABLE a"),
        ("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)", "CREATE INDEX i ON t"),
        ("CREATE INDEX ON shop.t (a)", "CREATE INDEX ON shop.t"),
        ("CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE FUNCTION f"),
        ("CREATE MATERIALIZED VIEW v AS SELECT 1", "CREATE MATERIALIZED VIEW v"),
        ("SET lock_timeout = '1s'; BEGIN; UPDATE a SET b = 'x;y'; DROP TYPE mood", "DROP TYPE mood"),
        ("ALTER TYPE mood ADD VALUE 'sad'", "ALTER TYPE mood"),
        ("ALTER TABLE t ADD COLUMN a text DEFAULT 'cut off in the mid", "ALTER TABLE t"),
    ],
)
def test_a_change_of_the_schema_is_told_by_verb_kind_and_name(text: str, what: str) -> None:
    assert ddl_of(text) == what


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SELECT 1",
        "SELECT 'x; DROP TABLE a'",
        "SELECT $a$; DROP TABLE a; $a$",
        "-- DROP TABLE a\nSELECT 1",
        "/* ; DROP TABLE a */ SELECT 1",
        "INSERT INTO log VALUES ('ALTER TABLE x",
        "CREATE TEMP TABLE a (id int)",
        "CREATE TEMPORARY VIEW a AS SELECT 1",
        "CREATE TABLE log_2026 PARTITION OF log FOR VALUES FROM (1) TO (2)",
        "ALTER TABLE log DETACH PARTITION log_2025 CONCURRENTLY",
        "ALTER ROLE app SET work_mem = '1GB'",
        "ALTER SYSTEM SET work_mem = '1GB'",
        "CREATE ROLE app",
        "DROP DATABASE a",
        "VACUUM FULL a",
        "REINDEX TABLE a",
        "REFRESH MATERIALIZED VIEW v",
        "UPDATE created SET alter = drop",
        "<insufficient privilege>",
    ],
)
def test_anything_else_is_none(text: str) -> None:
    assert ddl_of(text) is None


def test_values_never_show() -> None:
    text = "ALTER TABLE users ADD COLUMN a text DEFAULT 'hush-hush'; INSERT INTO users VALUES ('hush-hush')"
    assert "hush" not in (ddl_of(text) or "")


@given(st.text(alphabet="CREATE DROP TABLE;'\"$-/*\n.a", max_size=300))
def test_no_text_is_too_odd(text: str) -> None:
    assert ddl_of(text) is None or ddl_of(text) != ""
