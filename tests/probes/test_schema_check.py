from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from watchdog.model.signals import Cause, Missing, SignalKind
from watchdog.ports.probes import Probe
from watchdog.probes.schema_check import KIND, SchemaCheckOptions, SchemaCheckRead
from watchdog.targets.postgres import PostgresTarget

Build = Callable[..., Probe]
Connection = psycopg.AsyncConnection[Any]


async def read_one(build: Build, target: PostgresTarget, **read: Any) -> Any:
    return (await build(KIND, target, {"check": SchemaCheckRead(**read)}).read())["check"][()]


async def run(admin: Connection, statements: str) -> None:
    for statement in statements.split(";\n"):
        await admin.execute(statement.encode())


async def test_constraints_that_were_never_validated_are_counted(
    build: Build, pg_target: PostgresTarget, admin: Connection
) -> None:
    await run(
        admin,
        "CREATE TABLE t (a int CHECK (a > 0), b int);\n"
        "ALTER TABLE t ADD CONSTRAINT later CHECK (b > 0) NOT VALID;\n"
        "ALTER TABLE t ADD CONSTRAINT never CHECK (b > 1) NOT ENFORCED",
    )
    assert await read_one(build, pg_target, of="constraints_not_validated") == 1
    await admin.execute("ALTER TABLE t VALIDATE CONSTRAINT later")
    assert await read_one(build, pg_target, of="constraints_not_validated") == 0


async def test_an_index_whose_build_failed_is_counted(
    build: Build, pg_target: PostgresTarget, admin: Connection
) -> None:
    await run(admin, "CREATE TABLE t (a int);\nINSERT INTO t VALUES (1), (1);\nCREATE INDEX good ON t (a)")
    assert await read_one(build, pg_target, of="invalid_indexes") == 0
    with pytest.raises(psycopg.errors.UniqueViolation):
        await admin.execute("CREATE UNIQUE INDEX CONCURRENTLY bad ON t (a)")
    assert await read_one(build, pg_target, of="invalid_indexes") == 1


async def test_indexes_that_nobody_reads_are_counted_unless_they_enforce_something(
    build: Build, pg_target: PostgresTarget, admin: Connection
) -> None:
    await run(
        admin,
        "CREATE TABLE t (id int PRIMARY KEY, a int, b int);\n"
        "CREATE INDEX t_a ON t (a);\nCREATE INDEX t_b ON t (b);\n"
        "SET enable_seqscan = off;\nSELECT * FROM t WHERE a = 1;\nSELECT pg_stat_force_next_flush()",
    )
    assert await read_one(build, pg_target, of="unused_indexes") == 1
    assert await read_one(build, pg_target, of="unused_indexes", objects=("t_a",)) == 0
    assert await read_one(build, pg_target, of="unused_indexes", objects=("public.t_b", "t_pkey")) == 2


async def test_versions_that_were_not_recorded_are_counted(
    build: Build, pg_target: PostgresTarget, admin: Connection
) -> None:
    await run(admin, "CREATE TABLE schema_versions (version text);\nINSERT INTO schema_versions VALUES ('one')")
    assert await read_one(build, pg_target, of="schema_version_missing", versions=("one",)) == 0
    assert await read_one(build, pg_target, of="schema_version_missing", versions=("one", "two", "three")) == 2
    answer = await read_one(build, pg_target, of="schema_version_missing", versions=("one",), table="public.versions")
    assert isinstance(answer, Missing)
    assert answer.cause is Cause.PROBE_BROKEN
    assert 'relation "public.versions" does not exist' in answer.detail


async def test_objects_that_are_not_there_are_counted(
    build: Build, pg_target: PostgresTarget, admin: Connection
) -> None:
    await run(
        admin,
        "CREATE SCHEMA other;\nCREATE TABLE other.hidden (a int);\nCREATE TABLE t (a int, b int);\n"
        "CREATE INDEX t_a ON t (a);\nALTER TABLE t DROP COLUMN b",
    )
    there = ("t", "public.t", "t_a", "public.t.a", "other.hidden")
    assert await read_one(build, pg_target, of="missing_objects", objects=there) == 0
    gone = ("hidden", "other.t", "public.t.b", "public.t.ctid", "T")
    assert await read_one(build, pg_target, of="missing_objects", objects=there + gone) == 5


