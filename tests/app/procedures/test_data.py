import psycopg
import pytest

from tests.app.procedures.conftest import Plain, collect, run
from watchdog.app.procedures import tables
from watchdog.app.procedures.data import deep_check
from watchdog.app.procedures.parts import Outcome, Part
from watchdog.model.time import MILLISECOND, MINUTE
from watchdog.servers.postgres import PostgresServer
from watchdog.targets.postgres import PostgresOptions, PostgresTarget


async def checked(target: PostgresTarget) -> dict[str, Part]:
    found = await collect(deep_check("db", target, MINUTE))
    return {name.removeprefix("db: "): part for name, part in found.items()}


async def test_a_sound_database_is_well_in_every_part(target: PostgresTarget, pg_database: str) -> None:
    await run(
        pg_database,
        "CREATE TYPE mood AS ENUM ('sad', 'glad')",
        "CREATE DOMAIN share AS numeric CHECK (VALUE BETWEEN 0 AND 1)",
        "CREATE TABLE parent (id serial PRIMARY KEY, feeling mood, part share NOT NULL, CHECK (id < 100))",
        'CREATE TABLE "Big Child" ("Id" int UNIQUE, parent int REFERENCES parent)',
        "INSERT INTO parent (feeling, part) VALUES ('sad', 0.5), (NULL, 1)",
        'INSERT INTO "Big Child" VALUES (1, 1), (NULL, NULL), (NULL, 2)',
    )
    found = await checked(target)
    assert {part.outcome for part in found.values()} == {Outcome.OK}, found
    assert found["rows"].numbers == {"tables": 2, "rows": 5}
    assert found["rows"].lines == ('public."Big Child": 3', "public.parent: 2")
    assert list(found) == ["rows", "constraints", "values", "foreign keys", "unique indexes", "sequences"]


async def test_rows_of_partitions_count_for_their_table_and_ours_for_none(
    target: PostgresTarget, pg_database: str
) -> None:
    await run(
        pg_database,
        "CREATE TABLE log (day int) PARTITION BY LIST (day)",
        "CREATE TABLE log_1 PARTITION OF log FOR VALUES IN (1)",
        "CREATE TABLE log_2 PARTITION OF log FOR VALUES IN (2)",
        "INSERT INTO log VALUES (1), (1), (2)",
        "CREATE SCHEMA watchdog",
        "CREATE TABLE watchdog.fence (a int)",
        "CREATE EXTENSION pg_stat_statements",
    )
    assert (await checked(target))["rows"].lines == ("public.log: 3",)


async def test_rows_that_break_constraints_which_were_never_validated_are_counted(
    target: PostgresTarget, pg_database: str
) -> None:
    await run(
        pg_database,
        "CREATE TABLE t (a int, b int)",
        "INSERT INTO t VALUES (-1, NULL), (-2, 1), (3, 1), (NULL, 1)",
        'ALTER TABLE t ADD CONSTRAINT "a is {positive} %" CHECK (a > 0) NOT VALID',
        "ALTER TABLE t ADD CONSTRAINT b_there NOT NULL b NOT VALID",
        "ALTER TABLE t ADD CONSTRAINT never CHECK (a > 1000) NOT ENFORCED",
    )
    part = (await checked(target))["constraints"]
    assert part.outcome is Outcome.FAILED
    assert part.lines == (
        "public.t: 1 rows break NOT NULL of b",
        "public.t: 2 rows break CHECK a is {positive} %",
    )


@pytest.mark.parametrize(
    ("since", "said"),
    [(160_000, "2 rows break"), (990_000, "at least 1 row breaks")],
    ids=["this server", "an older one"],
)
async def test_values_that_are_none_of_their_domain_are_counted(
    target: PostgresTarget, pg_database: str, monkeypatch: pytest.MonkeyPatch, since: int, said: str
) -> None:
    monkeypatch.setattr(tables, "SOFT_ERRORS", since)
    await run(
        pg_database,
        "CREATE DOMAIN share AS numeric",
        "CREATE TYPE mood AS ENUM ('sad')",
        "CREATE TABLE t (part share, feeling mood)",
        "INSERT INTO t VALUES (0.5, 'sad'), (7, NULL), (8, 'sad')",
        "ALTER DOMAIN share ADD CHECK (VALUE <= 1) NOT VALID",
    )
    part = (await checked(target))["values"]
    assert (part.outcome, part.lines) == (Outcome.FAILED, (f"public.t: {said} the type share of part",))


async def test_orphans_are_found_behind_a_foreign_key_that_says_it_is_valid(
    target: PostgresTarget, pg_database: str
) -> None:
    await run(
        pg_database,
        "CREATE TABLE parent (id int PRIMARY KEY)",
        "CREATE TABLE child (parent int REFERENCES parent)",
        "INSERT INTO parent VALUES (1), (2)",
        "INSERT INTO child VALUES (1), (2), (2)",
        "SET session_replication_role = replica",
        "DELETE FROM parent WHERE id = 2",
    )
    part = (await checked(target))["foreign keys"]
    assert part.outcome is Outcome.FAILED
    assert part.lines == ("public.child child_parent_fkey: 2 rows reference nothing",)


