import pytest

from watchdog.migrations.assess.locks import Work
from watchdog.migrations.assess.typenames import loses, read, work


@pytest.mark.parametrize(
    ("old", "new", "rewrites"),
    [
        ("character varying(10)", "character varying(20)", False),
        ("character varying(20)", "character varying(10)", True),
        ("character varying(10)", "character varying", False),
        ("character varying", "text", False),
        ("text", "character varying(500)", True),
        ("character(10)", "character(20)", True),
        ("character(10)", "text", True),
        ("numeric(6,2)", "numeric(8,2)", False),
        ("numeric(8,2)", "numeric(6,2)", True),
        ("numeric(6,2)", "numeric(8,3)", True),
        ("numeric(6,2)", "numeric", False),
        ("numeric", "numeric(6,2)", True),
        ("timestamp(3) without time zone", "timestamp without time zone", False),
        ("timestamp without time zone", "timestamp(3) without time zone", True),
        ("timestamp without time zone", "timestamp with time zone", True),
        ("cidr", "inet", False),
        ("inet", "cidr", True),
        ("integer", "bigint", True),
        ("integer", "integer", False),
        ("text[]", "text", True),
        ("bit varying(5)", "bit varying(9)", False),
        ("json", "jsonb", True),
    ],
)
def test_only_some_changes_of_type_rewrite(old: str, new: str, *, rewrites: bool) -> None:
    assert work(read(old), read(new)) is (Work.REWRITE if rewrites else Work.NONE)


def test_in_utc_the_two_timestamps_are_the_same_bytes() -> None:
    one, other = read("timestamp without time zone"), read("timestamp with time zone")
    assert work(one, other, utc=True) is Work.NONE


@pytest.mark.parametrize(
    ("old", "new", "lossy"),
    [("integer", "bigint", False), ("bigint", "integer", True), ("text", "varchar(3)", True), ("json", "jsonb", True)],
)
def test_a_lossy_change_is_told_from_a_wider_type(old: str, new: str, *, lossy: bool) -> None:
    assert loses(read(old), read(new)) is lossy
