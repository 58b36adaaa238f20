import pytest

from watchdog.migrations.safe.split import Contracted, Split, SplitError, split
from watchdog.migrations.safe.uses import Query, uses
from watchdog.migrations.safe.values import Column, Facts, Relation

COLUMNS = {
    "id": Column("integer", required=True, known=True),
    "a": Column("text", required=True, default="'x'::text"),
    "b": Column("character varying(10)"),
}
FACTS = Facts(("public",), {("public", "t"): Relation("r", COLUMNS, ("id",))})


def parts(script: str) -> Split:
    return split(script, FACTS)


def reasons(script: str) -> str:
    with pytest.raises(SplitError) as error:
        parts(script)
    return "; ".join(error.value.reasons)


def test_what_adds_goes_first_and_what_takes_away_goes_second() -> None:
    found = parts("""SET lock_timeout = '1s';
ALTER TABLE t ADD COLUMN c text NOT NULL, DROP COLUMN b;
UPDATE t SET c = a;
CREATE INDEX ON t (c);
CREATE UNIQUE INDEX one ON t (c);
DROP TABLE old""")
    assert found.expand.splitlines() == [
        "SET lock_timeout = '1s';",
        "ALTER TABLE t ADD COLUMN c text;",
        "UPDATE t SET c = a;",
        "CREATE INDEX ON t (c);",
    ]
    assert found.contract.splitlines() == [
        "SET lock_timeout = '1s';",
        "-- What old code has written since.",
        "UPDATE t SET c = a WHERE t.c IS NULL;",
        "ALTER TABLE t ALTER COLUMN c SET NOT NULL;",
        "ALTER TABLE t DROP b;",
        "CREATE UNIQUE INDEX one ON t (c);",
        "DROP TABLE old;",
    ]
    assert [one.text for one in found.contracted] == ["t.c, which becomes NOT NULL", "column t.b", "old"]


def test_a_renamed_column_is_a_copy_until_the_old_one_goes() -> None:
    found = parts("ALTER TABLE t RENAME COLUMN a TO z")
    assert "ADD COLUMN z text" in found.expand
    assert "SET DEFAULT 'x'::text" in found.expand
    assert found.contract.splitlines()[1:] == [
        "UPDATE t SET z = a WHERE z IS NULL AND a IS NOT NULL;",
        "ALTER TABLE t ALTER COLUMN z SET NOT NULL;",
        "ALTER TABLE t DROP COLUMN a;",
    ]
    assert "indexes, constraints" in reasons("ALTER TABLE t RENAME COLUMN id TO z")


def test_a_renamed_table_has_a_view_of_the_new_name_meanwhile() -> None:
    found = parts("ALTER TABLE t RENAME TO y")
    assert "CREATE VIEW y AS SELECT * FROM t;" in found.expand
    assert found.contract == "DROP VIEW y;\nALTER TABLE t RENAME TO y;\n"


def test_a_type_that_holds_every_value_is_no_loss() -> None:
    assert parts("ALTER TABLE t ALTER b TYPE varchar(20)").contract == ""
    assert parts("ALTER TABLE t ALTER b TYPE varchar(5)").expand == ""
    assert split("ALTER TABLE t ALTER b TYPE varchar(20)", Facts()).expand == "", "without a database nobody knows"


def test_rows_that_old_code_reads_change_later_and_in_order() -> None:
    found = parts("UPDATE t SET a = 'y'; DELETE FROM t WHERE b = ''; INSERT INTO t VALUES (1)")
    assert found.expand == ""
    assert [line.split()[0] for line in found.contract.splitlines()] == ["--", "UPDATE", "DELETE", "INSERT"]


