"""What a user sees when something that the daemon needs is wrong."""

import asyncio
import json
import resource
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from socket import create_server

import psycopg
from psycopg import sql

from tests.system.daemon_fixtures import Daemon, Project, command, edit, project, python, service, until
from watchdog.doubles.slack import SlackDouble

SECRET = "pl4nted-s3cret"


def unknown_signal(here: Project) -> str:
    edit(here.rules, "of: healthy,", "of: helthy,")
    return f"{here.rules}:12: rules.unhealthy.of: "


def unknown_target(here: Project) -> str:
    edit(here.playbook, "name: second, kind: http, target: api", "name: second, kind: http, target: apy")
    return f"{here.playbook}:8: rungs[0].steps[1].target: "


def empty_ladder(here: Project) -> str:
    here.playbook.write_text("version: 1\nrungs: []\n")
    return f"{here.playbook}:2: rungs: the ladder is empty"


def with_script(here: Project, script: str) -> None:
    edit(here.config, "targets:\n", 'targets:\n  db: {kind: postgres, url: "${env:SHOP_DB}"}\n')
    text = here.playbook.read_text()
    here.playbook.write_text(
        text[: text.index("      - {name: first")]
        + f"      - {{name: undo, kind: sql, target: db, timeout: 20s, script: {script}}}\n"
    )


def unreadable_script(here: Project) -> str:
    with_script(here, "{file: undo.sql}")
    return f"{here.playbook}:7: rungs[0].steps[0].script.file: "


def destructive_script(here: Project) -> str:
    with_script(here, "{file: undo.sql}")
    (here.playbook.parent / "undo.sql").write_text("SELECT 1;\nDROP TABLE users;\n")
    return f"{here.playbook.parent / 'undo.sql'}:2: "


def garbage(here: Project) -> str:
    here.config.write_text("version: 1\nguards: {shop: [\n")
    return f"{here.config}:3: "


def missing(here: Project) -> str:
    here.config.unlink()
    return f"{here.config}: the file cannot be read"


def long_socket(here: Project) -> str:
    edit(here.config, "web: {", f"web: {{socket: {'s' * 110}, ")
    return f"{here.config}:5: web.socket: "


def unset_variable(here: Project) -> str:
    edit(here.config, "SHOP_API", "SHOP_APY")
    return f"{here.config}:4: targets.api.url: the environment variable `SHOP_APY` is not set"


MISTAKES: tuple[Callable[[Project], str], ...] = (
    unknown_signal,
    unknown_target,
    empty_ladder,
    unreadable_script,
    destructive_script,
    garbage,
    missing,
    long_socket,
    unset_variable,
)


EACH = """
import json, sys
from typer.testing import CliRunner
from watchdog.cli import app
for verb, config in zip(sys.argv[1::2], sys.argv[2::2]):
    ran = CliRunner().invoke(app, [verb, "--config", config])
    print(json.dumps([ran.exit_code, ran.stdout + ran.stderr]))
"""
"""Runs many commands in one process: most of what a command takes is its start."""


async def test_every_mistake_in_the_files_is_found_by_check_and_refuses_to_run() -> None:
    with ExitStack() as projects:
        made = [projects.enter_context(project(SHOP_DB="postgresql://127.0.0.1:9/shop")) for _ in MISTAKES]
        expected = [mistake(here) for mistake, here in zip(MISTAKES, made, strict=True)]
        words = [word for here in made for verb in ("check", "run") for word in (verb, str(here.config))]
        ran = await python("-c", EACH, *words, env=made[0].env)
        answers = iter(json.loads(line) for line in ran.out.splitlines())
        for mistake, here, problem in zip(MISTAKES, made, expected, strict=True):
            for verb in ("check", "run"):
                status, said = next(answers)
                assert (verb, mistake.__name__, status) == (verb, mistake.__name__, 1), said
                assert problem in said
                assert "Traceback" not in said
            assert not here.state.exists()


LEDGER = """
  ledger:
    demo: true
    rules: [ledger]
    playbook: emergency
    plan: quick
    every: 200ms
"""

