import asyncio
import itertools
import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from watchdog.demo import before, checks, ledger
from watchdog.demo.before import Systems
from watchdog.demo.checks import Evidence
from watchdog.demo.stack import Stack
from watchdog.targets.neo4j import Neo4jTarget


async def _load(compliance: Stack, tmp_path: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "watchdog.demo.load", "--url", compliance.service_url, "--sizes", "small"),
        *("--ledger", str(tmp_path / "ledger.jsonl"), "--summary", str(tmp_path / "summary.json")),
        *("--workers", "8"),
    )


async def _requests(tmp_path: Path, more_than: int) -> None:
    """Waits until the load generator has made so many requests."""
    async with asyncio.timeout(30):
        while True:
            path = tmp_path / "summary.json"
            if path.exists() and json.loads(path.read_text())["requests"] > more_than:
                return
            await asyncio.sleep(0.05)


async def test_users_go_on_through_a_restart_and_everything_promised_is_there(
    compliance: Stack,
    graph: Neo4jTarget,
    systems: Systems,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    taken = await before.take(systems, 0)
    steps = compliance.release(graph)
    await steps.apply_all()
    await compliance.start_service("v1")
    process = await _load(compliance, tmp_path)
    try:
        await _requests(tmp_path, 150)
        await compliance.stop_service()
        started = time.monotonic()
        await compliance.start_service("v2")
        down = time.monotonic() - started
        await _requests(tmp_path, 450)
    finally:
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    record_property("requests_per_second", summary["requests_per_second"])
    assert summary["errors_by_kind"].keys() <= {f"{name} no answer" for name in _OPERATIONS}
    assert summary["errors"] > 0
    assert summary["longest_stall_s"] >= down * 0.5
    assert sum(itertools.chain(*summary["series"])) == summary["requests"]

    entries = ledger.read(tmp_path / "ledger.jsonl")
    assert {store for store, _ in entries} == {"users", "assessments", "documents", "preferences", "sessions"}
    results = await checks.run_kept(systems, taken, Evidence(entries, summary))
    assert [check for check in results if not check.ok] == []


_OPERATIONS = (
    "create_assessment",
    "change_assessment",
    "read_assessment",
    "search",
    "risks",
    "user",
    "session",
    "preferences",
    "create_document",
)
