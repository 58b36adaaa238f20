"""The rehearsal before T-0: the release and its rollback on a small scratch copy, in servers of its own."""

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from watchdog.demo.daemon import GUARD, DaemonError, environment, shipped
from watchdog.demo.data import SMALL
from watchdog.demo.embedding import DIMENSIONS, MODEL_V1, query_literal
from watchdog.demo.release import RELEASE
from watchdog.demo.service.statements import recorded_writes_v1
from watchdog.demo.stack import Stack, running


async def rehearse(run_dir: Path, stack: Stack) -> dict[str, Any]:
    """Runs `watchdog playbook rehearse` on the scratch copy and returns the certificate as JSON.

    Raises:
        DaemonError: The rehearsal could not be held.
    """
    scratch_dir = run_dir / "scratch"
    scratch_dir.mkdir()
    scratch_dir.chmod(0o711)
    async with AsyncExitStack() as ending:
        small = running(scratch_dir, SMALL, stack.fault, scratch_url=stack.scratch_url)
        scratch = await ending.enter_async_context(small)
        writes = scratch_dir / "writes.json"
        embedding = query_literal("recorded write", MODEL_V1, DIMENSIONS)
        writes.write_text(json.dumps([asdict(write) for write in recorded_writes_v1(embedding)]))
        out = scratch_dir / "certificate.json"
        command = [
            *(sys.executable, "-m", "watchdog", "playbook", "rehearse"),
            *("--config", str(shipped() / "config.yaml"), "--guard", GUARD),
            *("--writes", str(writes), "--release", RELEASE, "--out", str(out)),
            *("--", sys.executable, "-m", "watchdog.demo.apply_release"),
        ]
        process = await asyncio.create_subprocess_exec(
            *command,
            env={"PATH": "/usr/bin:/bin", **environment(scratch, "http://127.0.0.1:9/", scratch_dir / "state")},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        if not out.exists():
            raise DaemonError(f"the rehearsal ended with status {process.returncode}:\n{said.decode()[-3000:]}")
        certificate: dict[str, Any] = json.loads(out.read_text())
        return certificate