LEDGER_RULES = """\
version: 1
signals:
  - probe: sql_check
    target: db
    every: 200ms
    timeout: 5s
    read:
      orphans: {query: {text: "SELECT 1 WHERE false"}}
rules:
  orphans: {kind: check, of: [orphans], expect: zero, enters: flag}
"""


def with_ledger(here: Project, url: str) -> None:
    """A second guard, over a database whose address stands in a file."""
    edit(here.config, "targets:\n", f'targets:\n  db: {{kind: postgres, url: "${{file:{here.directory}/url}}"}}\n')
    (here.directory / "url").write_text(url)
    here.config.write_text(here.config.read_text() + LEDGER.lstrip("\n"))
    (here.rules.parent / "ledger.yaml").write_text(LEDGER_RULES)


async def verdicts(daemon: Daemon, guard: str = "shop") -> set[str]:
    return {rule["verdict"] for rule in (await daemon.guard(guard))["rules"]}


async def is_judged(daemon: Daemon, guard: str, verdict: str) -> bool:
    return await verdicts(daemon, guard) == {verdict}


async def everything_said(daemon: Daemon) -> str:
    """All that a daemon shows, says and keeps, as text."""
    config = ("--config", str(daemon.project.config))
    status = await command("status", *config, env=daemon.project.env)
    shown = [await daemon.status(), await daemon.all_events()]
    served = [(await daemon.web(path)).text for path in ("/metrics", "/health/ready")]
    assert await daemon.stop() == 0
    kept = daemon.project.everything_kept().decode("latin-1")
    return "\n".join([daemon.err, daemon.out, json.dumps(shown), *served, status.out, status.err, kept])


async def test_a_wrong_password_blinds_one_guard_and_is_never_shown(pg_database: str) -> None:
    async with (
        service() as shop,
        await psycopg.AsyncConnection.connect(pg_database, autocommit=True) as admin,
    ):
        user = f"ledger_{admin.info.dbname}"
        place = f"127.0.0.1:{admin.info.port}/{admin.info.dbname}"
        await admin.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(user), sql.Literal(f"right-{SECRET}"))
        )
        with project(shop.url.replace("//", f"//watcher:{SECRET}@")) as here:
            with_ledger(here, f"postgresql://{user}:wrong-{SECRET}@{place}")
            async with await Daemon.start(here) as daemon:
                await daemon.watching()
                await until(lambda: is_judged(daemon, "shop", "ok"), "the other guard is watched")
                await until(lambda: is_judged(daemon, "ledger", "no data"), "the guard has no data")
                [rule] = (await daemon.guard("ledger"))["rules"]
                assert f"db ({place})" in rule["sentence"]
                assert "password authentication failed" in rule["sentence"]
                [said] = daemon.logged("a probe has no answer", guard="ledger", probe="sql_check:db")
                assert "password authentication failed" in said["error"]
                ready = (await daemon.web("/health/ready")).json()
                assert ready["ready"]
                assert f"ledger: db ({place})" in ready["reason"]
                (here.directory / "url").write_text(f"postgresql://{user}:right-{SECRET}@{place}")
                await until(lambda: is_judged(daemon, "ledger", "ok"), "it sees again")
                assert daemon.logged("a probe has answers again", guard="ledger", probe="sql_check:db")
                assert (await daemon.status())["reason"] == "watching"
                assert SECRET not in await everything_said(daemon)
        await admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(user)))


async def test_a_target_that_is_down_at_start_is_waited_for() -> None:
    async with service() as shop:
        await shop.stop()
        with project(shop.url) as here:
            async with await Daemon.start(here) as daemon:
                await daemon.watching()
                await until(lambda: is_judged_breach(daemon), "it is judged")
                [said] = daemon.logged("a probe has no answer", guard="shop", probe="http:api")
                assert f"api (127.0.0.1:{shop.port}) does not answer" in said["error"]
                status = await command("status", "--config", str(here.config), env=here.env)
                assert f"api (127.0.0.1:{shop.port}) does not answer" in status.out
                assert "does not answer" in (await daemon.status())["reason"]
                assert (await daemon.guard())["incident"] is None
                await shop.start()
                await until(lambda: is_judged(daemon, "shop", "ok"), "it is watched")
                assert (await daemon.status())["reason"] == "watching"
                assert await daemon.stop() == 0


