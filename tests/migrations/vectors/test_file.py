import pytest

from watchdog.migrations.vectors.file import Fill, Index, NewColumn, Recall, read_migration
from watchdog.migrations.yaml_file import FileError

FULL = """\
version: 1
table: shop.docs
key: id
column: embedding
new: {column: embedding_v2, dimensions: 1536, type: halfvec}
fill: {sql: "embedding::halfvec(1536)"}
index: {method: hnsw, operators: halfvec_cosine_ops, with: {m: 16, ef_construction: 64}}
recall: {k: 20, queries: 50, not_worse_by: 0.02, settings: {hnsw.ef_search: 100}}
switch: none
refill: {command: [python, again.py]}
"""


def test_a_file_is_read_as_it_is_written() -> None:
    read = read_migration(FULL)
    assert (read.table, read.key, read.column, read.switch) == ("shop.docs", "id", "embedding", "none")
    assert read.new == NewColumn("embedding_v2", 1536, "halfvec")
    assert (read.fill, read.refill) == (Fill("embedding::halfvec(1536)"), Fill("", ("python", "again.py")))
    assert read.index == Index("hnsw", "halfvec_cosine_ops", {"m": "16", "ef_construction": "64"})
    assert read.recall == Recall(20, 50, "", 0.02, {"hnsw.ef_search": "100"})


def test_what_is_left_out_has_a_value() -> None:
    read = read_migration("version: 1\ntable: docs\ncolumn: e\nnew: {dimensions: 3}\n")
    assert read.new == NewColumn("e_new", 3, "vector")
    assert (read.key, read.fill, read.index, read.switch) == ("id", Fill(), None, "rename")
    assert read.recall == Recall(10, 100, "", 0.01)


def changed(name: str, line: str) -> str:
    return "".join(f"{line}\n" if each.startswith(f"{name}:") else f"{each}\n" for each in FULL.splitlines())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (changed("table", "table: a.b.c"), "migration:2: table: must be `table` or `schema.table`"),
        (changed("column", "column: embedding_v2"), "migration:5: new.column: is the old column"),
        (changed("new", "new: {column: e, dimensions: 0}"), "new.dimensions: must be a whole number from 1 to 16,000"),
        (changed("new", "new: {column: e, dimensions: 9, type: sparsevec}"), "new.type: `sparsevec` is unknown"),
        (changed("new", "new: {column: e, dimensions: 4001, type: halfvec}"), "an index holds 4,000 dimensions"),
        (changed("fill", "fill: {sql: 'a; DROP TABLE b'}"), "fill.sql: is no SQL expression"),
        (changed("fill", "fill: {sql: '1); DROP TABLE b; SELECT (1'}"), "fill.sql: must be one expression"),
        (changed("fill", "fill: {}"), "fill: write one of sql and command"),
        (changed("fill", "fill: later"), "fill: write {sql: EXPRESSION}"),
        (changed("index", "index: {operators: vector_cosine_ops}"), "are for vector; write halfvec_cosine_ops"),
        (changed("index", "index: {operators: text_ops}"), "must be an operator class of pgvector"),
        (changed("index", "index: {operators: halfvec_l2_ops, with: {m: '1) --'}}"), "must be options of the index"),
        (changed("index", "index: {method: gin, operators: halfvec_l2_ops}"), "`gin` is unknown; write one of hnsw"),
        (changed("recall", "recall: {settings: {search_path: x}}"), "must be settings of pgvector"),
        (changed("recall", "recall: {not_worse_by: 2}"), "not_worse_by: must be a share from 0 to 1"),
        (changed("switch", "switch: renam"), "`renam` is unknown; write `rename`"),
        (changed("new", ""), "fill: is for a new column"),
        ("version: 1\ntable: a\ncolumn: b\n", "write `new:` for a new column, or `index:` for a new index"),
        (changed("key", f"key: {'k' * 41}"), "must be a name of at most 40 bytes"),
    ],
)
def test_what_is_wrong_is_said(text: str, says: str) -> None:
    with pytest.raises(FileError) as caught:
        read_migration(text)
    assert says in str(caught.value)
