from pathlib import Path

import pytest

from watchdog.migrations.cache.file import Clear, Expire, Move, read_migration
from watchdog.migrations.yaml_file import FileError, read_text

FULL = """\
version: 1
never: ["app:session:"]
cap: 500
budget: 2MiB
expires: 12h
steps:
  - move: {from: "app:v1:", to: "app:v2:", keep: yes}
  - clear: "app:cache:"
    archive: false
  - expire: {prefix: "app:tmp:", seconds: 60}
"""


def test_a_file_is_read_as_it_is_written() -> None:
    read = read_migration(FULL)
    assert (read.never, read.cap, read.budget, read.expires) == (("app:session:",), 500, 2 * 2**20, 43_200)
    assert read.steps == (
        Move("app:v1:", "app:v2:", keep=True),
        Clear("app:cache:", archive=False),
        Expire("app:tmp:", 60),
    )
    assert read.prefixes == ("app:v1:", "app:v2:", "app:cache:", "app:tmp:")


def step(text: str) -> str:
    return f"version: 1\nnever: ['app:session:']\nsteps:\n  - {text}\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "migration:1: the file must be a mapping; write `version: 1` first"),
        ("a: 1\nb: [}", "migration:2: this is not YAML"),
        ("a: &x [1]\nb: *x", "this is not YAML"),
        (step("clear: 'app:cache:'").replace("1", "7", 1), "migration:1: version: this program reads version 1"),
        ("version: 1\n", "migration:1: steps: must be a list with something in it"),
        (step("clear: 'app:*'"), "migration:4: steps[0].clear: a prefix is taken literally; leave out the *"),
        (step("clear: 'a:'"), "migration:4: steps[0].clear: write 3 characters or more with one of :"),
        (step("clear: 'app'"), "migration:4: steps[0].clear: write 3 characters or more"),
        (step("clear: 'watchdog:run:'"), "`watchdog:` is the watchdog's own"),
        (step("clear: 'app:session:old:'"), "lies under the protected `app:session:`"),
        (step("move: {from: 'app:v1:', to: 'app:v1:x:'}"), "steps[0].move.to: one of from and to lies under the other"),
        (step("move: {from: 'app:v1:'}"), "steps[0].move.to: is missing"),
        (step("{clear: 'app:a:', expire: {prefix: 'app:b:', seconds: 1}}"), "a step does one thing"),
        (step("flush: 'app:a:'"), "a step does one thing; write one of move, clear, expire"),
        (step("expire: {prefix: 'app:a:', seconds: 0}"), "seconds: must be a whole number from 1 to"),
        (step("{clear: 'app:a:', archive: maybe}"), "steps[0].archive: must be true or false"),
        (step("{clear: 'app:a:', archiv: false}"), "steps[0].archiv: is unknown; write `archive`"),
        (step("clear: 'app:a:'") + "budget: much\n", "migration:5: budget: must be a size"),
        (step("clear: 'app:a:'") + "expires: 0d\n", "expires: must be a length of time above zero"),
        (step("clear: 'app:a:'") + "cap: 1\ncap: 2\n", "migration:6: cap: stands twice"),
        (step("clear: 'app:a:'").replace("['app:session:']", "['']"), "never: holds an empty prefix"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, says: str) -> None:
    with pytest.raises(FileError) as caught:
        read_migration(text)
    assert says in str(caught.value)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(FileError) as caught:
        read_migration("version: 1\ncapp: 1\nsteps:\n  - clear: 'x'\n  - clear: 'y'\n")
    assert [problem.split(":")[1] for problem in caught.value.problems] == ["2", "4", "5"]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"none\.yaml: the file cannot be read"):
        read_text(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(FileError, match="is not UTF-8"):
        read_text(tmp_path / "latin.yaml")
    (tmp_path / "good.yaml").write_text(FULL)
    assert read_text(tmp_path / "good.yaml") == (str(tmp_path / "good.yaml"), FULL)
