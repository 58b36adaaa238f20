"""The daemon itself, as a process: the job is at work in it."""

import signal

import psycopg
import pytest

from tests.cli.conftest import Live, Watchdog, live, place, watchdog
from tests.system.daemon_fixtures import Daemon, Project, edit, project, service, until
from watchdog.model.releases import Protection, Release

__all__ = ["live", "place", "watchdog"]

TABLE = "CREATE TABLE schema_migrations (version varchar(128) PRIMARY KEY)"


def discovering(here: Project) -> None:
    edit(here.config, "targets:\n  api:", 'targets:\n  db: {kind: postgres, url: "${env:SHOP_DB}"}\n  api:')
    edit(here.config, "    resolve_after: 1h\n", "    resolve_after: 1h\n    discover: {targets: [db], every: 200ms}\n")


async def has_release(daemon: Daemon) -> bool:
    found = (await daemon.guard())["release"]
    return found is not None and found["state"] == "baking"


async def test_a_running_daemon_discovers_and_one_that_was_down_catches_up(pg_database: str) -> None:
    async with (
        service() as shop,
        await psycopg.AsyncConnection.connect(pg_database, autocommit=True) as connection,
    ):
        await connection.execute(TABLE)
        with project(shop.url, SHOP_DB=pg_database) as here:
            discovering(here)
            memory = here.state / "discovered" / "shop.db.json"
            async with await Daemon.start(here) as daemon:
                await daemon.watching()
                await until(memory.exists, "the first look is kept")
                assert memory.stat().st_mode & 0o777 == 0o600
                daemon.signal(signal.SIGTERM)
                assert await daemon.ended(20) == 0
            await connection.execute("INSERT INTO schema_migrations VALUES ('20260101')")
            async with await Daemon.start(here) as daemon:
                await daemon.watching()
                await until(lambda: has_release(daemon), "the release is found and armed")
                found = (await daemon.guard())["release"]
                assert found["migrations"] == ["dbmate: 20260101"]
                assert found["protection"] == "code-only"
                [line] = daemon.logged("a release that nobody announced")
                assert line["seen"] == ["db: dbmate in public.schema_migrations: 20260101 applied"]


@pytest.mark.parametrize(
    ("release", "shown"),
    [
        (Release("found-20260101-000000", ("alembic: two",)), "--tool alembic -- alembic upgrade head"),
        (Release("found-20260101-000000", ("ALTER TABLE a",)), "watchdog migration apply FILE.sql"),
        (Release("found-20260101-000000", (), new_version="v2"), "watchdog release start --guard GUARD"),
        (Release("r1", ("two",), protection=Protection.FULL), ""),
        (Release("r1", ("two",)), ""),
    ],
)
def test_status_says_how_the_next_one_gets_full_protection(
    live: Live, watchdog: Watchdog, release: Release, shown: str
) -> None:
    live.seconds(20)
    live.do(live.site.daemon.start_release("shop", release))
    lines = watchdog("status").output.splitlines()
    [at] = [number for number, line in enumerate(lines) if f"protection {release.protection}" in line]
    said = [line for line in lines if "Next time" in line]
    assert (said == [lines[at + 1]] and shown in said[0]) if shown else said == []
