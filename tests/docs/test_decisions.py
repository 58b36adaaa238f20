import re
from pathlib import Path

import pytest

from tests.docs.paths import DOCS

RECORDS = sorted((DOCS / "decisions").glob("*.md"))


def test_records_are_numbered_without_gaps() -> None:
    assert [int(record.name[:4]) for record in RECORDS] == list(range(1, len(RECORDS) + 1))


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
def test_a_record_is_short_and_has_its_parts(record: Path) -> None:
    said = record.read_text(encoding="utf-8")
    lines = said.splitlines()
    assert len(lines) <= 40
    assert lines[0].startswith(f"# {record.name[:4]}: ")
    assert re.findall(r"^## (.*)$", said, re.MULTILINE) == ["Context", "Decision", "Consequences"]
