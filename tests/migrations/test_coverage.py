import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.migrations.coverage import check, check_query
from watchdog.migrations.parser import SqlSyntaxError
from watchdog.migrations.sql import parse
from watchdog.targets.archive import Archive

USERS = Archive(name="users", table="public.users")
SCORE = Archive(name="score", table="users", columns=("score",))


def complaints(script: str, *archives: Archive, transactional: bool = True) -> list[str]:
    return list(check(script, archives, transactional=transactional))


@pytest.mark.parametrize(
    "script",
    [
        "DROP TABLE users",
        "DROP TABLE IF EXISTS public.users",
        "DROP TABLE other, users",
        "ALTER TABLE users DROP COLUMN score",
        "ALTER TABLE users ADD x int, DROP score",
        "ALTER TABLE ONLY users DROP IF EXISTS score",
        "ALTER TABLE users ALTER score TYPE smallint",
        "ALTER TABLE users ALTER score TYPE varchar(3)",
        "ALTER TABLE users ALTER score TYPE text USING left(score::text, 1)",
        "DELETE FROM users",
        "DELETE FROM ONLY users WHERE id = 1",
        "DELETE FROM users USING orders WHERE orders.user_id = users.id",
        "WITH gone AS (DELETE FROM users RETURNING *) SELECT count(*) FROM gone",
        "SELECT 1; WITH x AS (DELETE FROM users RETURNING 1) INSERT INTO log TABLE x",
        "UPDATE users SET score = 1 WHERE id = 1",
        "WITH u AS (UPDATE users SET score = 1 RETURNING 1) SELECT 1",
        "INSERT INTO users VALUES (1) ON CONFLICT (id) DO UPDATE SET score = 2",
        "MERGE INTO users USING orders ON true WHEN MATCHED THEN DELETE",
        "MERGE INTO users USING orders ON true WHEN MATCHED THEN UPDATE SET score = 1",
        "TRUNCATE users",
        "TRUNCATE TABLE ONLY users RESTART IDENTITY",
        "DROP TYPE mood",
        "DROP DOMAIN email",
        "DROP SCHEMA audit",
        "DELETE FROM schema_versions WHERE version = 'x'",
        "PREPARE gone AS DELETE FROM users",
        "EXPLAIN ANALYZE DELETE FROM users",
        "CREATE RULE r AS ON INSERT TO log DO DELETE FROM users",
        "CREATE TABLE t AS SELECT 1; DROP TABLE users",
        "CREATE TABLE IF NOT EXISTS users (id int); DROP TABLE users",
        "CREATE TEMP TABLE users (id int); DELETE FROM public.users",
        "CREATE TEMP TABLE users (id int); DROP TABLE users; DELETE FROM users",
        "CREATE TABLE v (); DROP TABLE v; CREATE VIEW v AS SELECT * FROM users; DELETE FROM v",
        "CREATE TABLE v (); ALTER TABLE v RENAME TO w; CREATE VIEW v AS SELECT * FROM users; DELETE FROM v",
        "CREATE TABLE v (); ALTER TABLE v SET SCHEMA other; DELETE FROM v",
        "CREATE SCHEMA junk CREATE TABLE users (id int); DELETE FROM users",
        "CREATE SCHEMA junk; CREATE TABLE junk.t (); DROP SCHEMA junk; DELETE FROM junk.t",
        "EXPLAIN CREATE TABLE users AS SELECT 1; DELETE FROM users",
        "CREATE TABLE p (id int) PARTITION BY LIST (id); ALTER TABLE p ATTACH PARTITION users DEFAULT; DELETE FROM p",
        "CREATE TABLE p (id int); ALTER TABLE users INHERIT p; DELETE FROM p",
        "ALTER TABLE users ALTER score TYPE evil.text",
    ],
)
def test_what_destroys_data_needs_an_archive(script: str) -> None:
    assert complaints(script), script


