"""What the command line says of vectors."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.migrations.vectors.conftest import TABLE
from tests.support.archives import sql
from watchdog.cli.migration_vectors import (
    VectorsError,
    apply_to_vectors,
    is_run_of_vectors,
    is_vectors,
    refuse_options,
    runs_of_vectors,
    say_runs_of_vectors,
    settle_on_vectors,
    take_back_from_vectors,
)

FILE = """\
version: 1
table: shop.docs
column: embedding
new: {column: embedding_v2, dimensions: 8}
fill: {sql: "subvector(embedding, 1, 8)"}
index: {operators: vector_l2_ops}
recall: {k: 3, queries: 5, not_worse_by: 1}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "docs.vectors.yaml"
    path.write_text(FILE)
    return path


def test_each_verb_says_what_it_did(pg_database: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(sql(pg_database, TABLE))
    assert runs_of_vectors(pg_database) == ()
    apply_to_vectors(pg_database, file, name="smaller", release="r1", as_json=False)
    said = capsys.readouterr().out
    assert said.startswith("run 1 is applied")
    assert "recall was 1.0000" in said
    assert "600 rows got a vector" in said
    assert "kept until it is settled: embedding_before_1" in said
    say_runs_of_vectors(runs_of_vectors(pg_database))
    assert "smaller (r1)" in capsys.readouterr().out
    later = "INSERT INTO shop.docs (id, body, embedding) VALUES (999, 'x', '[1,1,1,1,1,1,1,1]')"
    asyncio.run(sql(pg_database, later))
    assert is_run_of_vectors(pg_database, 1)
    take_back_from_vectors(pg_database, 1, as_json=False)
    said = capsys.readouterr().out
    assert "1 rows were written since; their keys and new vectors are in watchdog.run_1_vectors" in said
    assert "not NOT NULL any more" in said


def test_each_verb_says_it_as_json(pg_database: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(sql(pg_database, TABLE))
    apply_to_vectors(pg_database, file, name="", release="", as_json=True)
    assert json.loads(capsys.readouterr().out)["switched"] is True
    assert [one.state for one in runs_of_vectors(pg_database)] == ["applied"]
    take_back_from_vectors(pg_database, 1, as_json=True)
    assert json.loads(capsys.readouterr().out)["later"] == 0
    settle_on_vectors(pg_database, 1, as_json=True)
    assert json.loads(capsys.readouterr().out)["state"] == "rolled back"
    apply_to_vectors(pg_database, file, name="", release="", as_json=True)
    capsys.readouterr()
    settle_on_vectors(pg_database, 2, as_json=False)
    assert capsys.readouterr().out == "run 2 is settled; dropped: embedding_before_2\n"


def test_files_and_options_of_others_are_told_apart() -> None:
    assert is_vectors(Path("a/docs.vectors.yaml"))
    assert not is_vectors(Path("a/docs.yaml"))
    with pytest.raises(VectorsError, match="--defer: only for SQL scripts"):
        refuse_options(defer=True, budget=None)
