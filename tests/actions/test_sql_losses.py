import asyncio

import psycopg
import pytest

from tests.actions.conftest import Contexts, Guarded, Roles, eventually
from watchdog.actions.sql import KIND, SqlOptions
from watchdog.ports.actions import Action
from watchdog.ports.errors import StepError
from watchdog.ports.kinds import Resources, Script
from watchdog.targets.archive import Archive

USERS = Archive(name="users", table="users")
ORDERS = Archive(name="orders", table="orders")
SCORES = "SET ROLE step_owner; CREATE TABLE scores AS SELECT id, 1 AS score FROM users;"
KILL = "CREATE FUNCTION kill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {} RETURN NULL; END $$;"
TRIGGER = "CREATE TRIGGER t AFTER DELETE ON orders FOR EACH STATEMENT EXECUTE FUNCTION kill();"


def step(resources: Resources, text: str, *archives: Archive) -> Action:
    return KIND.build("database", SqlOptions(script=Script(text, "x.sql"), archive=archives), resources)


async def refused(guarded: Guarded, action: Action, context: Contexts, says: str) -> None:
    before = await guarded.fetch("SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM orders)")
    with pytest.raises(StepError, match=says):
        await action.execute(context())
    assert await guarded.fetch("SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM orders)") == before


@pytest.mark.parametrize(
    ("effect", "says"),
    [
        ("DELETE FROM scores WHERE id <= 3;", "3 deleted rows of public.scores"),
        ("UPDATE scores SET score = 2 WHERE id <= 4;", "4 changed rows of public.scores"),
        ("TRUNCATE scores;", "All rows of public.scores"),
        ("DELETE FROM scores; TRUNCATE scores;", "All rows of public.scores"),
        ("DROP TABLE scores;", "All rows of public.scores"),
        ("UPDATE watchdog.fence SET epoch = 0;", r"watchdog\.fence would be changed"),
        ("INSERT INTO watchdog.receipts VALUES ('s', 'g', 'r', 1, now(), '');", r"watchdog\.receipts would be changed"),
    ],
)
async def test_what_a_trigger_destroys_stops_the_step(
    guarded: Guarded, resources: Roles, context: Contexts, effect: str, says: str
) -> None:
    await guarded.fetch(SCORES + KILL.format(effect) + TRIGGER)
    await refused(guarded, step(resources, "DELETE FROM orders", ORDERS), context, says)
    assert await guarded.value("SELECT sum(score) FROM scores") == 100


async def test_what_a_trigger_destroys_may_be_archived(guarded: Guarded, resources: Roles, context: Contexts) -> None:
    await guarded.fetch(SCORES + KILL.format("DELETE FROM scores;") + TRIGGER)
    await step(resources, "DELETE FROM orders", ORDERS, Archive(name="scores", table="scores")).execute(context())
    assert await guarded.value("SELECT count(*) FROM watchdog.archive_scores") == 100


async def test_an_archive_of_some_columns_does_not_hold_deleted_rows(
    guarded: Guarded, resources: Roles, context: Contexts
) -> None:
    await guarded.fetch(
        SCORES + "ALTER TABLE scores ADD PRIMARY KEY (id);" + KILL.format("DELETE FROM scores;") + TRIGGER
    )
    some = Archive(name="scores", table="scores", columns=("score",), where="id > 0")
    await refused(guarded, step(resources, "DELETE FROM orders", ORDERS, some), context, "100 deleted rows")


async def test_a_trigger_that_waits_for_the_commit_counts_too(
    guarded: Guarded, resources: Roles, context: Contexts
) -> None:
    later = "CREATE CONSTRAINT TRIGGER t AFTER DELETE ON orders DEFERRABLE INITIALLY DEFERRED"
    await guarded.fetch(SCORES + KILL.format("DELETE FROM scores;") + f"{later} FOR EACH ROW EXECUTE FUNCTION kill();")
    await refused(guarded, step(resources, "DELETE FROM orders", ORDERS), context, "100 deleted rows")


