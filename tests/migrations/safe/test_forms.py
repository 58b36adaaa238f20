import pytest

from watchdog.migrations.parser import SqlSyntaxError
from watchdog.migrations.safe.forms import safe_forms, without_concurrently
from watchdog.migrations.safe.values import Column, Facts, Forms, Kind, Relation

COLUMNS = {"id": Column("integer", required=True), "a": Column("text"), "b": Column("text"), "n": Column("integer")}
TABLE = Relation("r", COLUMNS, ("id",), frozenset({"id", "b"}), (), frozenset({"t_pkey", "t_n_check"}))
FACTS = Facts(
    ("public", "other"),
    {
        ("public", "t"): TABLE,
        ("other", "u"): Relation("r", COLUMNS, ("id",)),
        ("public", "parted"): Relation("p", COLUMNS, ("id",)),
        ("public", "keyless"): Relation("r", COLUMNS),
        ("public", "watched"): Relation("r", COLUMNS, ("id",), frozenset(), ("trigger audit",)),
        ("public", "seen"): Relation("m", COLUMNS),
    },
    frozenset({("public", "t"), ("public", "t_a_idx")}),
    frozenset({"lower", "concat"}),
    frozenset({"<->"}),
)


def forms(script: str) -> Forms:
    return safe_forms(script, FACTS)


def kinds(script: str) -> list[Kind]:
    return [step.kind for step in forms(script).steps]


def said(script: str) -> list[tuple[str, ...]]:
    return [step.statements for step in forms(script).steps]


def reason(script: str) -> str:
    found = forms(script)
    assert not found.changed
    return " ".join(one.reason for one in found.kept)


def test_an_index_is_built_concurrently() -> None:
    [step] = forms("CREATE INDEX i ON t (a)").steps
    assert (step.kind, step.index) == (Kind.INDEX, "public.i")
    assert step.statements == ("CREATE INDEX CONCURRENTLY i ON t USING btree (a)",)


def test_an_index_without_name_gets_the_one_that_it_would_have() -> None:
    assert forms("CREATE INDEX ON u (a, b)").steps[0].index == "other.u_a_b_idx"
    assert "has no name" in reason("CREATE INDEX ON t (a)"), "t_a_idx is taken"
    assert "has no name" in reason("CREATE INDEX ON t (lower(a))")


@pytest.mark.parametrize("script", ["CREATE INDEX i ON parted (a)", "CREATE INDEX i ON unknown (a)"])
def test_an_index_of_what_cannot_be_indexed_so_stays(script: str) -> None:
    assert not forms(script).changed


def test_a_table_of_the_script_itself_is_nobodys_yet() -> None:
    script = "CREATE TABLE x (a text); CREATE INDEX ON x (a); UPDATE x SET a = ''; ALTER TABLE x ALTER a SET NOT NULL"
    assert kinds(script) == [Kind.BLOCK]
    assert forms(script).kept == ()


def test_a_name_that_may_be_another_tables_is_not_taken_for_a_new_one() -> None:
    again = "CREATE TABLE IF NOT EXISTS t (a text); ALTER TABLE t DROP COLUMN b; CREATE INDEX i ON t (a)"
    assert "takes something away" in reason(again)
    assert not forms("CREATE TABLE u (id int); UPDATE u SET a = n").changed, "it is not other.u any more"


def test_a_check_and_a_foreign_key_are_validated_afterwards() -> None:
    assert said("ALTER TABLE t ADD CONSTRAINT c CHECK (n > 0), ADD FOREIGN KEY (n) REFERENCES u (id)") == [
        ("ALTER TABLE t ADD CONSTRAINT c CHECK (n > 0) NOT VALID",),
        ("ALTER TABLE t VALIDATE CONSTRAINT c",),
        ("ALTER TABLE t ADD CONSTRAINT t_n_fkey FOREIGN KEY (n) REFERENCES u (id) NOT VALID",),
        ("ALTER TABLE t VALIDATE CONSTRAINT t_n_fkey",),
    ]
    assert "no name" in reason("ALTER TABLE t ADD CHECK (n > 0)"), "t_n_check is taken"
    assert not forms("ALTER TABLE t ADD CONSTRAINT c CHECK (n > 0) NOT VALID").changed


