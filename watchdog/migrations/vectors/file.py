"""A migration of vectors as a file: the new column or index, how it is filled, and how good it must be."""

import re
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from watchdog.migrations.parser import SqlSyntaxError, tree_of
from watchdog.migrations.yaml_file import Section, parse

Type: TypeAlias = Literal["vector", "halfvec"]
Method: TypeAlias = Literal["hnsw", "ivfflat"]
Switch: TypeAlias = Literal["rename", "none"]

OPERATORS: Final = {"l2": "<->", "ip": "<#>", "cosine": "<=>", "l1": "<+>"}
"""How far two vectors are apart, by the word in the name of an operator class."""

_TYPES: Final[tuple[Type, ...]] = ("vector", "halfvec")
_METHODS: Final[tuple[Method, ...]] = ("hnsw", "ivfflat")
_SWITCHES: Final[tuple[Switch, ...]] = ("rename", "none")
_MOST_DIMENSIONS: Final = 16_000
_INDEXED: Final[dict[Type, int]] = {"vector": 2_000, "halfvec": 4_000}
_LONGEST_NAME: Final = 40  # the longest name that we make of it must fit in PostgreSQL's 63 bytes
_CLASS: Final = re.compile(r"(vector|halfvec)_(l2|ip|cosine|l1)_ops")


@dataclass(frozen=True)
class Fill:
    """Where values come from: an SQL expression over a row's columns, a command, or, with neither, the application."""

    sql: str = ""
    command: tuple[str, ...] = ()

    @property
    def is_ours(self) -> bool:
        """Whether we fill it."""
        return bool(self.sql or self.command)


@dataclass(frozen=True)
class NewColumn:
    """A column beside the old one."""

    column: str
    dimensions: int
    type: Type


@dataclass(frozen=True)
class Index:
    """An index.

    Attributes:
        operators: The operator class, such as `vector_cosine_ops`.
        options: Of the index, such as `m`.
    """

    method: Method
    operators: str
    options: dict[str, str] = field(default_factory=dict)

    @property
    def distance(self) -> str:
        """A key of `OPERATORS`."""
        return self.operators.split("_")[1]


@dataclass(frozen=True)
class Recall:
    """How good the new must be.

    Attributes:
        k: How many neighbours are looked for.
        queries: How many rows are sampled as queries.
        sql: Gives the queries instead: a vector a row; with a new column two, in the old space and in the new.
        not_worse_by: By how much the share of true neighbours may fall.
        settings: Of the session that searches, such as `hnsw.ef_search`; for old and new alike.
    """

    k: int
    queries: int
    sql: str
    not_worse_by: float
    settings: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class VectorMigration:
    """A whole file.

    Attributes:
        new: The new column; None when only the index changes.
        switch: `rename` gives the new column the old one's name.
        refill: Gives rows that were written after the switch an old vector again, after a rollback.
    """

    text: str
    table: str
    key: str
    column: str
    new: NewColumn | None
    fill: Fill
    index: Index | None
    recall: Recall
    switch: Switch
    refill: Fill


def read_migration(text: str, file: str = "migration") -> VectorMigration:
    """Reads a file.

    Raises:
        FileError: With everything that is wrong, each with its line.
    """
    top, problems = parse(text, file)
    table = top.text("table")
    if table and not re.fullmatch(r"[^.\"]+(\.[^.\"]+)?", table):
        top.complain("table", "must be `table` or `schema.table`")
    column = _name(top, "column")
    new = _new(top.section("new"), column) if top.has("new") else None
    fill = _fill(top, "fill")
    index = _index(top.section("index"), new) if top.has("index") else None
    if new is None:
        for name in ("fill", "switch", "refill"):
            if top.has(name):
                top.complain(name, "is for a new column; leave it out, or write `new:`")
        if index is None:
            top.complain("", "write `new:` for a new column, or `index:` for a new index")
    recall = _recall(top.section("recall") if top.has("recall") else None)
    switch = top.choice("switch", _SWITCHES, "rename")
    migration = VectorMigration(
        text, table, _name(top, "key", "id"), column, new, fill, index, recall, switch, _fill(top, "refill")
    )
    top.finish()
    problems.finish()
    return migration


def _name(section: Section, name: str, default: str | None = None) -> str:
    text = section.text(name, default)
    if len(text.encode()) > _LONGEST_NAME or "\0" in text:
        section.complain(name, f"must be a name of at most {_LONGEST_NAME} bytes")
    return text


def _new(section: Section, column: str) -> NewColumn:
    new = NewColumn(
        _name(section, "column", f"{column}_new"),
        section.whole("dimensions", None, least=1, most=_MOST_DIMENSIONS),
        section.choice("type", _TYPES, "vector"),
    )
    if new.column == column:
        section.complain("column", "is the old column; write another name")
    section.finish()
    return new


def _index(section: Section, new: NewColumn | None) -> Index:
    method = section.choice("method", _METHODS, "hnsw")
    operators = section.text("operators")
    options = section.pairs("with")
    found = _CLASS.fullmatch(operators)
    if operators and not found:
        section.complain("operators", "must be an operator class of pgvector, as vector_cosine_ops or halfvec_l2_ops")
        operators = "vector_l2_ops"
    elif found and new:
        if found[1] != new.type:
            section.complain("operators", f"are for {found[1]}; write {new.type}_{found[2]}_ops")
        elif new.dimensions > _INDEXED[new.type]:
            most = f"an index holds {_INDEXED[new.type]:,} dimensions of {new.type}"
            section.complain("method", f"{most}; write `type: halfvec` (4,000), or less")
    if any(
        not re.fullmatch(r"\w{1,40}", name) or not re.fullmatch(r"\w{1,40}", value) for name, value in options.items()
    ):
        section.complain("with", "must be options of the index, as {m: 16, ef_construction: 64}")
        options = {}
    section.finish()
    return Index(method, operators or "vector_l2_ops", options)


def _fill(top: Section, name: str) -> Fill:
    if not top.is_mapping(name):
        if top.text(name, "none") != "none":
            top.complain(name, "write {sql: EXPRESSION}, {command: [PROGRAM, …]} or none")
        return Fill()
    section = top.section(name)
    fill = Fill(section.text("sql", ""), section.texts("command"))
    if bool(fill.sql) is bool(fill.command):
        section.complain("", "write one of sql and command")
    if fill.sql:
        try:
            parsed = tree_of(f"SELECT ({fill.sql}\n)")
            if len(parsed.stmts) != 1:
                section.complain("sql", "must be one expression over the columns of a row")
        except SqlSyntaxError:
            section.complain("sql", "is no SQL expression; write one as `left(body, 100)::vector`")
    section.finish()
    return fill


def _recall(section: Section | None) -> Recall:
    if section is None:
        return Recall(10, 100, "", 0.01)
    settings = section.pairs("settings")
    if any(not re.fullmatch(r"(hnsw|ivfflat)\.\w{1,40}", name) for name in settings):
        section.complain("settings", "must be settings of pgvector, as {hnsw.ef_search: 100}")
        settings = {}
    recall = Recall(
        section.whole("k", 10, least=1, most=1_000),
        section.whole("queries", 100, least=1, most=10_000),
        section.text("sql", ""),
        section.ratio("not_worse_by", 0.01),
        settings,
    )
    section.finish()
    return recall
