import contextlib
import json
import socket
import subprocess
import time
from pathlib import Path

import httpx

from tests.cli.conftest import finish, start


def answering(process: "subprocess.Popen[str]", path: Path) -> httpx.Client:
    """A client, once the daemon listens."""
    deadline = time.monotonic() + 30
    while not listens(path):
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < deadline
        pause(process)
    return httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://watchdog", trust_env=False)


def listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as knock:
        return knock.connect_ex(str(path)) == 0


def pause(process: "subprocess.Popen[str]") -> None:
    """A moment, or less when it ends."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(0.05)


def test_a_daemon_runs_answers_and_ends_clean_on_a_signal(project: Path) -> None:
    path = project.parent / "state" / "watchdog.sock"
    process = start("run", "--config", str(project))
    try:
        with answering(process, path) as client:
            # The socket answers before every guard is read from the journal.
            while not (guards := client.get("/v1/status").json()["guards"]):
                pause(process)
            assert [one["guard"] for one in guards] == ["shop"]
        status = finish("status", "--config", str(project), "--json")
        assert json.loads(status.stdout)["guards"][0]["guard"] == "shop"
        process.terminate()
        _, errors = process.communicate(timeout=40)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert not path.exists()


def test_a_mistake_in_the_configuration_refuses_to_start(project: Path) -> None:
    project.write_text(project.read_text().replace("rules: [health]", "rules: [helth]"))
    ran = finish("run", "--config", str(project))
    assert ran.returncode == 1
    assert f"{project}:16: guards.shop.rules[0]: " in ran.stderr
    assert "`health`" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_second_daemon_on_the_same_state_is_refused(project: Path) -> None:
    process = start("run", "--config", str(project))
    try:
        answering(process, project.parent / "state" / "watchdog.sock").close()
        second = finish("run", "--config", str(project))
        assert process.poll() is None
    finally:
        process.terminate()
        process.communicate(timeout=40)
    assert second.returncode == 1
    assert "Traceback" not in second.stderr
    assert second.stderr.splitlines()[-1].startswith("watchdog: ")