def test_not_null_is_proven_by_a_check() -> None:
    assert said("ALTER TABLE t ALTER a SET NOT NULL") == [
        ("ALTER TABLE t ADD CONSTRAINT watchdog_a_not_null CHECK (a IS NOT NULL) NOT VALID",),
        ("ALTER TABLE t VALIDATE CONSTRAINT watchdog_a_not_null",),
        (
            "ALTER TABLE t ALTER COLUMN a SET NOT NULL",
            "ALTER TABLE t DROP CONSTRAINT watchdog_a_not_null",
        ),
    ]
    assert not forms("ALTER TABLE t ALTER id SET NOT NULL").changed


def test_what_was_filled_is_filled_again_before_it_is_demanded() -> None:
    script = "ALTER TABLE t ADD COLUMN c text; UPDATE t SET c = lower(a); ALTER TABLE t ALTER c SET NOT NULL"
    found = [Kind.BLOCK, Kind.BACKFILL, Kind.BACKFILL, Kind.BLOCK, Kind.BACKFILL, Kind.VALIDATE, Kind.BLOCK]
    assert kinds(script) == found
    again = forms(script).steps[2].backfill
    assert again is not None
    assert again.first == "UPDATE t SET c = lower(a) WHERE t.c IS NULL AND t.id <= $1 /* watchdog */"


def test_a_unique_constraint_takes_over_an_index() -> None:
    script = "ALTER TABLE t ADD CONSTRAINT one UNIQUE NULLS NOT DISTINCT (a, n) INCLUDE (b) DEFERRABLE"
    assert said(script) == [
        ("CREATE UNIQUE INDEX CONCURRENTLY one ON t USING btree (a, n) INCLUDE (b) NULLS NOT DISTINCT",),
        ("ALTER TABLE t ADD CONSTRAINT one UNIQUE USING INDEX one DEFERRABLE",),
    ]
    assert kinds("ALTER TABLE keyless ADD PRIMARY KEY (id)") == [Kind.INDEX, Kind.BLOCK]
    assert len(kinds("ALTER TABLE keyless ADD PRIMARY KEY (a)")) == 5
    assert "options" in reason("ALTER TABLE t ADD CONSTRAINT one UNIQUE (a) WITH (fillfactor = 70)")


def test_commands_of_one_alter_run_in_postgresqls_order() -> None:
    script = "ALTER TABLE t ADD CONSTRAINT c CHECK (x > 0), ADD COLUMN x int, ALTER a SET NOT NULL"
    first, *_, last = said(script)
    assert first[0] == "ALTER TABLE t ADD COLUMN x int"
    assert last == ("ALTER TABLE t VALIDATE CONSTRAINT c",)


