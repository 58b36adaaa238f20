from pathlib import Path

import pytest

from watchdog.migrations.assess.locks import KINDS, LockMode
from watchdog.migrations.assess.speeds import Speeds

DOCS = Path(__file__).parents[3] / "docs" / "assess.md"


@pytest.mark.parametrize("kind", KINDS)
def test_the_documented_lock_is_the_one_that_is_used(kind: str) -> None:
    used = KINDS[kind]
    row = f"| {kind} | {used.mode} | {used.mode.blocks} | {used.work} | {used.source} |"
    assert row in DOCS.read_text(encoding="utf-8").splitlines()


def test_the_documented_speeds_are_those_that_are_used() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for name, value in vars(Speeds()).items():
        assert f"`{name}` = {value:,.0f}" in text


def test_only_the_four_strongest_modes_block_writes() -> None:
    assert [mode for mode in LockMode if mode.blocks_writes] == list(LockMode)[-4:]
