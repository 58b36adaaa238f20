import json
import os
import signal
import subprocess
import sys

import httpx


def test_a_double_says_where_it_is_answers_and_ends_on_a_signal() -> None:
    command = [sys.executable, "-m", "watchdog", "slack", "double", "--channel", "incidents"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    try:
        assert process.stdout is not None
        page = process.stdout.readline().split(" is at ")[1].split(";")[0]
        exports = dict(process.stdout.readline().removeprefix("export ").strip().split("=", 1) for _ in range(3))
        assert set(exports) == {"SLACK_API_URL", "SLACK_BOT_TOKEN", "SLACK_APP_TOKEN"}
        answer = httpx.post(
            exports["SLACK_API_URL"] + "auth.test",
            headers={"Authorization": f"Bearer {exports['SLACK_BOT_TOKEN']}"},
            trust_env=False,
        )
        assert answer.json()["ok"] is True
        assert "incidents" in httpx.get(page, trust_env=False).text
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0


def test_machines_get_its_addresses_as_one_value() -> None:
    command = [sys.executable, "-m", "watchdog", "slack", "double", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    try:
        assert process.stdout is not None
        text = "".join(iter(process.stdout.readline, "}\n")) + "}"
        assert set(json.loads(text)) == {"page", "SLACK_API_URL", "SLACK_BOT_TOKEN", "SLACK_APP_TOKEN"}
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
