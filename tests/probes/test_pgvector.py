from collections.abc import Callable
from typing import Any, get_args

import psycopg
import pytest

from watchdog.model.signals import Cause, Missing, SignalKind
from watchdog.ports.probes import Probe
from watchdog.probes.pgvector import KIND, Of, PgvectorOptions, PgvectorRead
from watchdog.targets.postgres import PostgresTarget

Build = Callable[..., Probe]
Connection = psycopg.AsyncConnection[Any]

EVERYTHING = {of: PgvectorRead(of=of, dimensions=3) for of in get_args(Of)}
WHERE = {"table": "public.vectors", "key": "document_id", "rows_table": "documents"}


async def test_each_kind_of_damage_is_counted(build: Build, pg_target: PostgresTarget, admin: Connection) -> None:
    await admin.execute("CREATE EXTENSION vector")
    await admin.execute("CREATE TABLE documents (id int)")
    await admin.execute("CREATE TABLE vectors (document_id int, embedding vector)")
    await admin.execute("INSERT INTO documents SELECT generate_series(1, 6)")
    await admin.execute("INSERT INTO vectors SELECT id, '[1,2,3]' FROM documents")
    probe = build(KIND, pg_target, EVERYTHING, **WHERE)
    assert await probe.read() == {of: {(): 0.0} for of in EVERYTHING}
    await admin.execute("UPDATE vectors SET embedding = NULL WHERE document_id = 1")
    await admin.execute("UPDATE vectors SET embedding = '[1,2]' WHERE document_id IN (2, 3)")
    await admin.execute("DELETE FROM vectors WHERE document_id IN (4, 5)")
    await admin.execute("DELETE FROM documents WHERE id = 6")
    assert await probe.read() == {
        "nulls": {(): 1.0},
        "wrong_dimensions": {(): 2.0},
        "rows_without_vector": {(): 3.0},
        "vectors_without_row": {(): 1.0},
    }


async def test_a_column_that_is_no_vector_breaks_only_the_check_that_needs_one(
    build: Build, pg_target: PostgresTarget, admin: Connection
) -> None:
    await admin.execute("CREATE TABLE documents (id int)")
    await admin.execute("CREATE TABLE vectors (document_id int, embedding text)")
    readings = await build(KIND, pg_target, EVERYTHING, **WHERE).read()
    broken = readings["wrong_dimensions"][()]
    assert isinstance(broken, Missing)
    assert broken.cause is Cause.PROBE_BROKEN
    assert "vector_dims" in broken.detail
    assert readings["nulls"] == {(): 0.0}


def test_options_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="needs dimensions"):
        PgvectorRead(of="wrong_dimensions")
    with pytest.raises(ValueError, match="rows_table: '' is no table"):
        PgvectorOptions(table="vectors", rows_table="")
    assert KIND.signal_kind(PgvectorRead(of="nulls")) is SignalKind.CHECK
