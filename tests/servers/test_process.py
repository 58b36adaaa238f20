"""Children that die with us, and only with us."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from watchdog.servers.errors import ServerError
from watchdog.servers.process import HOST, Process, descendants, free_port, is_alive

PYTHON = str(Path(sys.executable).absolute())
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)
PARENT = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("up", flush=True)
time.sleep(600)
"""
STARTS_SERVERS = """
import asyncio, json, sys
from pathlib import Path
from watchdog.servers.postgres import PostgresServer
from watchdog.servers.process import descendants
from watchdog.servers.redis import RedisServer
import os

async def main():
    data = Path(sys.argv[1])
    await PostgresServer.start(data / "postgres")
    await RedisServer.start(data / "redis")
    print(json.dumps(sorted(descendants(os.getpid()))), flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def until(condition: Callable[[], bool], within: float = 10) -> None:
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - the state of processes announces nothing
            await asyncio.sleep(0.02)


async def start(code: str, tmp_path: Path) -> Process:
    """A Python process that has said that it is up."""
    process = Process.start("A child", [PYTHON, "-c", code], log=tmp_path / "log")
    await until(lambda: "up" in process.output())
    return process


async def test_servers_end_when_the_process_that_started_them_is_killed(server_dir: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        PYTHON, "-c", STARTS_SERVERS, str(server_dir), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    family = json.loads(await parent.stdout.readline())
    try:
        assert len(family) > 4
        assert all(is_alive(pid) for pid in family)

        parent.kill()
        await parent.communicate()

        await until(lambda: not any(is_alive(pid) for pid in family))
    finally:
        for pid in filter(is_alive, family):
            os.kill(pid, signal.SIGKILL)


async def test_a_child_has_a_session_of_its_own_so_that_control_c_passes_it_by(tmp_path: Path) -> None:
    process = await start("print('up', flush=True); import time; time.sleep(600)", tmp_path)
    assert os.getsid(process.pid) == process.pid != os.getsid(0)
    await process.stop()


async def test_a_child_that_ignores_the_request_to_end_is_killed_after_the_grace(tmp_path: Path) -> None:
    process = await start(STUBBORN, tmp_path)
    await process.stop(grace=0.1)
    assert process.returncode == -signal.SIGKILL
    assert not is_alive(process.pid)


async def test_a_kill_reaches_children_in_other_sessions(tmp_path: Path) -> None:
    process = await start(PARENT, tmp_path)
    (child,) = descendants(process.pid)
    assert os.getsid(child) == child
    process.kill()
    await process.gone()
    assert not is_alive(child)


async def test_a_child_sees_nothing_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "our secret")
    process = await start("import os; print(sorted(os.environ), 'up', flush=True)", tmp_path)
    assert await process.wait(10) == 0
    assert process.output().startswith("['LC_ALL', 'PATH', 'TZ']")


async def test_a_child_that_ends_too_soon_is_reported_with_this_runs_output_only(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("of an earlier run\n")
    command = [PYTHON, "-c", "raise SystemExit('no disk')"]
    process = Process.start("The thing", command, log=tmp_path / "log")

    async def never() -> bool:
        return False

    with pytest.raises(ServerError, match=r"(?s)The thing: ended with status 1\..*no disk") as caught:
        await process.ready(never, within=10)
    assert "earlier" not in str(caught.value)


async def test_a_child_that_is_never_ready_is_killed(tmp_path: Path) -> None:
    process = await start("print('up', flush=True); import time; time.sleep(600)", tmp_path)

    async def never() -> bool:
        return False

    with pytest.raises(ServerError, match="not ready in"):
        await process.ready(never, within=0.1)
    assert not is_alive(process.pid)


async def test_a_command_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    process = Process.start("The thing", [tmp_path / "absent"], log=tmp_path / "log")
    assert await process.wait(10) != 0
    assert "No such file or directory" in str(process.failed("did not start"))


async def test_a_free_port_can_be_listened_on() -> None:
    port = free_port()
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), HOST, port)
    async with server:
        assert server.sockets[0].getsockname() == (HOST, port)