@pytest.mark.parametrize(
    "script",
    [
        "DROP INDEX i; ALTER TABLE users DROP CONSTRAINT c",
        "ALTER TABLE users ALTER score DROP NOT NULL, ALTER score DROP DEFAULT",
        "ALTER TABLE users ALTER score TYPE text",
        "ALTER TABLE users ALTER score TYPE varchar",
        "INSERT INTO users SELECT * FROM watchdog.archive_users ON CONFLICT DO NOTHING",
        "DROP VIEW v; DROP FUNCTION f(int); DROP TRIGGER t ON users",
        "CREATE TEMP TABLE t (id int); DELETE FROM t; DROP TABLE t",
        "CREATE TABLE t AS SELECT 1; TRUNCATE t",
        "SELECT 'DELETE FROM users' -- DROP TABLE users",
        "LOCK TABLE users; SET LOCAL ROLE app_owner; ANALYZE users",
        "ALTER TABLE users ALTER score TYPE pg_catalog.text",
        "ALTER TABLE users ADD token uuid DEFAULT gen_random_uuid(), ADD at timestamptz DEFAULT now()",
        "SELECT setval('users_id_seq', max(id)) FROM users",
        "CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TRIGGER t BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch()",
        "WITH a AS (TABLE watchdog.archive_a) INSERT INTO users SELECT a.* FROM a JOIN watchdog.archive_b USING (id)",
        "INSERT INTO notes VALUES ('watchdog')",
        "ALTER TABLE orders ADD FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE",
    ],
)
def test_what_destroys_nothing_needs_none(script: str) -> None:
    assert complaints(script) == []


@pytest.mark.parametrize(
    ("script", "archive"),
    [
        ("DROP TABLE users", USERS),
        ("DELETE FROM public.users", USERS),
        ("TRUNCATE users", USERS),
        ("ALTER TABLE users DROP COLUMN score", USERS),
        ("ALTER TABLE users DROP COLUMN score", SCORE),
        ("ALTER TABLE users ALTER score TYPE smallint", SCORE),
        ("UPDATE users SET score = 1", SCORE),
        ("DELETE FROM users WHERE id < 5", Archive(name="some", table="users", where="id < 5")),
        ("ALTER TABLE users DROP COLUMN mood; DROP TYPE mood", USERS),
        ("DROP TABLE audit.log; DROP SCHEMA audit", Archive(name="log", table="audit.log")),
    ],
)
def test_an_archive_of_the_same_covers_it(script: str, archive: Archive) -> None:
    assert complaints(script, archive) == []


