"""Indexes."""

from collections.abc import Iterator
from typing import Any

from watchdog.migrations.assess.locks import KINDS, LockMode, Work
from watchdog.migrations.assess.scene import Scene
from watchdog.migrations.assess.sqltext import copy, quoted, said, sql
from watchdog.migrations.assess.values import Category, Finding, Lock, Severity
from watchdog.migrations.parser import postgast, tree
from watchdog.migrations.sql import Table


def create_index(scene: Scene, node: Any) -> Iterator[Finding]:
    """Writes wait while it is built, unless CONCURRENTLY."""
    table = scene.table(node.relation)
    here = said(table)
    if node.idxname:
        scene.known.indexes[table[0], node.idxname] = table
    relation = scene.relation(table)
    if node.concurrent:
        yield scene.change(
            "create-index-concurrently",
            "CREATE INDEX CONCURRENTLY",
            table,
            f"an index of {here} is built while reads and writes go on; if it fails, an INVALID index stays behind",
            category=Category.INDEX,
        )
        if node.if_not_exists:
            message = "IF NOT EXISTS is content with the INVALID index that an earlier try has left; drop that first"
            yield scene.note("invalid-index", Severity.LOW, message, category=Category.INDEX, table=table)
        if relation and relation.partitioned:
            message = f"{here} is partitioned: CONCURRENTLY fails with 0A000"
            safe = _by_partition(node, table)
            yield scene.note("partitioned", Severity.HIGH, message, category=Category.INDEX, table=table, safe=safe)
    else:
        partitioned = bool(relation and relation.partitioned)
        only = not node.relation.inh and (partitioned or relation is None)
        yield scene.change(
            "create-index",
            "CREATE INDEX ON ONLY" if only else "CREATE INDEX",
            table,
            f"an index of {here} is made " + ("without its partitions" if only else "while every write waits"),
            category=Category.INDEX,
            safe=""
            if only or scene.is_fresh(table)
            else _by_partition(node, table)
            if partitioned
            else _concurrently(node),
        )
    if node.unique and not scene.is_fresh(table):
        message = f"duplicates in {here} make it fail with 23505, and from then on those that old code writes"
        yield scene.note("unique-index", Severity.LOW, message, category=Category.DATA, table=table)


def _concurrently(node: Any) -> str:
    other = copy(node)
    other.concurrent = True
    return f"{sql(other)}  -- outside a transaction"


def _by_partition(node: Any, table: Table) -> str:
    only, each = copy(node), copy(node)
    only.relation.inh, only.concurrent = False, False
    each.relation.relname, each.relation.inh, each.concurrent = f"{table[1]}_partition", True, True
    index = quoted(node.idxname or f"{table[1]}_idx")
    only.idxname = node.idxname or f"{table[1]}_idx"
    each.idxname = f"{table[1]}_partition_idx"
    return (
        f"{sql(only)}\n{sql(each)}  -- for each partition\nALTER INDEX {index} ATTACH PARTITION {quoted(each.idxname)};"
    )


def drop_index(scene: Scene, node: Any, index: Table) -> Iterator[Finding]:
    """Gone in an instant; building it again takes long."""
    table = scene.known.indexes.get(index) or scene.facts.indexes.get(index)
    fresh = table is not None and scene.is_fresh(table)
    mode = KINDS["DROP INDEX CONCURRENTLY" if node.concurrent else "DROP INDEX"].mode
    locked = (index, table) if table else (index,)
    where = f" of {said(table)}" if table else ""
    yield scene.note(
        "drop-index",
        Severity.INFO if fresh else Severity.LOW if node.concurrent else Severity.MEDIUM,
        f"index {said(index)}{where} is dropped; queries that used it read the whole table"
        + ("" if node.concurrent else ", and reads and writes of the table wait for a moment"),
        category=Category.INDEX,
        table=table,
        locks=tuple(Lock(".".join(each), mode) for each in locked),
        safe="" if node.concurrent or fresh else f"DROP INDEX CONCURRENTLY {said(index)};  -- outside a transaction",
    )