def with_slack(here: Project) -> None:
    """It tells people in Slack."""
    slack = '{kind: slack, bot_token: "${env:BOT}", app_token: "${env:APP}", api_url: "${env:SLACK}"}'
    edit(here.config, "{kind: log}", slack)
    edit(here.config, "to: people", "to: incidents")


async def notices(daemon: Daemon) -> dict[str, str]:
    return {one["outcome"]: one["detail"] for one in (await daemon.guard())["notices"]}


async def test_a_wrong_slack_token_is_said_and_hinders_nothing() -> None:
    double = await SlackDouble.start(bot_token="xoxb-right", app_token="xapp-right")
    try:
        async with service() as shop:
            with project(shop.url, BOT=f"xoxb-{SECRET}", APP=f"xapp-{SECRET}", SLACK=double.api_url) as here:
                with_slack(here)
                async with await Daemon.start(here) as daemon:
                    await daemon.watching()
                    await until(lambda: daemon.logged("slack socket is not connected"), "it says so")
                    assert "app_token" in daemon.logged("slack socket is not connected")[0]["error"]
                    await daemon.release()
                    await daemon.trigger()
                    await until(daemon.run_ended, "it acts all the same")
                    assert shop.done == ["first", "second"]
                    await until(lambda: has_notice(daemon, "failed", "bot_token"), "the notices failed")
                    assert SECRET not in await everything_said(daemon)
        assert double.messages("incidents") == []
    finally:
        await double.stop()


async def has_notice(daemon: Daemon, outcome: str, detail: str = "") -> bool:
    return detail in (await notices(daemon)).get(outcome, " none ")


async def test_slack_that_is_down_at_start_hears_of_it_when_it_is_back() -> None:
    with create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with service() as shop:
        with project(shop.url, BOT="xoxb-right", APP="xapp-right", SLACK=f"http://127.0.0.1:{port}/api/") as here:
            with_slack(here)
            async with await Daemon.start(here) as daemon:
                await daemon.watching()
                await daemon.release()
                await daemon.trigger()
                await until(daemon.run_ended, "it acts all the same")
                await until(lambda: daemon.logged("a notice was not sent"), "it says so")
                double = await SlackDouble.start(port=port, bot_token="xoxb-right", app_token="xapp-right")
                try:
                    await until(lambda: double.messages("incidents"), "people are told")
                    await until(lambda: double.connections, "buttons reach it")
                    assert await daemon.stop() == 0
                finally:
                    await double.stop()


async def refused(here: Project) -> str:
    """What a daemon says that does not start."""
    ran = await python("-m", "watchdog", "run", "--config", str(here.config), env=here.env)
    assert ran.status == 1, ran.err
    assert "Traceback" not in ran.err
    return ran.err


async def test_a_journal_that_is_not_ours_is_left_as_it_is() -> None:
    with project() as here:
        async with await Daemon.start(here) as daemon:
            await daemon.watching()
            assert await daemon.stop() == 0
        with closing(sqlite3.connect(here.journal)) as journal, journal:
            journal.execute("UPDATE meta SET version = 99")
        assert f"The journal {here.journal} has version 99" in await refused(here)
        here.journal.write_text("dear diary")
        assert f"The journal {here.journal} is not a database" in await refused(here)
        assert here.journal.read_text() == "dear diary"
        here.journal.unlink()
        with closing(sqlite3.connect(here.journal)) as other, other:
            other.execute("CREATE TABLE users (id)")
        assert f"The journal {here.journal} is a database of something else" in await refused(here)
        here.journal.unlink()
        (here.state / "samples.db").write_text("dear diary")
        assert f"The sample store {here.state / 'samples.db'} is not a database" in await refused(here)


