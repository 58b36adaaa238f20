"""What is claimed about locks and rewrites is what a running PostgreSQL 18 does."""

from collections.abc import AsyncIterator

import psycopg

from watchdog.migrations.assess.database import look
from watchdog.migrations.assess.grade import assess
from watchdog.migrations.assess.locks import LockMode, Work
from watchdog.migrations.assess.values import Assessment, Severity

# Of every relation that was there before: the strongest lock that this session holds.
_HELD = """
SELECT n.nspname || '.' || c.relname, l.mode
  FROM pg_locks l JOIN pg_temp.before c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.mode <> 'AccessShareLock'
"""
_BEFORE = """
CREATE TEMP TABLE before ON COMMIT DROP AS
SELECT c.oid, c.relname, c.relnamespace, c.relfilenode, c.relkind FROM pg_class c JOIN pg_namespace n
    ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'm', 'v', 'S')
"""
_REWRITTEN = """
SELECT 'public.' || b.relname FROM pg_temp.before b JOIN pg_class c USING (oid)
 WHERE c.relfilenode <> b.relfilenode AND b.relkind IN ('r', 'm')
"""
_MODES = {mode.value.title().replace(" ", "") + "Lock": mode for mode in LockMode}

STATEMENTS = [
    "ALTER TABLE customers ADD COLUMN x int",
    "ALTER TABLE customers ADD COLUMN x int DEFAULT 5",
    "ALTER TABLE customers ADD COLUMN x timestamptz DEFAULT now()",
    "ALTER TABLE customers ADD COLUMN x float DEFAULT random()",
    "ALTER TABLE customers ADD COLUMN x int DEFAULT dice()",
    "ALTER TABLE customers ADD COLUMN x int DEFAULT four()",
    "ALTER TABLE customers ADD COLUMN x serial",
    "ALTER TABLE customers ADD COLUMN x int GENERATED ALWAYS AS IDENTITY",
    "ALTER TABLE customers ADD COLUMN x int GENERATED ALWAYS AS (age + 1) STORED",
    "ALTER TABLE customers ADD COLUMN x int GENERATED ALWAYS AS (age + 1) VIRTUAL",
    "ALTER TABLE customers ADD COLUMN x int REFERENCES orders",
    "ALTER TABLE customers ADD COLUMN x int UNIQUE",
    "ALTER TABLE orders DROP COLUMN customer_id",
    "ALTER TABLE customers ALTER age SET DEFAULT 3",
    "ALTER TABLE customers ALTER age SET NOT NULL",
    "ALTER TABLE customers ALTER email SET NOT NULL",
    "ALTER TABLE orders ALTER total DROP NOT NULL",
    "ALTER TABLE customers ALTER age SET STATISTICS 100",
    "ALTER TABLE customers ALTER about SET STORAGE EXTERNAL",
    "ALTER TABLE customers ALTER about SET COMPRESSION pglz",
    "ALTER TABLE alone ALTER doubled SET EXPRESSION AS (number * 3)",
    "ALTER TABLE alone ALTER doubled DROP EXPRESSION",
    "ALTER TABLE alone ALTER id ADD GENERATED ALWAYS AS IDENTITY",
    "ALTER TABLE alone ALTER code TYPE varchar(20)",
    "ALTER TABLE alone ALTER code TYPE text",
    "ALTER TABLE alone ALTER code TYPE text USING code::text",
    "ALTER TABLE alone ALTER code TYPE text USING upper(code)",
    "ALTER TABLE alone ALTER code TYPE varchar(5)",
    "ALTER TABLE alone ALTER label TYPE varchar(500)",
    "ALTER TABLE alone ALTER label TYPE varchar",
    "ALTER TABLE alone ALTER price TYPE numeric(8, 2)",
    "ALTER TABLE alone ALTER price TYPE numeric(8, 3)",
    "ALTER TABLE alone ALTER price TYPE numeric",
    "ALTER TABLE alone ALTER at TYPE timestamptz",
    "ALTER TABLE alone ALTER at TYPE timestamp(3)",
    "ALTER TABLE alone ALTER net TYPE inet",
    "ALTER TABLE alone ALTER id TYPE bigint",
    "ALTER TABLE customers ADD CONSTRAINT k CHECK (age > 0)",
    "ALTER TABLE customers ADD CONSTRAINT k CHECK (age > 0) NOT VALID",
    "ALTER TABLE customers ADD CONSTRAINT k NOT NULL age",
    "ALTER TABLE customers ADD CONSTRAINT k NOT NULL age NOT VALID",
    "ALTER TABLE orders ADD CONSTRAINT k FOREIGN KEY (total) REFERENCES customers",
    "ALTER TABLE orders ADD CONSTRAINT k FOREIGN KEY (total) REFERENCES customers NOT VALID",
    "ALTER TABLE orders VALIDATE CONSTRAINT orders_total_known",
    "ALTER TABLE orders DROP CONSTRAINT orders_customer_id_fkey",
    "ALTER TABLE orders DROP CONSTRAINT total_positive",
    "ALTER TABLE orders ALTER CONSTRAINT orders_customer_id_fkey DEFERRABLE",
    "ALTER TABLE customers ADD UNIQUE (age)",
    "ALTER TABLE customers ADD CONSTRAINT k UNIQUE USING INDEX customers_email",
    "ALTER TABLE alone ADD PRIMARY KEY (id)",
    "ALTER TABLE alone ADD PRIMARY KEY USING INDEX alone_id",
    "ALTER TABLE customers ADD EXCLUDE USING btree (age WITH =)",
    "ALTER TABLE customers RENAME TO people",
    "ALTER TABLE customers RENAME COLUMN age TO years",
    "ALTER TABLE orders RENAME CONSTRAINT total_positive TO k",
    "ALTER TABLE orders SET UNLOGGED",
    "ALTER TABLE customers SET (fillfactor = 50)",
    "ALTER TABLE customers OWNER TO postgres",
    "ALTER TABLE customers DISABLE TRIGGER USER",
    "ALTER TABLE customers ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE customers REPLICA IDENTITY FULL",
    "ALTER TABLE customers CLUSTER ON customers_age",
    "ALTER TABLE events ATTACH PARTITION events_2 FOR VALUES FROM (10) TO (20)",
    "ALTER TABLE events DETACH PARTITION events_1",
    "ALTER TABLE events ADD COLUMN x int",
    "CREATE TABLE events_3 PARTITION OF events FOR VALUES FROM (20) TO (30)",
    "CREATE TABLE x (id int REFERENCES customers)",
    "CREATE TABLE x () INHERITS (alone)",
    "CREATE INDEX ON customers (age)",
    "CREATE INDEX ON events (day)",
    "CREATE INDEX ON ONLY events (day)",
    "DROP INDEX customers_age",
    "REINDEX INDEX customers_age",
    "REINDEX TABLE customers",
    "CLUSTER customers USING customers_age",
    "CREATE TRIGGER t AFTER UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION keep()",
    "DROP TRIGGER kept ON customers",
    "CREATE RULE r AS ON UPDATE TO customers DO ALSO NOTHING",
    "CREATE POLICY p ON customers USING (true)",
    "DROP POLICY everybody ON customers",
    "CREATE STATISTICS s ON age, id FROM customers",
    "COMMENT ON COLUMN customers.age IS 'in years'",
    "CREATE OR REPLACE VIEW ages AS SELECT id, age, 1 AS one FROM customers",
    "DROP VIEW ages",
    "REFRESH MATERIALIZED VIEW names",
    "CREATE PUBLICATION p FOR TABLE orders",
    "ALTER SEQUENCE numbers RESTART WITH 5",
    "TRUNCATE alone",
    "TRUNCATE customers CASCADE",
    "DROP TABLE orders",
    "DROP TABLE events_1",
    "DELETE FROM orders",
    "UPDATE customers SET age = 1",
    "INSERT INTO alone (id) VALUES (2000)",
    "MERGE INTO customers USING orders ON customers.id = orders.id WHEN MATCHED THEN DELETE",
    "SELECT * FROM customers FOR UPDATE",
    "LOCK TABLE customers IN SHARE ROW EXCLUSIVE MODE",
]
# What a table is given anew without being written: an empty file of its own.
_NEW_FILE = frozenset({"TRUNCATE"})


