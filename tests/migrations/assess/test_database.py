"""What the database around a table makes of a statement."""

import psycopg
import pytest

from watchdog.migrations.assess.database import facts_about, look
from watchdog.migrations.assess.facts import Facts
from watchdog.migrations.assess.grade import assess
from watchdog.migrations.assess.values import Finding, Severity
from watchdog.ports.errors import TargetError

ROUNDED_UP = 8192


async def _found(connection: psycopg.AsyncConnection, text: str) -> dict[str, Finding]:
    return {each.rule: each for each in assess(text, await look(connection, text)).findings}


async def test_sizes_and_columns_are_read(shop: psycopg.AsyncConnection) -> None:
    facts = await look(
        shop, "ALTER TABLE alone ADD x int; DROP TABLE fresh_and_empty; DROP INDEX customers_age; ANALYZE events"
    )
    alone = facts.relations["public", "alone"]
    assert (alone.rows, alone.indexes, alone.partitioned) == (1000, 1, False)
    assert alone.size >= ROUNDED_UP
    assert alone.columns["code"].type == "character varying(10)"
    assert alone.columns["id"].not_null
    assert facts.relations["public", "fresh_and_empty"].size == 0
    assert facts.relations["public", "events"].partitions == (("public", "events_1"), ("public", "events_rest"))
    assert facts.indexes["public", "customers_age"] == ("public", "customers")
    assert (facts.known, facts.schema, facts.version) == (True, "public", 18)


async def test_a_column_in_a_view_cannot_go_and_the_statement_really_fails(shop: psycopg.AsyncConnection) -> None:
    for statement, code in (
        ("ALTER TABLE customers DROP COLUMN age", "2BP01"),
        ("ALTER TABLE customers ALTER age TYPE bigint", "0A000"),
        ("DROP TABLE customers", "2BP01"),
    ):
        found = (await _found(shop, statement))["still-used"]
        assert found.severity is Severity.HIGH
        assert code in found.message
        with pytest.raises(psycopg.Error) as error:
            async with shop.transaction():
                await shop.execute(statement.encode())
        assert error.value.sqlstate == code


async def test_a_table_dropped_together_with_what_points_at_it_is_not_in_use(shop: psycopg.AsyncConnection) -> None:
    await shop.execute("DROP VIEW ages; DROP MATERIALIZED VIEW names")
    assert "still-used" in await _found(shop, "DROP TABLE customers")
    assert "still-used" not in await _found(shop, "DROP TABLE customers, orders")


async def test_truncate_cascade_names_what_it_empties(shop: psycopg.AsyncConnection) -> None:
    found = (await _found(shop, "TRUNCATE customers CASCADE"))["cascade"]
    assert "orders" in found.message


async def test_subscribers_of_a_published_table_are_remembered(shop: psycopg.AsyncConnection) -> None:
    severities = {
        "ALTER TABLE orders RENAME TO purchases": "high",
        "ALTER TABLE orders RENAME COLUMN total TO amount": "high",
        "ALTER TABLE orders ADD COLUMN x int": "medium",
        "ALTER TABLE orders DROP COLUMN total": "medium",
        "TRUNCATE orders": "high",
        "ALTER TABLE orders DROP CONSTRAINT orders_pkey": "medium",
    }
    for statement in severities:
        assert "published" not in await _found(shop, statement)
    await shop.execute("CREATE PUBLICATION news FOR TABLE orders")
    for statement, severity in severities.items():
        found = (await _found(shop, statement))["published"]
        assert str(found.severity) == severity
        assert "news" in found.message


def test_a_replication_slot_holds_back_what_a_rewrite_logs() -> None:
    known = Facts(known=True, slots={"warehouse": 5_000_000})
    assert "slots" not in {each.rule for each in assess("UPDATE a SET b = 1", known).findings}


async def test_a_big_update_under_a_slot_is_said(shop: psycopg.AsyncConnection) -> None:
    statement = "UPDATE alone SET number = 1"
    facts = await look(shop, statement)
    held = Facts(known=True, relations=facts.relations, slots={"warehouse": 5_000_000})
    [found] = [each for each in assess(statement, held).findings if each.rule == "slots"]
    assert "warehouse (5 MB)" in found.message


async def test_partitions_are_locked_with_their_parent(shop: psycopg.AsyncConnection) -> None:
    found = await _found(shop, "CREATE INDEX i ON events (day)")
    assert "2 tables below it" in found["partitions"].message
    assert "ON ONLY events" in found["create-index"].safe
    concurrently = await _found(shop, "CREATE INDEX CONCURRENTLY i ON events (day)")
    assert concurrently["partitioned"].severity is Severity.HIGH


async def test_a_valid_check_spares_the_scan_and_one_not_valid_does_not(shop: psycopg.AsyncConnection) -> None:
    assert (await _found(shop, "ALTER TABLE customers ALTER email SET NOT NULL"))["set-not-null"].safe == ""
    await shop.execute("ALTER TABLE orders ALTER total DROP NOT NULL")
    alter = "ALTER TABLE orders ALTER total SET NOT NULL"
    assert (await _found(shop, alter))["set-not-null"].safe
    both = await _found(shop, f"ALTER TABLE orders VALIDATE CONSTRAINT orders_total_known; {alter}")
    assert both["set-not-null"].safe == ""


async def test_a_default_of_ones_own_function_is_judged_by_its_volatility(shop: psycopg.AsyncConnection) -> None:
    assert "add-column" in await _found(shop, "ALTER TABLE alone ADD x int DEFAULT four()")
    assert "add-column-rewrite" in await _found(shop, "ALTER TABLE alone ADD x int DEFAULT dice()")


async def test_a_trigger_that_is_not_there_is_not_dropped(shop: psycopg.AsyncConnection) -> None:
    assert (await _found(shop, "DROP TRIGGER IF EXISTS kept ON customers"))["drop-trigger"].severity is Severity.MEDIUM
    assert (await _found(shop, "DROP TRIGGER IF EXISTS gone ON customers"))["drop-trigger"].severity is Severity.INFO


async def test_a_table_renamed_in_the_script_keeps_its_size(shop: psycopg.AsyncConnection) -> None:
    found = await _found(shop, "ALTER TABLE alone RENAME TO lonely; ALTER TABLE lonely ALTER number SET NOT NULL")
    assert found["set-not-null"].severity is Severity.LOW


async def test_looking_changes_nothing_and_needs_no_superuser(shop: psycopg.AsyncConnection, shop_url: str) -> None:
    await shop.execute("CREATE ROLE reader_of_shop")
    await shop.execute("SET LOCAL ROLE reader_of_shop")
    await shop.execute("SET LOCAL transaction_read_only = on")
    facts = await look(shop, "ALTER TABLE alone ALTER number SET NOT NULL")
    assert facts.relations["public", "alone"].rows == 1000
    assert await facts_about("DROP TABLE alone", shop_url) == await look(shop, "DROP TABLE alone")


async def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(TargetError, match="does not answer") as error:
        await facts_about("SELECT 1", "postgresql://me:hunter2@127.0.0.1:1/shop")
    assert "hunter2" not in str(error.value)
