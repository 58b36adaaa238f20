"""Back to the old names: the first part of every undo, so that what follows differs only where things differ."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from watchdog.migrations.shape import Named, Shape

_RELATIONS = {
    "r": "TABLE", "p": "TABLE", "v": "VIEW", "m": "MATERIALIZED VIEW", "S": "SEQUENCE", "f": "FOREIGN TABLE",
    "i": "INDEX", "I": "INDEX",
}  # fmt: skip
_IN_SCHEMAS = ("relation", "type", "routine")
_IN_TABLES = ("column", "constraint", "trigger", "policy", "rule")


def quote(name: str) -> str:
    """An identifier as SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL."""
    return (
        "'" + text.replace("'", "''") + "'"
        if "\\" not in text
        else " E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
    )


def renames_back(before: Shape, after: Shape) -> tuple[str, ...]:
    """Statements that give everything that still exists its name and schema from before."""
    old = {_identity(one): one for one in before.names}
    new = {_identity(one): one for one in after.names}
    statements: list[str] = []
    now = dict(new)
    for group in ("schema", *_IN_SCHEMAS):
        statements += _back(group, old, now)
    for group in (*_IN_TABLES, "label"):
        statements += _back(group, old, now)
    return tuple(statements)


def _identity(one: Named) -> tuple[str, int, int]:
    return one.group, one.number, one.parent if one.group == "column" else 0


def _back(
    group: str, old: Mapping[tuple[str, int, int], Named], now: dict[tuple[str, int, int], Named]
) -> Iterable[str]:
    elsewhere = [
        key
        for key, one in now.items()
        if key[0] == group
        and key in old
        and (one.name, one.schema) != (old[key].name, old[key].schema)
        and one.extra != "i"
    ]
    moved = [key for key in elsewhere if old[key].name != now[key].name or not _follows(now[key])]
    if not moved:
        return
    targets = {_spot(old[key]) for key in elsewhere}
    was = {key[1]: one.name for key, one in now.items() if key[0] == "schema"}
    squatters = [key for key, one in now.items() if key[0] == group and key not in elsewhere and _spot(one) in targets]
    parents = {one.number: one for one in now.values() if one.group in {"relation", "type"}}
    for count, key in enumerate((*squatters, *moved)):
        yield from _rename(now, key, f"watchdog_{group}_{count}", parents)
    for key in moved:
        if group in _IN_SCHEMAS and now[key].schema != old[key].schema:
            if not _follows(now[key]):
                yield f"ALTER {_what(now[key])} SET SCHEMA {quote(old[key].schema)}"
            now[key] = replace(now[key], schema=old[key].schema)
    for key in moved:
        yield from _rename(now, key, old[key].name, parents)
    if group == "schema":
        _carry(now, was)


def _carry(now: dict[tuple[str, int, int], Named], was: Mapping[int, str]) -> None:
    """What lies in a renamed schema is called by the schema's new name from now on."""
    names = {was[key[1]]: one.name for key, one in now.items() if key[0] == "schema"}
    for key, one in list(now.items()):
        if one.group in _IN_SCHEMAS:
            now[key] = replace(one, schema=names.get(one.schema, one.schema))


def _spot(one: Named) -> tuple[str, int, str, str]:
    return (
        one.schema,
        one.parent if one.group in {*_IN_TABLES, "label"} else 0,
        one.name,
        one.extra if one.group == "routine" else "",
    )


def _follows(one: Named) -> bool:
    """Whether it moves with its table from schema to schema: indexes, and sequences that a column owns."""
    return one.group == "relation" and one.parent != 0


def _rename(
    now: dict[tuple[str, int, int], Named], key: tuple[str, int, int], name: str, parents: Mapping[int, Named]
) -> Iterable[str]:
    one = now[key]
    if one.name == name:
        return
    if one.group in {"schema", *_IN_SCHEMAS}:
        yield f"ALTER {_what(one)} RENAME TO {quote(name)}"
    else:
        parent = parents.get(one.parent)
        if parent is None:
            return
        where = f"{quote(parent.schema)}.{quote(parent.name)}"
        if one.group == "label":
            yield f"ALTER TYPE {where} RENAME VALUE {literal(one.name)} TO {literal(name)}"
        elif one.group in {"column", "constraint"}:
            yield f"ALTER TABLE {where} RENAME {one.group.upper()} {quote(one.name)} TO {quote(name)}"
        else:
            yield f"ALTER {one.group.upper()} {quote(one.name)} ON {where} RENAME TO {quote(name)}"
    now[key] = replace(one, name=name)


def _what(one: Named) -> str:
    if one.group == "schema":
        return f"SCHEMA {quote(one.name)}"
    where = f"{quote(one.schema)}.{quote(one.name)}"
    if one.group == "relation":
        return f"{_RELATIONS[one.kind]} {where}"
    return f"TYPE {where}" if one.group == "type" else f"ROUTINE {where}({one.extra})"
