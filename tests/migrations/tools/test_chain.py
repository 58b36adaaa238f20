from pathlib import Path

import pytest

from watchdog.migrations.session import RefusedError
from watchdog.migrations.tools.address import Command, ToolError
from watchdog.migrations.tools.chain import BASELINE, Chain, File, locations, noted, pending, read_files, verb_at


def file(version: str, text: str = "CREATE (:A);\n", *, repeatable: bool = False, ext: str = "cypher") -> File:
    return File(f"{'R' if repeatable else 'V'}{version}__x.{ext}", version, "x", repeatable, text)


def applied(*files: File) -> Chain:
    return Chain({one.version: one.checksum for one in files}, files[-1].version if files else BASELINE, not files)


def reasons(files: list[File], chain: Chain) -> str:
    with pytest.raises(RefusedError) as refused:
        pending(files, chain)
    return str(refused.value)


def test_the_checksum_is_the_tools() -> None:
    """The numbers are those that neo4j-migrations 2.17.3 wrote into its chain for these files."""
    first = "CREATE CONSTRAINT shop_id FOR (s:Shop) REQUIRE s.id IS UNIQUE;\n"
    hard = "// two of them;\n  MATCH (s:Shop) SET s.a = 'ä;b';\r\n\n;\nMATCH (s) RETURN s ;\n// the end"
    assert file("1", first).checksum == "3660734729"
    assert file("2", hard).checksum == "2907554017"
    assert file("3", first.rstrip()).checksum == file("1", first).checksum


def test_what_is_not_in_the_chain_is_to_come() -> None:
    files = [file("1"), file("2"), file("3")]
    assert pending(files, applied()) == tuple(files)
    assert pending(files, applied(files[0])) == tuple(files[1:])
    assert pending(files, applied(*files)) == ()


def test_files_that_are_not_those_of_the_chain_are_refused() -> None:
    one, two, three = file("1"), file("2"), file("3")
    assert "version 2 is applied, but there is no file of it" in reasons([one], applied(one, two))
    assert "V1__x.cypher was changed since" in reasons([file("1", "CREATE (:B);"), two], applied(one))
    assert "make it a new version" in reasons([file("1", "CREATE (:B);", repeatable=True)], applied(one))
    assert "V2__x.cypher is not applied, although a later version is" in reasons([one, two, three], applied(one, three))


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (file("1", ext="xml"), "is no Cypher"),
        (file("1", repeatable=True), "is repeatable"),
        (file("1", "// assume that edition is enterprise\nCREATE (:A);"), "has a condition"),
        (file("1", "CREATE (:A);\n// assert q' RETURN true\nCREATE (:B);"), "has a condition"),
        (file("1", ":use other;\nCREATE (:A);"), "says :use"),
        (file("1", "CREATE (:A {b: '${nm:b}'});"), "has a placeholder"),
    ],
)
def test_what_only_the_tool_can_do_is_refused_while_it_is_to_come(other: File, why: str) -> None:
    assert why in reasons([other], applied())
    assert pending([other, file("2")], applied(other)) == (file("2"),)


def test_files_are_found_below_a_directory_in_the_order_of_their_versions(tmp_path: Path) -> None:
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "V1_2__More shops.cypher").write_text("CREATE (:B);")
    (tmp_path / "V1_1__first_one.cypher").write_text("CREATE (:A);")
    (tmp_path / "README.md").write_text("no migration")
    assert [(one.version, one.description) for one in read_files([tmp_path])] == [
        ("1.1", "first one"),
        ("1.2", "More shops"),
    ]


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["V2__a.cypher", "V10__b.cypher"], "the same number of digits"),
        (["V1__a.cypher", "V1__b.cypher"], "version 1 is there twice"),
        (["V1__a.cypher", "beforeMigrate.cypher"], "beforeMigrate.cypher is a callback"),
    ],
)
def test_directories_that_the_tool_reads_otherwise_are_refused(tmp_path: Path, names: list[str], why: str) -> None:
    for name in names:
        (tmp_path / name).write_text("CREATE (:A);")
    with pytest.raises(RefusedError, match=why):
        read_files([tmp_path])


def words(*said: str) -> Command:
    return Command("neo4j-migrations", said)


def test_locations_are_read_from_the_command(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    said = words("neo4j-migrations", f"--location=file://{tmp_path}", "--location", f"file:{other}", "apply")
    assert locations(said) == (tmp_path, other)
    for wrong in (words("neo4j-migrations", "apply"), words("neo4j-migrations", "--location=classpath:x", "apply")):
        with pytest.raises(ToolError, match="--location"):
            locations(wrong)


def test_options_that_change_what_is_applied_or_where_are_refused() -> None:
    assert verb_at(words("java", "-Xmx1g", "-cp", "a.jar", "Main", "--location=file:///a", "migrate")) == 6
    with pytest.raises(ToolError, match="--out-of-order, -a out of its command"):
        verb_at(words("neo4j-migrations", "-a", "bolt://x", "--out-of-order=true", "apply"))
    for none in (words("neo4j-migrations", "clean"), words("neo4j-migrations", "apply", "--all"), words("apply")):
        with pytest.raises(ToolError, match="ends with the word apply"):
            verb_at(none)


def test_quotes_in_names_stay_in_their_text() -> None:
    said = noted(file("1"), None, "o'ne\\")
    assert said.endswith(
        "'CYPHER', repeatable: false, source: 'V1__x.cypher', checksum: '" + file("1").checksum + "'})"
    )
    assert "connectedAs: 'o\\'ne\\\\'" in said