async def test_a_second_daemon_names_the_first() -> None:
    with project() as here:
        async with await Daemon.start(here) as daemon:
            await daemon.watching()
            said = await refused(here)
            assert f"The journal {here.journal} is held by process {daemon.pid} on " in said
            assert daemon.logged("watching")
            assert (await daemon.guard())["epoch"] == 1
            assert await daemon.stop() == 0


async def test_a_state_directory_that_cannot_be_made_is_named() -> None:
    with project() as here:
        here.state.write_text("a file is in the way")
        assert f"The state directory {here.state} cannot be made (" in await refused(here)
        here.state.unlink()
        edit(here.config, "state: state", "state: /proc/nowhere")
        assert "The state directory /proc/nowhere cannot be made (" in await refused(here)


async def test_a_port_of_the_metrics_that_is_taken_is_named_before_anything_is_claimed() -> None:
    with create_server(("127.0.0.1", 0)) as taken, project() as here:
        port = taken.getsockname()[1]
        edit(here.config, "127.0.0.1:0", f"127.0.0.1:{port}")
        assert f"cannot serve metrics at 127.0.0.1:{port} (Address already in use)" in await refused(here)
        with closing(sqlite3.connect(here.journal)) as journal:
            assert journal.execute("SELECT count(*) FROM streams").fetchone() == (0,)
        assert not here.socket.exists()


class FullDisk:
    """No file of a daemon can be written any more, until it is taken away."""

    def __init__(self, daemon: Daemon) -> None:
        self._pid = daemon.pid
        self._before = resource.prlimit(self._pid, resource.RLIMIT_FSIZE)

    def __enter__(self) -> None:
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (0, self._before[1]))

    def __exit__(self, *_error: object) -> None:
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, self._before)


async def is_ready(daemon: Daemon) -> bool:
    return bool((await daemon.status())["ready"])


async def is_blind(daemon: Daemon) -> bool:
    return "no new run can start: The journal" in (await daemon.status())["reason"]


async def is_unready(daemon: Daemon) -> bool:
    return (await daemon.web("/health/ready")).status_code == 503


async def test_while_the_journal_has_no_room_nothing_begins_and_it_goes_on_by_itself() -> None:
    async with service() as shop:
        with project(shop.url) as here:
            async with await Daemon.start(here) as daemon:
                await daemon.watching()
                await until(lambda: is_judged(daemon, "shop", "ok"), "it is judged")
                await daemon.release()
                with FullDisk(daemon):
                    answer = await daemon.post("trigger", {"reason": "customers call", "rung": "flag"})
                    assert answer.status_code == 503
                    assert str(here.journal) in answer.json()["error"]
                    await until(lambda: is_blind(daemon), "it says so")
                    await until(lambda: is_unready(daemon), "its health says so")
                    shop.well = False
                    await until(lambda: is_judged_breach(daemon), "the breach is seen")
                    assert (await daemon.guard())["incident"] is None
                    assert shop.asked == []
                await until(lambda: is_ready(daemon), "there is room")
                await until(daemon.run_ended, "it goes on")
                assert shop.done == ["first", "second"]
                assert len(daemon.logged("the journal can be written again")) >= 1
                assert await daemon.stop() == 0


async def is_judged_breach(daemon: Daemon) -> bool:
    return "breach" in await verdicts(daemon)


async def test_a_disk_that_fills_up_within_a_step_costs_nothing_and_no_processor() -> None:
    async with service() as shop:
        gate = shop.gates["first"] = asyncio.Event()
        with project(shop.url) as here:
            async with await Daemon.start(here) as daemon:
                await daemon.watching()
                await daemon.release()
                await daemon.trigger()
                await until(lambda: shop.asked, "the first step is under way")
                with FullDisk(daemon):
                    gate.set()
                    await until(lambda: is_blind(daemon), "it says so")
                    before = len(daemon.lines)
                    await daemon.judged_again(5)
                    assert len(daemon.lines) - before < 60
                    assert shop.asked == ["first"]
                await until(daemon.run_ended, "it goes on")
                assert shop.asked == ["first", "second"]
                assert await daemon.stop() == 0