@pytest.mark.parametrize(
    ("script", "archive"),
    [
        ("DROP TABLE users", SCORE),
        ("DELETE FROM users", SCORE),
        ("DROP TABLE audit.users", USERS),
        ("ALTER TABLE users DROP COLUMN name", SCORE),
        ("UPDATE users SET score = 1, name = 'x'", SCORE),
        ("DROP TABLE users", Archive(name="some", table="users", where="id < 5")),
        ("TRUNCATE users", Archive(name="some", table="users", where="id < 5")),
        ("WITH d AS (DELETE FROM users) SELECT 1", Archive(name="some", table="users", where="id < 5")),
        ("DROP SCHEMA audit", USERS),
        ("DROP TYPE mood", USERS),
        ("DELETE FROM users; DROP TYPE mood", USERS),
        (
            "ALTER TABLE c ADD FOREIGN KEY (u) REFERENCES users ON DELETE CASCADE; DELETE FROM users",
            USERS,
        ),
        ("ALTER TABLE c ADD u int REFERENCES users ON DELETE SET NULL; DELETE FROM users", USERS),
        ("ALTER TABLE c ADD FOREIGN KEY (u) REFERENCES users ON UPDATE CASCADE; UPDATE users SET id = 1", USERS),
        ("ALTER TABLE users RENAME TO old; ALTER TABLE others RENAME TO users; DROP TABLE users", USERS),
        (
            "ALTER TABLE users RENAME score TO s; ALTER TABLE users RENAME age TO score; ALTER TABLE users DROP score",
            SCORE,
        ),
        ("ALTER TABLE x.users SET SCHEMA public; DELETE FROM users", USERS),
    ],
)
def test_an_archive_of_something_else_does_not(script: str, archive: Archive) -> None:
    assert complaints(script, archive), script


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("DROP TABLE users CASCADE", "CASCADE"),
        ("ALTER TABLE users DROP COLUMN score CASCADE", "CASCADE"),
        ("TRUNCATE users CASCADE", "CASCADE"),
        ("DROP INDEX i CASCADE", "CASCADE"),
        ("BEGIN; SELECT 1; COMMIT", "owns the transaction"),
        ("SAVEPOINT a", "owns the transaction"),
        ("DO $$ BEGIN DELETE FROM users; END $$", "DO hides"),
        ("CALL purge()", "CALL hides"),
        ("EXECUTE gone", "EXECUTE hides"),
        ("COPY users FROM '/tmp/x'", "COPY"),
        ("DROP DATABASE x", "DROP DATABASE"),
        ("DROP OWNED BY x", "DROP OWNED"),
        ("DROP EXTENSION vector", "no archive holds"),
        ("DROP SEQUENCE s", "no archive holds"),
        ("SET lock_timeout = 0", "lock_timeout is the step's own"),
        ("RESET ALL", "step's own"),
        ("SET LOCAL search_path = other", "search_path is the step's own"),
        ("SET SESSION AUTHORIZATION postgres", "step's own"),
        ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "step's own"),
        ("SET track_counts = off", "step's own"),
        ("DISCARD ALL", "not for a rollback"),
        ("ALTER ROLE shop SUPERUSER", "not for a rollback"),
        ("REASSIGN OWNED BY a TO b", "not for a rollback"),
        ("ALTER EXTENSION vector DROP TYPE vector", "not for a rollback"),
        ("ALTER SCHEMA public RENAME TO junk", "other tables than the archives"),
        ("SELECT purge()", "purge() may do anything"),
        ("SELECT 1 FROM (SELECT app.lower('x')) AS y", "app.lower() may do anything"),
        ("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'DELETE FROM users'; SELECT f()", "f() may do anything"),
        ("CREATE FUNCTION lower() RETURNS int LANGUAGE sql AS 'SELECT 1'", "must not be called lower"),
        ("ALTER FUNCTION purge() RENAME TO lower", "renamed to lower"),
        ("ALTER TABLE users ADD x int DEFAULT purge()", "may do anything"),
        ("SELECT set_config('search_path', 'x', true)", "may do anything"),
        ("SELECT query_to_xml('DELETE FROM users', true, true, '')", "may do anything"),
        ("SELECT dblink_exec('x', 'DROP TABLE users')", "may do anything"),
        ("SELECT lo_unlink(1)", "may do anything"),
        ("SELECT pg_sleep(3600)", "may do anything"),
        ("SELECT pg_advisory_unlock_all()", "may do anything"),
        ("SELECT 1;\0 DELETE FROM users", "NUL"),
        ("DELETE FROM watchdog.receipts", "schema watchdog"),
        ("UPDATE watchdog.fence SET epoch = 0", "schema watchdog"),
        ("INSERT INTO watchdog.receipts SELECT * FROM x", "schema watchdog"),
        ("DROP TABLE watchdog.archives", "schema watchdog"),
        ("DROP TABLE watchdog.archive_old", "schema watchdog"),
        ("DROP SCHEMA watchdog", "schema watchdog"),
        ("ALTER TABLE watchdog.fence RENAME TO f", "schema watchdog"),
        ("ALTER TABLE users SET SCHEMA watchdog", "schema watchdog"),
        ("GRANT ALL ON SCHEMA watchdog TO PUBLIC", "schema watchdog"),
        ("GRANT ALL ON ALL TABLES IN SCHEMA watchdog TO PUBLIC", "schema watchdog"),
        ("CREATE TRIGGER t AFTER INSERT ON watchdog.receipts EXECUTE FUNCTION f()", "schema watchdog"),
        ("SELECT 1 INTO watchdog.x", "schema watchdog"),
        ("TABLE watchdog.fence", "schema watchdog"),
        ("WITH x AS (DELETE FROM watchdog.archive_a RETURNING *) TABLE x", "schema watchdog"),
    ],
)
def test_what_no_archive_can_make_good_is_refused(script: str, says: str) -> None:
    assert any(says in complaint for complaint in complaints(script, USERS, SCORE))