async def test_locks_and_rewrites_are_those_that_the_server_shows(shop_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(shop_url, autocommit=True) as connection:
        wrong = [each for statement in STATEMENTS async for each in _wrong(connection, statement)]
    assert not wrong, "\n".join(wrong)


async def _wrong(connection: psycopg.AsyncConnection, statement: str) -> AsyncIterator[str]:
    found = assess(statement, await look(connection, statement))
    async with connection.transaction(force_rollback=True):
        await connection.execute(_BEFORE)
        await connection.execute(statement.encode())
        held = await _strongest(connection)
        rewritten = {name for (name,) in await (await connection.execute(_REWRITTEN)).fetchall()}
    claimed = _claimed(found)
    if {name: mode for name, mode in claimed.items() if name in held or not _is_index(name)} != held:
        yield f"{statement}: said {_shown(claimed)}, held {_shown(held)}"
    rewrites = any(each.work is Work.REWRITE for each in found.findings)
    if rewrites != bool(rewritten) and statement.split(maxsplit=1)[0] not in _NEW_FILE:
        yield f"{statement}: said {'a' if rewrites else 'no'} rewrite, rewritten {sorted(rewritten)}"


async def _strongest(connection: psycopg.AsyncConnection) -> dict[str, LockMode]:
    held: dict[str, LockMode] = {}
    for name, mode in await (await connection.execute(_HELD)).fetchall():
        held[name] = max(held.get(name, LockMode.ACCESS_SHARE), _MODES[mode], key=lambda each: each.rank)
    return held


def _claimed(found: Assessment) -> dict[str, LockMode]:
    made = {".".join(each.table) for each in found.findings if each.rule == "create-table" and each.table}
    claimed: dict[str, LockMode] = {}
    for lock in (lock for each in found.findings for lock in each.locks):
        if lock.relation not in made:
            known = claimed.get(lock.relation, lock.mode)
            claimed[lock.relation] = max(known, lock.mode, key=lambda each: each.rank)
    return claimed


def _is_index(name: str) -> bool:
    return name in {"public.customers_age", "public.customers_email"}


def _shown(locks: dict[str, LockMode]) -> str:
    return ", ".join(f"{mode} on {name}" for name, mode in sorted(locks.items()))


async def test_the_real_size_decides_how_bad_a_scan_is(shop: psycopg.AsyncConnection) -> None:
    statement = "ALTER TABLE customers ALTER age SET NOT NULL"
    small = assess(statement, await look(shop, statement))
    assert [each.severity for each in small.findings if each.rule == "set-not-null"] == [Severity.LOW]
    unknown = assess(statement)
    assert [each.severity for each in unknown.findings if each.rule == "set-not-null"] == [Severity.HIGH]
