"""Whether a running statement changes the schema, by its words: the server shows only the beginning of a long one."""

import re
from typing import Final

# Strings, dollar quotes and comments, also such as are cut off at the end; a quoted name stays.
_HIDDEN: Final = re.compile(
    r"""'(?:[^']|'')*(?:'|\Z) | \$(\w*)\$.*?(?:\$\1\$|\Z) | --[^\n]* | /\*.*?(?:\*/|\Z) | ("(?:[^"]|"")*")""",
    re.DOTALL | re.VERBOSE,
)
_NAME: Final = r'(?:"(?:[^"]|"")+"|[\w$]+)'
_DDL: Final = re.compile(
    rf"""\s*(?P<verb>CREATE|ALTER|DROP)\s+
    (?:OR\s+REPLACE\s+)?(?:UNLOGGED\s+)?(?:UNIQUE\s+)?(?:RECURSIVE\s+)?
    (?P<kind>(?:MATERIALIZED\s+|CONSTRAINT\s+|FOREIGN\s+)?(?:TABLE|INDEX|VIEW|SEQUENCE|TYPE|DOMAIN|SCHEMA|FUNCTION|
        PROCEDURE|TRIGGER|POLICY|RULE|EXTENSION|AGGREGATE|STATISTICS))\b
    (?:\s+CONCURRENTLY)?(?:\s+IF\s+(?:NOT\s+)?EXISTS)?(?:\s+ONLY)?
    (?:\s+(?P<name>{_NAME}(?:\s*\.\s*{_NAME})*))?""",
    re.IGNORECASE | re.VERBOSE,
)
# Made and dropped day by day by those who keep a partition for each day.
_PARTITIONS: Final = re.compile(r"\bPARTITION\s+OF\b|\b(?:ATTACH|DETACH)\s+PARTITION\b", re.IGNORECASE)
_OF_INDEX: Final = re.compile(rf"\s+ON\s+(?:ONLY\s+)?({_NAME}(?:\s*\.\s*{_NAME})*)", re.IGNORECASE)


def ddl_of(text: str) -> str | None:
    """Verb, kind and name of the first change of the schema in a text of statements; None when there is none.

    Temporary tables, partitions, roles, settings and upkeep (VACUUM, REINDEX, ANALYZE, REFRESH) are none.
    """
    bare = _HIDDEN.sub(lambda found: found[2] or " ", text)
    for statement in bare.split(";"):
        found = _DDL.match(statement)
        if found is None or _PARTITIONS.search(statement):
            continue
        what = f"{found['verb']} {' '.join(found['kind'].split())}".upper()
        name = found["name"] or ""
        if what == "CREATE INDEX" and (table := _OF_INDEX.search(statement)):
            return f"{what} ON {table[1]}" if name.upper() in {"", "ON"} else f"{what} {name} ON {table[1]}"
        return f"{what} {name}".strip()
    return None
