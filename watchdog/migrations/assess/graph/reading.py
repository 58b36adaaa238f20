"""Rules about how a statement gets at what it writes, and what it holds meanwhile."""

import re
from collections.abc import Iterator
from typing import Final

from watchdog.migrations.assess.graph.effects import Kind
from watchdog.migrations.assess.graph.plan import LABELS, NAME, Operator, names, plain
from watchdog.migrations.assess.graph.view import BYTES, View, graded, pattern, quote_if_needed, said, seconds, worse
from watchdog.migrations.assess.locks import Work
from watchdog.migrations.assess.values import Category, Finding, Severity, Undo

_MANY: Final = 10_000
_FEW: Final = 1_000
_NODE: Final = re.compile(rf"(?P<name>{NAME}):(?P<labels>{LABELS})")
_TIE: Final = re.compile(rf"\[(?P<name>{NAME}):(?P<labels>{LABELS})\]")
_TEST: Final = r"(?:cache\[)?{name}\.(?P<key>{key})\]? (?:=|<|>|<=|>=|IN|STARTS WITH|CONTAINS|ENDS WITH) "
_PARAMETER: Final = re.compile(r"\$(?P<name>\w+)")


def reading(view: View) -> Iterator[Finding]:
    """Scans, missing indexes, products, and what is held in memory."""
    yield from _whole_scans(view)
    yield from _missing_indexes(view)
    yield from _products(view)
    yield from _eager(view)
    yield from _files(view)


def transactions(view: View) -> Iterator[Finding]:
    """How much one transaction holds, and what is committed on the way."""
    yield from _batches(view)
    yield from _memory(view)


def beyond(view: View) -> Iterator[Finding]:
    """What the plan does not show, or what nothing takes back."""
    for name in view.look.writers:
        message = f"CALL {name} writes what the plan does not show; apply compares the whole graph to find it"
        yield view.note("procedure-writes", Category.DATA, Severity.MEDIUM, message, undo=Undo.ARCHIVE)
    if view.look.writes and not (view.effects or view.look.writers or view.look.reasons):
        message = "it writes, and its plan does not say what; apply compares the whole graph to find it"
        yield view.note("unseen-write", Category.DATA, Severity.HIGH, message, undo=Undo.ARCHIVE)
    for name in sorted({found["name"] for found in _PARAMETER.finditer(view.look.statement.bare)}):
        message = f"the parameter ${name} has no value in a file, so it fails"
        yield view.note("parameter", Category.DATA, Severity.HIGH, message)


def _whole_scans(view: View) -> Iterator[Finding]:
    for operator in view.operators:
        relationship = operator.name.endswith("AllRelationshipsScan")
        if operator.name != "AllNodesScan" and not relationship:
            continue
        total = view.facts.count((), relationship=relationship)
        rows = max(operator.rows, total) if total else 0.0
        what = "relationship" if relationship else "node"
        yield view.work(
            f"all-{what}s-scan",
            Category.RELATIONSHIP if relationship else Category.INDEX,
            Work.SCAN,
            rows,
            f"it reads every {what} of the graph ({total:,}): no {'type' if relationship else 'label'} is named",
            safe=f"MATCH {pattern(['…'], 'r' if relationship else 'n', relationship=relationship)} …".replace("`", ""),
        )


def _missing_indexes(view: View) -> Iterator[Finding]:
    done = set[tuple[tuple[str, ...], str]]()
    for chosen in (each for each in view.operators if each.name == "Filter"):
        for scan in chosen.walk():
            found = _scanned(scan)
            if not found:
                continue
            name, labels, relationship = found
            test = re.search(_TEST.format(name=re.escape(name), key=NAME), chosen.details)
            if test and (labels, test["key"]) not in done:
                done.add((labels, test["key"]))
                yield from _missing(view, scan, labels, plain(test["key"]), relationship=relationship)


def _scanned(operator: Operator) -> tuple[str, tuple[str, ...], bool] | None:
    """The name that a scan gives its elements, their labels or type, and whether they are relationships."""
    if operator.name in {"NodeByLabelScan", "UnionNodeByLabelsScan"} and (found := _NODE.match(operator.details)):
        return found["name"], names(found["labels"]), False
    if operator.name.endswith("RelationshipTypeScan") and (found := _TIE.search(operator.details)):
        return found["name"], names(found["labels"]), True
    return None