def test_a_table_of_the_script_itself_is_new_code_only() -> None:
    found = parts("CREATE TABLE n (a int); ALTER TABLE n ADD UNIQUE (a); CREATE UNIQUE INDEX ON n (a)")
    assert found.contract == ""

    there = parts("CREATE TABLE IF NOT EXISTS t (a text); ALTER TABLE t DROP COLUMN b")
    assert "DROP b" in there.contract
    maybe = split("CREATE TABLE IF NOT EXISTS n (a int); CREATE UNIQUE INDEX ON n (a)", Facts())
    assert "UNIQUE" in maybe.contract


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("SELECT 1;\nDO $$ BEGIN END $$", "line 2: it neither only adds"),
        ("CREATE OR REPLACE VIEW v AS SELECT 1", "line 1: it neither only adds"),
        ("DROP TABLE q;\nCREATE TABLE q (a int)", "line 2: it needs what line 1 does to q first"),
        ("ALTER TABLE t DROP COLUMN a;\nALTER TABLE t ADD COLUMN a int", "line 2: it needs what line 1 does to t.a"),
        ("ALTER TABLE t DROP COLUMN a, ADD COLUMN a int", "in one statement"),
        ("ALTER TABLE x RENAME COLUMN a TO b", "name --database"),
        ("ALTER TYPE e RENAME VALUE 'a' TO 'b'", "neither only adds"),
        ("ALTER TABLE t RENAME TO y;\nALTER TABLE y ADD COLUMN n int", "line 2: it needs what line 1 does"),
        ("ALTER VIEW v RENAME TO w", "no second name"),
        ("ALTER TABLE t DISABLE TRIGGER ALL", "of no kind that is known"),
        ("BEGIN; SELECT 1; COMMIT", "neither only adds"),
        ("SET search_path = a; SET search_path = b", "a second time"),
        ("CREATE TABLE x (a int); SET search_path = b", "half-way"),
    ],
)
def test_what_cannot_be_split_is_refused_with_its_line(script: str, why: str) -> None:
    assert why in reasons(script)


TABLE = Contracted(1, ("", "t"))
COLUMN = Contracted(1, ("public", "t"), "a")
DEMANDED = Contracted(1, ("", "t"), "a", demanded=True)


@pytest.mark.parametrize(
    ("one", "text", "used"),
    [
        (TABLE, "SELECT $1 FROM public.t", True),
        (TABLE, "SELECT t FROM u", False),
        (TABLE, "WITH x AS (DELETE FROM t RETURNING id) SELECT * FROM x", True),
        (TABLE, "VACUUM t", False),
        (TABLE, "not SQL", False),
        (COLUMN, "SELECT x.a FROM t AS x WHERE id = $1", True),
        (COLUMN, "SELECT id FROM t ORDER BY a", True),
        (COLUMN, "SELECT * FROM t", True),
        (COLUMN, "SELECT b FROM t", False),
        (COLUMN, "SELECT a FROM other.t", False),
        (COLUMN, "SELECT a FROM u", False),
        (COLUMN, "UPDATE t SET a = $1", True),
        (COLUMN, "INSERT INTO t (a) VALUES ($1)", True),
        (COLUMN, "INSERT INTO t VALUES ($1)", True),
        (COLUMN, "INSERT INTO t (b) VALUES ($1)", False),
        (DEMANDED, "INSERT INTO t (b) VALUES ($1)", True),
        (DEMANDED, "INSERT INTO t (a) VALUES ($1)", False),
        (DEMANDED, "SELECT b FROM t", False),
    ],
)
def test_what_is_in_use_is_found(one: Contracted, text: str, used: bool) -> None:  # noqa: FBT001 - a parameter
    assert bool(uses((one,), (Query("1", 1, text),))) is used


def test_a_long_statement_is_cut_off() -> None:
    assert len(Query("1", 1, "SELECT " + "a, " * 200).short) == 160


def test_the_migrations_own_statements_are_nobodys_use() -> None:
    query = Query("1", 1, "UPDATE t SET c = a || $1")
    assert uses((COLUMN,), (query,))
    assert not uses((COLUMN,), (query,), "SELECT 1; UPDATE t SET c = a || 'x'")
