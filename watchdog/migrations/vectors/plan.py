"""What a run of vectors works on, as it stands in the database, and the SQL names of it."""

from collections.abc import Iterator
from dataclasses import dataclass

from psycopg import sql

from watchdog.migrations.session import RefusedError
from watchdog.migrations.shape import Connection
from watchdog.migrations.vectors.file import OPERATORS, VectorMigration

_TABLE = """
    SELECT c.oid, n.nspname, c.relname, c.relkind, n2.nspname,
           EXISTS (SELECT FROM pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_extension e ON e.extname = 'vector' LEFT JOIN pg_namespace n2 ON n2.oid = e.extnamespace
    WHERE c.oid = to_regclass(%s)
"""
_COLUMNS = """
    SELECT a.attname, a.attnum, t.typname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
           EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique AND i.indisvalid
                     AND i.indpred IS NULL AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum)
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
"""
_INDEXES = """
    SELECT x.relname, o.opcname FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
    JOIN pg_am m ON m.oid = x.relam JOIN pg_opclass o ON o.oid = i.indclass[0]
    WHERE i.indrelid = %s AND m.amname IN ('hnsw', 'ivfflat') AND i.indkey[0] = %s AND i.indisvalid ORDER BY 1
"""
# What knows the column by its number would go on with the old one after a rename.
_KNOWN_TO = """
    SELECT DISTINCT pg_describe_object(d.classid, d.objid, 0) FROM pg_depend d
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = %(table)s AND d.refobjsubid = %(column)s
      AND d.classid <> 'pg_class'::regclass
      AND NOT EXISTS (SELECT FROM pg_constraint c WHERE d.classid = 'pg_constraint'::regclass AND c.oid = d.objid
                        AND c.contype = 'n')
    UNION SELECT 'publication ' || p.pubname FROM pg_publication_tables p, pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = %(table)s AND p.schemaname = n.nspname AND p.tablename = c.relname
    UNION SELECT 'privileges on the column' FROM pg_attribute
    WHERE attrelid = %(table)s AND attnum = %(column)s AND attacl IS NOT NULL
"""


@dataclass(frozen=True)
class Plan:
    """Recorded with the run, so that its rollback needs no file.

    Attributes:
        types: The schema of the extension.
        new: The new column, as it is called beside the old one; the old column itself when only the index changes.
        kept: What the old column is called after the switch.
        index: The new index; nothing when there is none.
        old_indexes: Of the same column, for vectors, before.
        old_distance: What the old index, or else the new one, measures.
        new_type: With its dimensions.
        key_type: Of the key.
        not_null: Whether the old column was.
    """

    schema: str
    table: str
    types: str
    key: str
    key_type: str
    column: str
    new: str
    kept: str
    new_type: str
    index: str
    old_indexes: tuple[str, ...]
    old_distance: str
    new_distance: str
    not_null: bool
    rename: bool

    @property
    def has_column(self) -> bool:
        """Whether there is a new column, and not only an index."""
        return self.new != self.column

    @property
    def relation(self) -> sql.Identifier:
        """The table."""
        return sql.Identifier(self.schema, self.table)

    @property
    def names(self) -> dict[str, sql.Composable]:
        """For `sql.SQL.format`: table, key, old, new, kept, types."""
        return {
            "table": self.relation,
            "key": sql.Identifier(self.key),
            "old": sql.Identifier(self.column),
            "new": sql.Identifier(self.new),
            "kept": sql.Identifier(self.kept),
            "types": sql.Identifier(self.types),
        }

    def of_schema(self, name: str) -> sql.Identifier:
        """An index of the table's schema."""
        return sql.Identifier(self.schema, name)

    def operator(self, distance: str) -> sql.Composable:
        """The operator of a distance, wherever the extension is."""
        return sql.SQL("OPERATOR({}.{})").format(sql.Identifier(self.types), sql.SQL(OPERATORS[distance]))


@dataclass(frozen=True)
class _Column:
    name: str
    number: int
    type: str
    exact: str
    not_null: bool
    unique: bool


async def plan(connection: Connection, migration: VectorMigration, run: int) -> Plan:
    """Looks at the table and decides on names.

    Raises:
        RefusedError: Something is missing, in the way, or would not see the switch.
    """
    found = await (await connection.execute(_TABLE, (quoted(migration.table),))).fetchone()
    if not found:
        raise RefusedError((f"there is no table {migration.table}",))
    oid, schema, table, kind, types, inherits = found
    columns = {row[0]: _Column(*row) for row in await (await connection.execute(_COLUMNS, (oid,))).fetchall()}
    wrong = [*_complaints(migration, columns, kind, types, inherits=inherits)]
    if wrong:
        raise RefusedError(tuple(wrong))
    old = columns[migration.column]
    indexes = await (await connection.execute(_INDEXES, (oid, old.number))).fetchall()
    if migration.new and migration.switch == "rename":
        rows = await (await connection.execute(_KNOWN_TO, {"table": oid, "column": old.number})).fetchall()
        if rows:
            raise RefusedError(tuple(f"{said} knows {old.name} and would not see the switch" for (said,) in rows))
    distance = indexes[0][1].split("_")[1] if indexes else ""
    if migration.index and any(name.split("_")[1] == migration.index.distance for _, name in indexes):
        distance = migration.index.distance
    new = migration.new
    return Plan(
        schema,
        table,
        types,
        migration.key,
        columns[migration.key].exact,
        old.name,
        new.column if new else old.name,
        f"{old.name}_before_{run}",
        f"{new.type}({new.dimensions})" if new else old.type,
        f"{table[:30]}_{(new.column if new else old.name)[:15]}_{run}" if migration.index else "",
        tuple(name for name, _ in indexes),
        distance,
        migration.index.distance if migration.index else distance,
        old.not_null,
        bool(new) and migration.switch == "rename",
    )


def quoted(table: str) -> str:
    """A table as the file names it, for `to_regclass`."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in table.split("."))


def _complaints(
    migration: VectorMigration, columns: dict[str, _Column], kind: str, types: str | None, *, inherits: bool
) -> Iterator[str]:
    if kind != "r" or inherits:
        yield f"{migration.table} is no ordinary table; name each partition, or the table that holds the rows"
    if types is None:
        yield "the extension vector is not there; CREATE EXTENSION vector"
    key, old = columns.get(migration.key), columns.get(migration.column)
    if key is None:
        yield f"{migration.table} has no column {migration.key}; write its key"
    elif not (key.not_null and key.unique):
        yield f"{migration.key} does not tell rows apart: it needs NOT NULL and a unique index of its own"
    if old is None:
        yield f"{migration.table} has no column {migration.column}"
        return
    if old.type not in {"vector", "halfvec"}:
        yield f"{migration.column} is {old.exact}, not vector or halfvec"
    elif migration.index and not migration.new and not migration.index.operators.startswith(f"{old.type}_"):
        yield f"{migration.column} is {old.exact}; write operators {old.type}_{migration.index.distance}_ops"
    if migration.new and migration.new.column in columns:
        yield f"{migration.table} has a column {migration.new.column} already; write another name"