async def test_duplicates_under_an_invalid_unique_index_are_counted(target: PostgresTarget, pg_database: str) -> None:
    await run(
        pg_database,
        "CREATE TABLE t (a text, gone bool NOT NULL)",
        "INSERT INTO t VALUES ('x', false), ('X', false), ('y', false), ('y', true), (NULL, false), (NULL, false)",
    )
    with pytest.raises(psycopg.errors.UniqueViolation):
        await run(pg_database, "CREATE UNIQUE INDEX CONCURRENTLY once ON t (lower(a)) WHERE NOT gone")
    part = (await checked(target))["unique indexes"]
    assert part.outcome is Outcome.FAILED
    assert part.lines == ("public.once: is INVALID, 1 keys are there more than once; drop it and build it again",)


@pytest.mark.parametrize(
    "column", ["int GENERATED ALWAYS AS IDENTITY", "serial", "bigint DEFAULT nextval('counter')"], ids=str
)
async def test_a_sequence_behind_its_column_is_found(target: PostgresTarget, pg_database: str, column: str) -> None:
    await run(
        pg_database,
        "CREATE SEQUENCE counter",
        f"CREATE TABLE t (id {column})",
        "INSERT INTO t DEFAULT VALUES",
    )
    assert (await checked(target))["sequences"].outcome is Outcome.OK
    await run(pg_database, "INSERT INTO t OVERRIDING SYSTEM VALUE VALUES (2)")
    part = (await checked(target))["sequences"]
    assert part.outcome is Outcome.FAILED
    assert "is behind its column" in part.lines[0]


async def test_a_sequence_that_was_set_to_give_out_the_last_value_again_is_behind(
    target: PostgresTarget, pg_database: str
) -> None:
    await run(
        pg_database, "CREATE TABLE t (id serial)", "INSERT INTO t VALUES (5)", "SELECT setval('t_id_seq', 5, false)"
    )
    assert (await checked(target))["sequences"].outcome is Outcome.FAILED
    await run(pg_database, "SELECT setval('t_id_seq', 5, true)")
    assert (await checked(target))["sequences"].outcome is Outcome.OK


async def test_what_the_user_may_not_read_was_not_run_and_hides_no_finding(
    postgres_server: PostgresServer, pg_database: str
) -> None:
    await run(
        pg_database,
        "CREATE TABLE hidden (a int)",
        "CREATE TABLE policed (a int)",
        "CREATE TABLE seen (a int)",
        "INSERT INTO seen VALUES (-1)",
        "ALTER TABLE seen ADD CONSTRAINT positive CHECK (a > 0) NOT VALID",
        "ALTER TABLE policed ENABLE ROW LEVEL SECURITY",
        "DO $$ BEGIN CREATE ROLE reader LOGIN PASSWORD 'reader'; EXCEPTION WHEN duplicate_object THEN END $$",
        "GRANT SELECT ON seen, policed TO reader",
    )
    name = pg_database.rpartition("/")[2]
    url = Plain(postgres_server.url(name, "reader", "reader"))
    target = PostgresTarget("db", PostgresOptions(url=url))
    try:
        found = await checked(target)
    finally:
        await target.close()
    assert found["rows"].outcome is Outcome.NOT_RUN
    assert [line.partition(":")[0] for line in found["rows"].lines] == ["public.hidden", "public.policed"]
    assert found["rows"].numbers["rows"] == 1
    assert found["constraints"].outcome is Outcome.FAILED
    assert found["constraints"].lines[0] == "public.seen: 1 rows break CHECK positive"
    assert found["values"].outcome is Outcome.NOT_RUN


async def test_a_statement_that_takes_too_long_is_given_up(target: PostgresTarget, pg_database: str) -> None:
    await run(
        pg_database,
        "CREATE FUNCTION slow(int) RETURNS bool LANGUAGE sql AS 'SELECT pg_sleep(30) IS NOT NULL'",
        "CREATE TABLE t (a int)",
        "INSERT INTO t VALUES (1)",
        "ALTER TABLE t ADD CHECK (slow(a)) NOT VALID",
    )
    found = await collect(deep_check("db", target, 300 * MILLISECOND))
    assert found["db: rows"].outcome is Outcome.NOT_RUN
    assert "57014" in found["db: rows"].lines[0]


async def test_a_server_that_does_not_answer_ends_the_check() -> None:
    target = PostgresTarget("db", PostgresOptions(url=Plain("postgresql://u@127.0.0.1:1/x")))
    found = await collect(deep_check("db", target, MINUTE))
    assert list(found) == ["db: rows"]
    assert "does not answer" in found["db: rows"].detail