async def test_a_function_that_the_script_smuggles_in_is_found_out(
    guarded: Guarded, resources: Roles, context: Contexts
) -> None:
    function = KILL.format("DELETE FROM orders;").replace("RETURN NULL", "RETURN NEW")
    trigger = "CREATE TRIGGER t AFTER INSERT ON users EXECUTE FUNCTION kill();"
    text = f"SET LOCAL ROLE step_owner; {function} {trigger} INSERT INTO users VALUES (900, 'x')"
    await refused(guarded, step(resources, text), context, r"10 deleted rows of public\.orders")


async def test_rows_behind_a_view_are_counted_where_they_live(
    guarded: Guarded, resources: Roles, context: Contexts
) -> None:
    await guarded.fetch("SET ROLE step_owner; CREATE VIEW v AS SELECT * FROM orders")
    archive = Archive(name="v", table="v")
    await refused(guarded, step(resources, "DELETE FROM v", archive), context, "10 deleted rows of public.orders")


async def test_a_key_that_is_changed_changes_other_tables(
    guarded: Guarded, resources: Roles, context: Contexts
) -> None:
    await guarded.fetch(
        "ALTER TABLE orders DROP CONSTRAINT orders_user_id_fkey,"
        " ADD FOREIGN KEY (user_id) REFERENCES users ON UPDATE CASCADE"
    )
    action = step(resources, "UPDATE users SET id = id + 1000 WHERE id = 1", USERS)
    await refused(guarded, action, context, "1 changed rows of public.orders")


async def test_a_cascade_is_followed_to_its_end(guarded: Guarded, resources: Roles, context: Contexts) -> None:
    await guarded.fetch(
        "SET ROLE step_owner; CREATE TABLE lines (order_id int REFERENCES orders ON DELETE CASCADE);"
        "INSERT INTO lines SELECT id FROM orders"
    )
    says = r"also changes public\.lines"
    await refused(guarded, step(resources, "DELETE FROM users", USERS, ORDERS), context, says)
    merge = "MERGE INTO orders USING users ON user_id = users.id WHEN MATCHED THEN DELETE"
    await refused(guarded, step(resources, merge, ORDERS), context, says)
    await step(resources, "DELETE FROM users", USERS, ORDERS, Archive(name="lines", table="lines")).execute(context())
    assert await guarded.value("SELECT count(*) FROM watchdog.archive_lines") == 10


async def test_an_archive_of_the_parent_holds_its_partitions(
    guarded: Guarded, resources: Roles, context: Contexts
) -> None:
    await guarded.fetch(
        "SET ROLE step_owner; CREATE TABLE p (id int) PARTITION BY LIST (id); CREATE TABLE p1 PARTITION OF p DEFAULT;"
        "INSERT INTO p VALUES (1), (2)"
    )
    parent = Archive(name="p", table="p")
    await step(resources, "DELETE FROM p WHERE id = 1", parent).execute(context())
    await step(resources, "DROP TABLE p", parent).execute(context(run_id="run-2"))
    assert await guarded.value("SELECT count(*) FROM watchdog.archive_p") == 1


async def test_a_rewritten_table_is_not_taken_for_an_emptied_one(
    guarded: Guarded, resources: Roles, context: Contexts
) -> None:
    text = "ALTER TABLE users ADD token uuid DEFAULT gen_random_uuid(); CREATE INDEX ON users (name)"
    await step(resources, text).execute(context())
    assert await guarded.value("SELECT count(DISTINCT token) FROM users") == 100


async def test_what_others_empty_meanwhile_does_not_stop_the_step(
    guarded: Guarded, resources: Roles, context: Contexts
) -> None:
    await guarded.fetch(SCORES + "CREATE TABLE staging AS SELECT 1")
    blocker = await psycopg.AsyncConnection.connect(guarded.admin_url)
    async with blocker:
        await blocker.execute("LOCK TABLE orders")
        task = asyncio.create_task(step(resources, "INSERT INTO orders (user_id) VALUES (1)").execute(context()))
        waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'orders'::regclass)"
        await eventually(lambda: guarded.value(waiting))
        await blocker.execute("TRUNCATE staging; DROP TABLE scores")
        await blocker.commit()
        await task
    assert await guarded.value("SELECT count(*) FROM orders") == 11