def reindex(scene: Scene, node: Any) -> Iterator[Finding]:
    """An index is built again."""
    concurrent = "concurrently" in {postgast.unwrap_node(each).defname for each in node.params}
    kind = "REINDEX CONCURRENTLY" if concurrent else "REINDEX"
    if not node.HasField("relation"):
        message = "every index there is built again while writes wait, and reads that need them"
        severity = Severity.MEDIUM if concurrent else Severity.CRITICAL
        yield scene.note("reindex", severity, message, category=Category.INDEX)
        return
    named = scene.table(node.relation)
    is_index = node.kind == tree.REINDEX_OBJECT_INDEX
    table = (scene.known.indexes.get(named) or scene.facts.indexes.get(named)) if is_index else named
    own = (Lock(".".join(named), LockMode.ACCESS_EXCLUSIVE),) if is_index and not concurrent else ()
    done = "while reads and writes go on" if concurrent else "while writes wait, and reads that need it"
    message = f"{said(named)} is indexed again {done}" if not is_index else f"index {said(named)} is built again {done}"
    safe = "" if concurrent else f"REINDEX {'INDEX' if is_index else 'TABLE'} CONCURRENTLY {said(named)};"
    if table is None:
        severity = Severity.INFO if concurrent else Severity.HIGH
        yield scene.note(
            "reindex", severity, message, category=Category.INDEX, work=Work.INDEX, seconds=None, locks=own, safe=safe
        )
    else:
        yield scene.change("reindex", kind, table, message, category=Category.INDEX, others=own, safe=safe)


def cluster(scene: Scene, node: Any) -> Iterator[Finding]:
    """CLUSTER."""
    if not node.HasField("relation"):
        message = "every table that was clustered before is rewritten while nobody may read or write it"
        yield scene.note("cluster", Severity.CRITICAL, message, category=Category.INDEX)
        return
    table = scene.table(node.relation)
    message = f"{said(table)} is rewritten in the order of an index while nobody may read or write it"
    yield scene.change("cluster", "CLUSTER", table, message, category=Category.INDEX)


def vacuum(scene: Scene, node: Any) -> Iterator[Finding]:
    """VACUUM and ANALYZE."""
    options = {postgast.unwrap_node(each).defname for each in node.options}
    kind = "VACUUM FULL" if "full" in options else "VACUUM" if node.is_vacuumcmd else "ANALYZE"
    tables = [scene.table(postgast.unwrap_node(each).relation) for each in node.rels]
    waits = "is rewritten while nobody may read or write it" if kind == "VACUUM FULL" else "is read; nobody waits"
    for table in tables:
        yield scene.change("vacuum", kind, table, f"{said(table)} {waits}", category=Category.INDEX)
    if not tables:
        severity = Severity.CRITICAL if kind == "VACUUM FULL" else Severity.INFO
        yield scene.note("vacuum", severity, f"every table {waits}", category=Category.INDEX)


def statistics(scene: Scene, node: Any) -> Iterator[Finding]:
    """CREATE STATISTICS."""
    for each in node.relations:
        table = scene.table(postgast.unwrap_node(each))
        message = f"statistics of {said(table)} are kept from the next ANALYZE on"
        yield scene.change("create-statistics", "CREATE STATISTICS", table, message, category=Category.INDEX)


def refresh(scene: Scene, node: Any) -> Iterator[Finding]:
    """REFRESH MATERIALIZED VIEW."""
    view = scene.table(node.relation)
    kind = "REFRESH MATERIALIZED VIEW" + (" CONCURRENTLY" if node.concurrent else "")
    message = f"{said(view)} is made again" + (" while reads go on" if node.concurrent else " while every read waits")
    safe = "" if node.concurrent else f"REFRESH MATERIALIZED VIEW CONCURRENTLY {said(view)};  -- needs a unique index"
    severity = Severity.LOW if node.concurrent else None
    yield scene.change("refresh", kind, view, message, category=Category.DATA, severity=severity, safe=safe)
