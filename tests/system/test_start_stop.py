import signal
import stat
from socket import create_server

import psycopg
import pytest

from tests.system.daemon_fixtures import Daemon, Project, command, edit, project, service, until

SQL_STEPS = """\
    steps:
      - name: first
        kind: sql
        target: db
        timeout: 30s
        lock_timeout: 25s
        script: {text: "INSERT INTO acted VALUES ('first')"}
      - {name: second, kind: sql, target: db, timeout: 20s, script: {text: "INSERT INTO acted VALUES ('second')"}}
"""

IMPATIENT = (
    "-c",
    "import sys, watchdog.runtime.daemon as daemon, watchdog.cli as cli; daemon.DRAIN_SECONDS = 0.3; cli.main()",
)
"""Runs the command with a daemon that parks a step under way almost at once."""


def with_database(here: Project) -> None:
    """Its steps act on a database."""
    edit(here.config, "targets:\n", 'targets:\n  db: {kind: postgres, url: "${env:SHOP_DB}"}\n')
    text = here.playbook.read_text()
    here.playbook.write_text(text[: text.index("    steps:")] + SQL_STEPS)


async def rows(connection: psycopg.AsyncConnection, query: str) -> list[str]:
    return [str(row[0]) for row in await (await connection.execute(query.encode())).fetchall()]


async def test_it_watches_serves_and_leaves_nothing_behind() -> None:
    async with service() as shop:
        with project(shop.url) as here:
            async with await Daemon.start(here) as daemon:
                await daemon.watching()
                assert stat.S_IMODE(here.socket.stat().st_mode) == 0o600
                assert stat.S_IMODE(here.journal.stat().st_mode) == 0o600
                live, ready, metrics = [
                    await daemon.web(path) for path in ("/health/live", "/health/ready", "/metrics")
                ]
                assert (live.status_code, live.json()) == (200, {"live": True})
                assert (ready.status_code, ready.json()) == (200, {"ready": True, "reason": "watching"})
                assert "watchdog_ready 1.0" in metrics.text
                assert 'watchdog_epoch{guard="shop"} 1.0' in metrics.text
                assert (await daemon.web("/v1/status")).status_code == 404
                daemon.signal(signal.SIGTERM)
                assert await daemon.ended(10) == 0
            assert daemon.session_is_gone()
            assert not here.socket.exists()


async def test_what_a_killed_daemon_left_does_not_hinder_the_next() -> None:
    with project() as here:
        async with await Daemon.start(here) as first:
            await first.watching()
            await first.kill()
        assert here.socket.exists()
        async with await Daemon.start(here) as second:
            await second.watching()
            assert (await second.guard())["epoch"] == 2
            assert await second.stop() == 0
        assert not here.socket.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_the_step_under_way_finish_and_the_next_start_goes_on(
    pg_database: str, number: signal.Signals
) -> None:
    async with (
        service() as shop,
        await psycopg.AsyncConnection.connect(pg_database, autocommit=True) as connection,
    ):
        await connection.execute("CREATE TABLE acted (step text)")
        await connection.execute("BEGIN")
        await connection.execute("LOCK TABLE acted IN SHARE ROW EXCLUSIVE MODE")
        with project(shop.url, SHOP_DB=pg_database) as here:
            with_database(here)
            async with await Daemon.start(here) as first:
                await first.watching()
                await first.release()
                await first.trigger()
                await until(lambda: waits(connection), "the first step waits for its lock")
                first.signal(number)
                await until(lambda: stopping(first), "it stops")
                await connection.execute("COMMIT")
                assert await first.ended(15) == 0
            assert await rows(connection, "SELECT step FROM acted") == ["first"]
            assert await rows(connection, "SELECT count(*) FROM watchdog.receipts") == ["1"]
            assert await sessions(connection) == []
            async with await Daemon.start(here) as second:
                await until(second.run_ended, "the run ends")
                assert (await second.events()).count("StepIntended") == 2
                assert await second.stop() == 0
            assert await rows(connection, "SELECT step FROM acted") == ["first", "second"]


async def stopping(daemon: Daemon) -> bool:
    """Whether it says that it is about to end."""
    return bool((await daemon.status())["reason"] == "stopping")


