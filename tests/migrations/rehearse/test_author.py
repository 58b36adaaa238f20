"""The author's own way back is told apart: proven, loses data, leaves another schema, fails."""

import pytest

from tests.support.archives import sql
from watchdog.migrations.rehearse.author import try_down
from watchdog.migrations.rehearse.copies import Copy
from watchdog.migrations.rehearse.values import DownOutcome

DROPS = "ALTER TABLE people DROP note"
ADDS = "ALTER TABLE people ADD seen boolean"


@pytest.mark.parametrize(
    ("up", "down", "outcome", "finding"),
    [
        (ADDS, "ALTER TABLE people DROP seen", DownOutcome.PROVEN, ""),
        (DROPS, "ALTER TABLE people ADD note text", DownOutcome.LOSES, '30 rows of "public"."people" are gone'),
        (ADDS, "INSERT INTO log VALUES (NULL, '')", DownOutcome.LOSES, '1 rows of "public"."log" are new'),
        (DROPS, "SELECT 1", DownOutcome.LOSES, 'table "public"."people" or one of its columns is gone'),
        (ADDS, "SELECT 1", DownOutcome.OTHER_SCHEMA, "missing or changed: TABLE public.people"),
        (ADDS, "ALTER TABLE people DROP sean", DownOutcome.FAILS, "SQLSTATE 42703"),
        (ADDS, "ALTER people", DownOutcome.FAILS, "line 1"),
        (
            "CREATE INDEX CONCURRENTLY by_age ON people (age)",
            "DROP INDEX CONCURRENTLY by_age",
            DownOutcome.PROVEN,
            "",
        ),
    ],
)
async def test_the_authors_way_back_is_judged(
    copy: Copy, shop: str, up: str, down: str, outcome: DownOutcome, finding: str
) -> None:
    await sql(copy.url, shop)
    found = await try_down(copy, up, down)
    assert found.outcome is outcome
    assert finding in " ".join(found.findings)
    assert len(found.findings) <= 3
