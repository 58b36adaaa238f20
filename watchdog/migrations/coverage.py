"""Whether the archives of a script keep everything that it destroys."""

from collections.abc import Iterator, Sequence

from watchdog.migrations.sql import Loss, SqlSyntaxError, is_condition, is_query, parse
from watchdog.targets.archive import Archive


def check(script: str, archives: Sequence[Archive], *, transactional: bool, schema: str = "public") -> Iterator[str]:
    """What is wrong with a script and its archives, one sentence each, with the script's line in front."""
    yield from _archive_complaints(archives, schema)
    try:
        statements = parse(script, schema)
    except SqlSyntaxError as error:
        yield f"{error}."
        return
    if not statements:
        yield "line 1: the script holds no statement."
    for statement in statements:
        where = f"line {statement.line}: "
        yield from (where + refusal for refusal in statement.refusals)
        if transactional and statement.refused_in_transaction:
            yield f"{where}{statement.refused_in_transaction}; set transactional: false and give a verify query."
        for loss in statement.losses:
            if not any(covers(archive, loss, schema) for archive in archives):
                yield where + _advice(loss)


def check_query(query: str) -> Iterator[str]:
    """What is wrong with a query that verifies."""
    try:
        if is_query(query):
            return
    except SqlSyntaxError as error:
        yield f"verify: {error}."
    else:
        yield "verify: write one SELECT that returns true or false."


def covers(archive: Archive, loss: Loss, default_schema: str = "public") -> bool:
    """Whether this archive holds what is lost."""
    source = archive.source(default_schema)
    if loss.table is None:
        return not loss.schema or source[0] == loss.schema
    kept = {*archive.columns, *archive.key}
    enough = not archive.columns or (bool(loss.columns) and kept.issuperset(loss.columns))
    return source == loss.table and enough and not (loss.everything and archive.where)


def _archive_complaints(archives: Sequence[Archive], schema: str) -> Iterator[str]:
    names = [archive.name for archive in archives]
    sources = [archive.source(schema) for archive in archives]
    for archive in archives:
        yield from archive.complaints()
        if archive.where and not is_condition(archive.where):
            yield f"archive {archive.name!r}: where is no SQL condition; write one such as created_at < now()."
        if archive.where and sources.count(archive.source(schema)) > 1:
            yield f"archive {archive.name!r}: a table with a where can have one archive only; join the conditions."
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"archive {name!r} is there twice; give each its own name."


def _advice(loss: Loss) -> str:
    if loss.table is None:
        return f"{loss.what} needs an archive of what is lost; add it under archive."
    columns = f", columns: [{', '.join(loss.columns)}]" if loss.columns else ""
    whole = " (without where)" if loss.everything else ""
    return (
        f"{loss.what} destroys data that nothing keeps; add under archive: "
        f"{{name: …, table: {'.'.join(loss.table)}{columns}}}{whole}."
    )
