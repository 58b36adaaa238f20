"""Whether a default is the same for every row: only then is it stored once, and no row is written."""

from collections.abc import Iterator
from typing import Any, Final

from watchdog.migrations.assess.facts import Facts
from watchdog.migrations.assess.sqltext import strings
from watchdog.migrations.parser import postgast, tree

VOLATILE: Final = frozenset(
    {
        "clock_timestamp",
        "currval",
        "gen_random_bytes",
        "gen_random_uuid",
        "gen_salt",
        "nextval",
        "random",
        "random_normal",
        "setseed",
        "setval",
        "timeofday",
        "txid_current",
        "uuid_generate_v1",
        "uuid_generate_v1mc",
        "uuid_generate_v4",
        "uuidv4",
        "uuidv7",
    }
)
STEADY: Final = frozenset(
    {
        "array_append",
        "concat",
        "current_database",
        "current_schema",
        "current_setting",
        "date",
        "date_part",
        "date_trunc",
        "decode",
        "encode",
        "extract",
        "interval",
        "json_build_array",
        "json_build_object",
        "jsonb_build_array",
        "jsonb_build_object",
        "left",
        "length",
        "lower",
        "make_date",
        "make_interval",
        "make_time",
        "make_timestamp",
        "make_timestamptz",
        "md5",
        "now",
        "replace",
        "right",
        "round",
        "statement_timestamp",
        "substr",
        "substring",
        "timezone",
        "to_char",
        "to_date",
        "to_json",
        "to_jsonb",
        "to_number",
        "to_timestamp",
        "to_tsvector",
        "transaction_timestamp",
        "trunc",
        "upper",
    }
)


def volatile(expression: Any, facts: Facts) -> Iterator[str]:
    """The functions in it that are volatile, or, where no database was asked, that may be."""
    for _, node in postgast.walk(expression):
        if isinstance(node, tree.FuncCall):
            name = strings(node.funcname)[-1]
            known = name in STEADY or (facts.known and name not in facts.volatile)
            if name in VOLATILE or not known:
                yield name
