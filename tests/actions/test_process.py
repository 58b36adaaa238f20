import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.actions.conftest import Contexts, Plain, Roles
from watchdog.actions.process import KIND, ProcessActionOptions
from watchdog.model.time import MILLISECOND, SECOND
from watchdog.ports.actions import Action, Applied
from watchdog.ports.errors import FencedError, StepError
from watchdog.ports.kinds import Duration
from watchdog.servers.process import free_port
from watchdog.targets.process import ProcessOptions, ProcessTarget

SERVICE = """
import http.server, signal, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()
    def log_message(self, *_): print("asked", flush=True)
class Server(http.server.HTTPServer):
    allow_reuse_address = True
if "--stubborn" in sys.argv: signal.signal(signal.SIGTERM, signal.SIG_IGN)
Server(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""
FACTS = {"old_version": "v1", "new_version": "v2"}


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[ProcessTarget]:
    script = tmp_path / "service.py"
    script.write_text(SERVICE)
    port = free_port()
    base = (sys.executable, str(script), str(port))
    target = ProcessTarget(
        "service",
        ProcessOptions(
            versions={
                "v1": (*base, "v1"),
                "v2": (*base, "v2"),
                "stubborn": (*base, "--stubborn"),
                "broken": (sys.executable, "-c", "raise SystemExit('no such table')"),
                "absent": (str(tmp_path / "nothing"),),
            },
            env={"TOKEN": Plain("a-secret")},
            pid_file=str(tmp_path / "service.pid"),
            log=str(tmp_path / "service.log"),
            ready_url=f"http://127.0.0.1:{port}/health",
            stop_timeout=Duration(500 * MILLISECOND),
            ready_timeout=Duration(10 * SECOND),
        ),
    )
    yield target
    running = target.running()
    if running and running.version:
        target.send_kill(running)


def read(path: str) -> str:
    return Path(path).read_text()


def record(target: ProcessTarget, pid: int) -> None:
    Path(target.options.pid_file).write_text(f"{pid}\n")


def step(target: ProcessTarget, do: str, version: str = "{old_version}") -> Action:
    options = ProcessActionOptions(do=do, version=version)  # type: ignore[arg-type]
    return KIND.build("service", options, Roles({"service": target}))


async def test_a_version_is_started_found_running_and_stopped(service: ProcessTarget, context: Contexts) -> None:
    start, stop = step(service, "start"), step(service, "stop")
    mine = context(facts=FACTS)
    assert (await start.verify(mine)).applied is Applied.NO
    said = await start.execute(mine)
    running = service.running()
    assert running
    assert said == f"version v1 runs as process {running.pid} and is ready"
    assert await start.execute(mine) == said, "it is left alone"
    assert service.running() == running
    assert (await start.verify(mine)).applied is Applied.YES
    assert (await stop.verify(mine)).applied is Applied.NO
    assert (await stop.execute(mine)).startswith(f"stopped version v1 (process {running.pid})")
    assert not running.alive
    assert (await stop.verify(mine)).applied is Applied.YES
    assert await stop.execute(mine) == "service does not run"


async def test_another_version_must_be_stopped_first(service: ProcessTarget, context: Contexts) -> None:
    await step(service, "start", "v2").execute(context())
    with pytest.raises(StepError, match="version v2 still runs"):
        await step(service, "start").execute(context(facts=FACTS))
    assert (await step(service, "start").verify(context(facts=FACTS))).applied is Applied.NO


async def test_one_that_ignores_the_request_is_killed(service: ProcessTarget, context: Contexts) -> None:
    await step(service, "start", "stubborn").execute(context())
    running = service.running()
    assert "killed version stubborn" in await step(service, "stop").execute(context())
    assert running
    assert not running.alive


async def test_one_started_by_somebody_else_is_known_by_its_command(service: ProcessTarget, context: Contexts) -> None:
    other = await asyncio.create_subprocess_exec(*service.command("v2"))
    try:
        record(service, other.pid)
        await step(service, "stop").execute(context())
        assert await other.wait() == -signal.SIGTERM
    finally:
        with suppress(ProcessLookupError):
            other.kill()
        await other.wait()


async def test_a_stranger_with_the_number_in_the_pid_file_is_left_alone(
    service: ProcessTarget, context: Contexts
) -> None:
    record(service, os.getppid())
    for do in ("stop", "start"):
        with pytest.raises(StepError, match="none of the target's versions"):
            await step(service, do, "v1").execute(context())


async def test_a_pid_file_that_is_just_being_written_is_waited_for(service: ProcessTarget, context: Contexts) -> None:
    await step(service, "start", "v1").execute(context())
    running = service.running()
    assert running
    file = Path(service.options.pid_file)
    for do, applied in (("start", Applied.YES), ("stop", Applied.NO)):
        file.write_text("")  # opened for writing, not written yet
        looking = asyncio.create_task(step(service, do, "v1").verify(context()))
        await asyncio.sleep(0.02)
        record(service, running.pid)
        assert (await looking).applied is applied
    file.write_text("")
    starting = asyncio.create_task(step(service, "start", "v1").execute(context()))
    await asyncio.sleep(0.02)
    record(service, running.pid)
    assert await starting == f"version v1 runs as process {running.pid} and is ready"


async def test_a_pid_file_that_stays_empty_is_a_failure(service: ProcessTarget, context: Contexts) -> None:
    Path(service.options.pid_file).write_text("")
    with pytest.raises(StepError, match="holds no process number"):
        await step(service, "stop").execute(context())
    Path(service.options.pid_file).unlink()


async def test_a_version_that_ends_at_once_names_its_log(service: ProcessTarget, context: Contexts) -> None:
    with pytest.raises(StepError, match=r"version broken ended at once; its log is .*service\.log"):
        await step(service, "start", "broken").execute(context())
    assert "no such table" in read(service.options.log)


async def test_a_command_that_does_not_exist_is_said_at_once(service: ProcessTarget, context: Contexts) -> None:
    with pytest.raises(StepError, match="No such file or directory"):
        await step(service, "start", "absent").execute(context())


async def test_an_unknown_version_or_fact_starts_nothing(service: ProcessTarget, context: Contexts) -> None:
    with pytest.raises(StepError, match="no version 'v9', only v1, v2"):
        await step(service, "start", "v9").execute(context())
    with pytest.raises(StepError, match="knows no old_version"):
        await step(service, "start").execute(context())
    assert service.running() is None


async def test_it_gets_its_own_secrets_and_none_of_ours(
    service: ProcessTarget, context: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_TOKEN", "xoxb")
    await step(service, "start", "v1").execute(context())
    running = service.running()
    assert running
    environment = read(f"/proc/{running.pid}/environ")
    assert "TOKEN=a-secret" in environment
    assert "xoxb" not in environment
    assert "a-secret" not in read(f"/proc/{running.pid}/cmdline")


async def test_it_outlives_the_process_that_started_it(service: ProcessTarget, context: Contexts) -> None:
    await step(service, "start", "v1").execute(context())
    running = service.running()
    assert running
    assert os.getsid(running.pid) == running.pid, "a session of its own: no signal to ours reaches it"
    parent = int(read(f"/proc/{running.pid}/stat").rpartition(")")[2].split()[1])
    assert parent != os.getpid()


async def test_a_stale_leader_stops_nothing(service: ProcessTarget, context: Contexts) -> None:
    await step(service, "start", "v1").execute(context(epoch=3))
    with pytest.raises(FencedError, match="epoch 3"):
        await step(service, "stop").execute(context(epoch=2))
    running = service.running()
    assert running
    assert running.alive


async def test_a_stop_that_is_cancelled_can_be_verified(service: ProcessTarget, context: Contexts) -> None:
    await step(service, "start", "stubborn").execute(context())
    stop = step(service, "stop")
    task = asyncio.create_task(stop.execute(context()))
    await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert (await stop.verify(context())).applied is Applied.NO


async def test_a_preview_says_what_runs(service: ProcessTarget, context: Contexts) -> None:
    assert await step(service, "stop").preview(context()) == "would stop service (nothing runs)"
    assert "would start version v1" in await step(service, "start").preview(context(facts=FACTS))