def test_an_update_goes_along_the_primary_key() -> None:
    [step] = forms("UPDATE ONLY other.u AS x SET a = lower(x.b), n = n + 1 WHERE n < 5 OR n > 9").steps
    fill = step.backfill
    assert fill is not None
    assert (fill.table, fill.key, fill.sets) == (("other", "u"), ("id",), ("a", "n"))
    assert fill.following == (
        "UPDATE ONLY other.u x SET a = lower(x.b), n = n + 1 WHERE (n < 5 OR n > 9) AND (x.id > $1 AND x.id <= $2)"
        " /* watchdog */"
    )


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("UPDATE t SET a = random()", "random() may give another value"),
        ("UPDATE t SET a = my_function(a)", "my_function() may give another value"),
        ("UPDATE t SET a = current_date", "the clock"),
        ("UPDATE t SET a = 'now'::timestamp", "'now' may be the time"),
        ("UPDATE t SET a = 't'::regclass::text", "looks names up"),
        ("UPDATE t SET a = ctid::text", "where a row lies"),
        ("UPDATE t SET a = a <-> b", "is not PostgreSQL's own"),
        ("UPDATE t SET a = DEFAULT", "DEFAULT"),
        ("UPDATE t SET (a, n) = (SELECT '', 1)", "other rows"),
        ("UPDATE t SET a = u.a FROM u WHERE u.id = t.id", "other rows"),
        ("UPDATE t SET a = (SELECT max(a) FROM u)", "other rows"),
        ("UPDATE t SET b = a", "b must be unique"),
        ("UPDATE t SET id = id + 1", "id must be unique"),
        ("UPDATE keyless SET a = b", "no primary key"),
        ("UPDATE watched SET a = b", "trigger audit"),
        ("UPDATE parted SET a = b", "partitioned"),
        ("UPDATE unknown SET a = b", "nothing is known"),
        ("UPDATE t SET a = b; ALTER TABLE t DROP COLUMN b", "may take away what users write"),
        ("UPDATE t SET a = b; DROP TABLE t", "may take away what users write"),
        ("UPDATE t SET a = b; DO $$ BEGIN END $$", "may take away what users write"),
        ("BEGIN; CREATE INDEX i ON t (a); COMMIT", "transactions of its own"),
        ("SET LOCAL lock_timeout = '1s'; CREATE INDEX i ON t (a)", "SET LOCAL"),
        ("SET search_path = other; CREATE INDEX i ON t (a)", "it sets search_path"),
        ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; CREATE INDEX i ON t (a)", "SET TRANSACTION"),
        ("CREATE INDEX i ON t (a); SET datestyle = 'SQL'; UPDATE t SET a = b", "half-way"),
        ("SET datestyle = 'SQL'; CREATE INDEX i ON t (a); RESET datestyle", "half-way"),
        ("ALTER TABLE t RENAME a TO c; CREATE INDEX i ON t (c)", "renames"),
        ("CREATE TEMP TABLE x (a int); CREATE INDEX i ON t (a)", "temporary"),
        ("DROP INDEX i; CREATE INDEX i ON t (a)", "takes something away"),
        ("INSERT INTO t SELECT * FROM u; CREATE INDEX i ON t (a)", "copies rows"),
        ("ALTER TABLE t ALTER n TYPE bigint; CREATE INDEX i ON t (n)", "takes something away"),
    ],
)
def test_what_would_mean_something_else_stays_and_says_why(script: str, why: str) -> None:
    assert why in reason(script)


def test_an_update_that_reads_what_an_earlier_one_sets_stays_with_it() -> None:
    assert "line 2" in reason("UPDATE t SET a = lower(b);\nUPDATE t SET n = 1 WHERE a = ''")
    assert kinds("UPDATE t SET a = lower(b); UPDATE t SET n = 1") == [Kind.BACKFILL, Kind.BACKFILL]


def test_settings_hold_for_every_step() -> None:
    found = forms("SET lock_timeout = '1s'; CREATE INDEX i ON t (a); SELECT 1")
    assert found.settings == ("SET lock_timeout = '1s'",)
    assert [step.kind for step in found.steps] == [Kind.INDEX, Kind.BLOCK]


def test_lines_are_those_of_the_script() -> None:
    found = forms("ALTER TABLE t ADD COLUMN x int;\n\nCREATE INDEX i ON t (a);\nALTER TABLE t DROP COLUMN a;\n")
    assert [step.line for step in found.steps] == [1, 3, 4]


def test_concurrently_goes_out_and_nothing_else_does() -> None:
    script = (
        "-- concurrently, été\nCREATE INDEX CONCURRENTLY i ON t (a);\nDROP INDEX concurrently i; SELECT 'concurrently'"
    )
    assert without_concurrently(script) == (
        "-- concurrently, été\nCREATE INDEX  i ON t (a);\nDROP INDEX  i; SELECT 'concurrently'"
    )


def test_no_sql_is_said_with_its_line() -> None:
    with pytest.raises(SqlSyntaxError, match="line 2"):
        forms("SELECT 1;\nSELEC 2")