async def test_rows_without_their_referenced_row_are_counted_over_foreign_keys_that_are_not_valid(
    build: Build, pg_target: PostgresTarget, admin: Connection
) -> None:
    await run(
        admin,
        "CREATE TABLE parent (id int PRIMARY KEY);\nINSERT INTO parent VALUES (1);\n"
        "CREATE TABLE child (parent_id int);\nINSERT INTO child VALUES (1), (NULL), (2), (3);\n"
        "ALTER TABLE child ADD FOREIGN KEY (parent_id) REFERENCES parent NOT VALID",
    )
    assert await read_one(build, pg_target, of="foreign_key_orphans") == 2
    await run(
        admin, "DELETE FROM child WHERE parent_id > 1;\nALTER TABLE child VALIDATE CONSTRAINT child_parent_id_fkey"
    )
    assert await read_one(build, pg_target, of="foreign_key_orphans", constraints="all") == 0
    await run(admin, "SET session_replication_role = replica;\nDELETE FROM parent")
    assert await read_one(build, pg_target, of="foreign_key_orphans") == 0
    assert await read_one(build, pg_target, of="foreign_key_orphans", constraints="all") == 1


async def test_partitions_composite_keys_and_names_that_need_quotes_are_covered(
    build: Build, pg_target: PostgresTarget, admin: Connection
) -> None:
    await run(
        admin,
        'CREATE TABLE "Big Parent" ("Key" int, part int, PRIMARY KEY ("Key", part)) PARTITION BY LIST (part);\n'
        'CREATE TABLE p1 PARTITION OF "Big Parent" FOR VALUES IN (1);\n'
        'INSERT INTO "Big Parent" VALUES (1, 1);\n'
        "CREATE TABLE child (a int, b int) PARTITION BY LIST (b);\n"
        "CREATE TABLE c1 PARTITION OF child FOR VALUES IN (1, NULL);\n"
        'ALTER TABLE child ADD FOREIGN KEY (a, b) REFERENCES "Big Parent";\n'
        "CREATE TABLE fully (a int, b int);\n"
        'ALTER TABLE fully ADD FOREIGN KEY (a, b) REFERENCES "Big Parent" MATCH FULL;\n'
        "SET session_replication_role = replica;\n"
        "INSERT INTO child VALUES (1, 1), (2, 1), (3, NULL);\n"
        "INSERT INTO fully VALUES (1, 1), (2, 1), (3, NULL), (NULL, NULL)",
    )
    assert await read_one(build, pg_target, of="foreign_key_orphans", constraints="all") == 1 + 2


async def test_only_the_schemas_that_are_named_are_looked_at(
    build: Build, pg_target: PostgresTarget, admin: Connection
) -> None:
    await run(
        admin, "CREATE SCHEMA other;\nCREATE TABLE other.t (a int);\nALTER TABLE other.t ADD CHECK (a > 0) NOT VALID"
    )
    reads = {"check": SchemaCheckRead(of="constraints_not_validated")}
    assert await build(KIND, pg_target, reads).read() == {"check": {(): 0.0}}
    assert await build(KIND, pg_target, reads, schemas=("public", "other")).read() == {"check": {(): 1.0}}


def test_options_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="needs versions"):
        SchemaCheckRead(of="schema_version_missing")
    with pytest.raises(ValueError, match="needs objects"):
        SchemaCheckRead(of="missing_objects")
    with pytest.raises(ValueError, match="is no name"):
        SchemaCheckRead(of="missing_objects", objects=("a.b.c.d",))
    with pytest.raises(ValueError, match="is no table"):
        SchemaCheckRead(of="schema_version_missing", versions=("1",), table="a..b")
    with pytest.raises(ValueError, match="at least one schema"):
        SchemaCheckOptions(schemas=())
    assert KIND.signal_kind(SchemaCheckRead(of="invalid_indexes")) is SignalKind.CHECK