@pytest.mark.parametrize(
    "script",
    [
        "CREATE INDEX CONCURRENTLY i ON users (name)",
        "DROP INDEX CONCURRENTLY i",
        "REINDEX (CONCURRENTLY) TABLE users",
        "REINDEX TABLE CONCURRENTLY users",
        "VACUUM users",
        "ALTER TABLE p DETACH PARTITION c CONCURRENTLY",
        "ALTER SYSTEM SET work_mem = '1MB'",
    ],
)
def test_what_cannot_run_in_a_transaction_says_so(script: str) -> None:
    [complaint] = complaints(script)
    assert "transactional: false" in complaint
    assert complaints(script, transactional=False) == []


def test_rows_are_written_where_they_can_be_counted() -> None:
    [complaint] = complaints("INSERT INTO users VALUES (1)", transactional=False)
    assert "only with transactional: true" in complaint


def test_the_watchdogs_schema_is_not_the_services() -> None:
    assert list(check("SELECT 1", (), transactional=True, schema="watchdog"))


def test_every_complaint_names_its_line() -> None:
    script = "-- a\n\nSELECT 'é';\n/* b\n */ DELETE\nFROM users;\nDROP TABLE orders"
    found = complaints(script)
    assert [each.partition(":")[0] for each in found] == ["line 5", "line 7"]
    assert "table: public.users" in found[0]


@pytest.mark.parametrize(
    ("script", "line"), [("SELECT 1;\nSELEC 2", 2), ("SELECT 'éééé',\n\n;", 3), ("SELECT 'open", 1)]
)
def test_a_syntax_error_names_its_line(script: str, line: int) -> None:
    with pytest.raises(SqlSyntaxError) as caught:
        parse(script)
    assert caught.value.line == line
    assert complaints(script) == [f"{caught.value}."]


@pytest.mark.parametrize(
    "archive",
    [
        Archive(name="Users", table="users"),
        Archive(name="x" * 42, table="users"),
        Archive(name="users", table="a.b.c"),
        Archive(name="users", table="public."),
        Archive(name="users", table="users", where="id = 1; DROP TABLE x"),
        Archive(name="users", table="users", where="id = 1 LIMIT 1"),
        Archive(name="users", table="users", where="id = "),
        Archive(name="users", table="users", where="true UNION SELECT"),
        Archive(name="users", table="users", where="purge()"),
        Archive(name="users", table="watchdog.receipts"),
    ],
)
def test_an_archive_that_makes_no_sense_is_named(archive: Archive) -> None:
    assert any(repr(archive.name) in each for each in complaints("SELECT 1", archive))


def test_two_archives_need_two_names() -> None:
    assert complaints("SELECT 1", USERS, USERS) == ["archive 'users' is there twice; give each its own name."]


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM x",
        "SELECT 1; SELECT 2",
        "",
        "SELEC",
        "WITH d AS (DELETE FROM x) SELECT 1",
        "SELECT purge()",
        "SELECT true INTO t",
        "SELECT true FROM x FOR UPDATE",
    ],
)
def test_a_verifying_query_must_be_one_select(query: str) -> None:
    assert list(check_query(query))


@given(st.lists(st.sampled_from(["SELECT 1", "DELETE FROM users", "-- DELETE\nSELECT ';'", 'DROP TABLE "us;ers"'])))
def test_statements_come_back_as_they_were_written(parts: list[str]) -> None:
    statements = parse(";\n".join(parts))
    assert [statement.text for statement in statements] == [part.removeprefix("-- DELETE\n") for part in parts]


@given(st.text())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for complaint in complaints(text):
        assert complaint
