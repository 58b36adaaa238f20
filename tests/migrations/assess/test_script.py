import re

import pytest

from watchdog.migrations.assess.script import read
from watchdog.migrations.parser import SqlSyntaxError


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("SELECT 1;\nSELEC 2;", 2, "syntax error"),
        ("SELECT 1;\n\\copy a FROM 'b.csv'", 2, "\\copy is a command of psql"),
        ("\\set ON_ERROR_STOP on\nSELECT 1;", 1, "\\set is a command of psql"),
        ("\n\n\\connect other", 3, "\\connect is a command of psql"),
        ("SELECT 1 \\gexec", 1, "\\gexec is a command of psql"),
        ("COPY a FROM stdin;\n1\t2\n\\.\n", 2, "use INSERT"),
        ("SELECT 'open", 1, "unterminated"),
        ("SELECT 1;\nSELECT \0", 2, "NUL"),
        ("SELECT " + "+".join(["a"] * 1000), 1, "too deep"),
    ],
)
def test_what_is_no_sql_is_named_with_its_line(text: str, line: int, message: str) -> None:
    with pytest.raises(SqlSyntaxError, match=re.escape(message)) as error:
        read(text)
    assert error.value.line == line


def test_a_file_is_one_transaction_unless_it_says_otherwise() -> None:
    text = "SELECT 1; SELECT 2;"
    assert [each.transaction for each in read(text)] == [0, 0]
    assert len({each.transaction for each in read(text, autocommit=True)}) == 2


def test_begin_and_commit_are_followed() -> None:
    statements = read("SELECT 0; BEGIN; SELECT 1; SELECT 2; COMMIT; SELECT 3;")
    before, begin, one, two, commit, after = (each.transaction for each in statements)
    assert begin == one == two == commit
    assert len({before, begin, after}) == 3
    assert [each.explicit for each in statements] == [False, True, True, True, False, False]


def test_backslashes_in_strings_are_not_psqls() -> None:
    assert len(read("SELECT '\\copy'; SELECT $$ \\d $$;")) == 2


def test_lines_are_those_of_the_file() -> None:
    assert [each.line for each in read("-- hello\nSELECT 1;\n\n/* there */ SELECT\n 2;")] == [2, 4]