def _missing(view: View, scan: Operator, labels: tuple[str, ...], key: str, *, relationship: bool) -> Iterator[Finding]:
    total = view.facts.count(labels, relationship=relationship)
    made = any(
        each.relationship == relationship and set(each.names) & set(labels) and key in each.properties[:1]
        for each in view.known.indexes
    )
    if made or total == 0:
        return  # planned anew once the index is there
    rows = max(scan.rows, total)
    times = f", about {round(rows / total):,} times" if rows >= 2 * total else ""
    name = "_".join(part for part in (labels[0], key) if part.isidentifier()).lower() or "an_index"
    here = "r" if relationship else "n"
    on = pattern(labels[:1], here, relationship=relationship).replace("->", "-")
    yield view.work(
        "missing-index",
        Category.INDEX,
        Work.SCAN,
        rows,
        f"all {total:,} {said(labels, relationship=relationship)} are read{times}: no index on {key} leads to them",
        safe=f"CREATE INDEX {name} IF NOT EXISTS FOR {on} ON ({here}.{quote_if_needed(key)});",
    )


def _products(view: View) -> Iterator[Finding]:
    for operator in view.operators:
        if operator.name == "CartesianProduct" and operator.rows >= _MANY:
            rows = round(operator.rows)
            message = f"each row of one MATCH is paired with each of another, about {rows:,} pairs; nothing joins them"
            severity = worse(Severity.MEDIUM, graded(seconds(Work.SCAN, rows)))
            yield view.note("cartesian-product", Category.RELATIONSHIP, severity, message)


def _eager(view: View) -> Iterator[Finding]:
    rows = max((each.rows for each in view.operators if each.name == "Eager"), default=0.0)
    if rows < _FEW:
        return
    severity = Severity.MEDIUM if rows >= _MANY else Severity.LOW
    in_vain = "; IN TRANSACTIONS does not help with it" if view.look.statement.batches else ""
    message = f"about {round(rows):,} rows are read to the end and held in memory before the first is written (Eager)"
    yield view.note("eager", Category.DATA, severity, message + in_vain)


def _files(view: View) -> Iterator[Finding]:
    if any(each.name == "LoadCSV" for each in view.operators):
        message = "it reads a file that the script does not hold; how many rows that has is not known"
        yield view.note("load-csv", Category.DATA, Severity.LOW, message)


def _batches(view: View) -> Iterator[Finding]:
    for operator in view.operators:
        if not operator.name.startswith("Transaction") or len(operator.children) != 2:
            continue
        outer, inner = operator.children
        if outer.rows <= 1 and inner.rows >= _FEW:
            message = (
                f"IN TRANSACTIONS goes over one row, so all {round(inner.rows):,} are one batch; MATCH before CALL"
            )
            safe = "MATCH (n:…)\nCALL (n) { … } IN TRANSACTIONS OF 1000 ROWS;"
            yield view.note("batch-of-all", Category.DATA, Severity.MEDIUM, message, safe=safe)
        else:
            message = "it commits batch by batch: when it stops, what was committed stays until the run is taken back"
            yield view.note("batches", Category.DATA, Severity.LOW, message)


def _memory(view: View) -> Iterator[Finding]:
    """What a transaction of written elements takes of the server's memory, with what came before it in the script."""
    if view.look.statement.batches or not view.effects:
        return
    degrees = view.facts.degrees
    mine = sum(view.rows(each) for each in view.effects)
    mine += sum(
        degrees.get(name, 0) for each in view.effects if each.kind is Kind.DETACH and each.whole for name in each.names
    )
    view.known.written += mine
    view.known.changed = True
    needed, limit = view.known.written * BYTES, view.facts.transaction_bytes
    if mine < _MANY:
        return
    if limit and needed > limit:
        severity, tail = Severity.HIGH, f"more than the server gives ({limit / 1e6:,.0f} MB), so it fails"
    else:
        severity = Severity.HIGH if needed > 1e9 or (limit and needed > limit / 2) else Severity.MEDIUM
        tail = "and all of it stays locked until the end"
    message = f"about {round(view.known.written):,} writes in one transaction take about {needed / 1e6:,.0f} MB, {tail}"
    safe = "MATCH (n:…)\nCALL (n) { … } IN TRANSACTIONS OF 1000 ROWS;"
    yield view.note("large-transaction", Category.DATA, severity, message, safe=safe)
