"""Load on an HTTP service, made by pywrkr (from PyPI, `migration-watchdog[load]`) as a process of its own."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from watchdog.app.procedures.load import GRACE, Load, LoadError, Measured, load_part, run_tool
from watchdog.app.procedures.parts import Outcome, Part
from watchdog.model.time import SECOND, in_seconds

TOOL: Final = "pywrkr"
NAME: Final = "http load"
_INSTALL: Final = "pywrkr is not installed: pip install 'migration-watchdog[load]'"


def find_tool() -> str | None:
    """Where pywrkr is: beside this Python, or on PATH."""
    beside = str(Path(sys.executable).parent)
    return shutil.which(TOOL, path=os.pathsep.join([beside, os.environ.get("PATH", os.defpath)]))


async def http_load(url: str, headers: Mapping[str, str], paths: Sequence[str], asked: Load) -> Part:
    """Each user gets one path after the other, again and again; an answer of 400 and above is a failure.

    Args:
        url: The service's base address.
        headers: Sent with each request. They may be secret: they go through a private file, not the command line.
    """
    tool = find_tool()
    if tool is None:
        return Part(NAME, Outcome.NOT_RUN, _INSTALL)
    base = urlsplit(url)
    # Of a base address pywrkr takes host and port only.
    beneath = base.path.rstrip("/")
    plan = {
        "name": NAME,
        "base_url": f"{base.scheme}://{base.netloc}",
        "on_template_error": "keep_literal",
        "steps": [{"path": f"{beneath}{path}", "name": path, "headers": dict(headers)} for path in paths],
    }
    with tempfile.TemporaryDirectory(prefix="watchdog-load-") as private:
        scenario, results = Path(private) / "scenario.json", Path(private) / "results.json"
        scenario.write_text(json.dumps(plan), encoding="utf-8")
        command = [tool, "--scenario", str(scenario), "--json", str(results), "--ssl-verify", "-v", "0"]
        command += ["-u", str(asked.users), "-d", str(asked.seconds), "--think-time", f"{in_seconds(asked.think):g}"]
        try:
            status, _ = await run_tool(command, env=os.environ, length=asked.seconds * SECOND + GRACE)
            if not results.is_file():
                return Part(NAME, Outcome.FAILED, f"pywrkr ended with status {status} and measured nothing")
            measured = read_results(json.loads(results.read_text(encoding="utf-8")))
        except LoadError as error:
            return Part(NAME, Outcome.FAILED, str(error))
        except (ValueError, KeyError, TypeError):
            return Part(NAME, Outcome.FAILED, "pywrkr's results are not of the form of version 1.6")
    return load_part(NAME, asked, measured)


def read_results(said: Mapping[str, Any]) -> Measured:
    """What pywrkr wrote down.

    Raises:
        KeyError: Something that it should say is not there.
    """
    times = said.get("percentiles", {})
    return Measured(
        tried=int(said["total_requests"]),
        failed=int(said["total_errors"]),
        per_second=float(said["requests_per_sec"]),
        p50=times.get("p50"),
        p95=times.get("p95"),
        p99=times.get("p99"),
        notes=tuple(f"{kind}: {count:,}" for kind, count in sorted(said.get("error_types", {}).items())),
    )