async def waits(connection: psycopg.AsyncConnection) -> bool:
    """Whether somebody waits for the table."""
    return bool(await rows(connection, "SELECT pid FROM pg_locks WHERE relation = 'acted'::regclass AND NOT granted"))


async def sessions(connection: psycopg.AsyncConnection) -> list[str]:
    """The daemon's sessions in this database."""
    return await rows(
        connection,
        "SELECT application_name FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name LIKE 'watchdog%'",
    )


async def test_a_parked_step_is_verified_and_acted_once(pg_database: str) -> None:
    async with (
        service() as shop,
        await psycopg.AsyncConnection.connect(pg_database, autocommit=True) as connection,
    ):
        await connection.execute("CREATE TABLE acted (step text)")
        await connection.execute("BEGIN")
        await connection.execute("LOCK TABLE acted IN SHARE ROW EXCLUSIVE MODE")
        with project(shop.url, SHOP_DB=pg_database) as here:
            with_database(here)
            async with await Daemon.start(here, IMPATIENT) as first:
                await first.watching()
                await first.release()
                await first.trigger()
                await until(lambda: waits(connection), "the first step waits for its lock")
                first.signal(signal.SIGTERM)
                assert await first.ended(10) == 0
                assert first.logged("a step is parked; it is verified at the next start", guard="shop")
            assert not await waits(connection)
            assert await rows(connection, "SELECT step FROM acted") == []
            await connection.execute("COMMIT")
            async with await Daemon.start(here) as second:
                await until(second.run_ended, "the run ends")
                assert "StepReset" in await second.events()
                assert await second.stop() == 0
            assert await rows(connection, "SELECT step FROM acted") == ["first", "second"]


async def test_a_service_that_takes_connections_and_says_nothing_does_not_keep_it_from_ending() -> None:
    deaf = create_server(("127.0.0.1", 0))
    with deaf, project(f"http://127.0.0.1:{deaf.getsockname()[1]}") as here:
        async with await Daemon.start(here, IMPATIENT) as daemon:
            await daemon.watching()
            await daemon.release()
            await daemon.trigger()
            await until(lambda: daemon.has("StepIntended"), "the step is under way")
            daemon.signal(signal.SIGTERM)
            assert await daemon.ended(10) == 0


async def test_a_person_goes_through_an_incident_on_the_command_line() -> None:
    async with service() as shop:
        with project(shop.url) as here:
            config = ("--config", str(here.config))
            async with await Daemon.start(here) as daemon:
                await daemon.watching()
                nobody = await command("trigger", "--guard", "shop", *config, env=here.env)
                empty = await command("trigger", "--guard", "shop", "--reason", " ", *config, env=here.env)
                assert (nobody.status, empty.status) == (2, 2)
                assert "--reason" in nobody.err
                assert "reason" in empty.err
                assert (await daemon.guard())["incident"] is None
                await daemon.release()
                said = await command(
                    *("trigger", "--guard", "shop", "--reason", "customers call", "--rung", "flag"),
                    *("--kind", "support-escalation", *config),
                    env=here.env,
                )
                assert said.status == 0, said.err
                assert "support escalation: customers call" in said.out
                await until(daemon.run_ended, "the run ends")
                listed = await command("incident", "list", *config, env=here.env)
                shown = await command("incident", "show", "shop-1", *config, env=here.env)
                acked = await command("incident", "ack", "shop-1", *config, env=here.env)
                assert "shop-1" in listed.out
                assert "first: done" in shown.out
                assert "POST /first answered 200" in shown.out
                assert acked.status == 0, acked.err
                status = await command("status", *config, env=here.env)
                resolved = await command("incident", "resolve", "shop-1", "--reason", "seen", *config, env=here.env)
                unknown = await command("incident", "show", "shop-9", *config, env=here.env)
                assert "shop" in status.out
                assert resolved.status == 0, resolved.err
                assert (unknown.status, "no incident shop-9" in unknown.err) == (1, True)
                closed = (await daemon.guard())["incident"]
                assert closed["acknowledged"]["who"].count("@") == 1
                assert closed["resolved_at"] is not None
                assert await daemon.stop() == 0
            gone = await command("status", *config, env=here.env)
            assert gone.status == 1
            assert f"no daemon answers at {here.socket}" in gone.err
