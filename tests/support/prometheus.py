"""A real Prometheus whose past is made beforehand."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx

from watchdog.servers.paths import build_once, cache_dir
from watchdog.servers.process import HOST, Process, free_port

_START_SECONDS: Final = 60


def programs() -> Path:
    """The folder of `prometheus` and `promtool`: those on the PATH, else Debian's package, unpacked into the cache."""
    if (found := shutil.which("prometheus")) and shutil.which("promtool"):
        return Path(found).parent
    return build_once(cache_dir() / "prometheus-debian", _unpack) / "root" / "usr" / "bin"


def _unpack(place: Path) -> None:
    subprocess.run(("apt-get", "download", "prometheus"), cwd=place, check=True, capture_output=True)
    [package] = place.glob("*.deb")
    subprocess.run(("dpkg-deb", "-x", str(package), str(place / "root")), check=True)
    package.unlink()


@asynccontextmanager
async def prometheus(directory: Path, openmetrics: str) -> AsyncIterator[str]:
    """The address of a server that knows what stands in an OpenMetrics text with times, and scrapes nothing."""
    tools = programs()
    (directory / "past.txt").write_text(openmetrics)
    (directory / "prometheus.yml").write_text("global: {}\n")
    make = (tools / "promtool", "tsdb", "create-blocks-from", "openmetrics", directory / "past.txt", directory / "data")
    await asyncio.to_thread(subprocess.run, tuple(map(str, make)), check=True, capture_output=True)
    port = free_port()
    command = (
        tools / "prometheus",
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address={HOST}:{port}",
    )
    process = Process.start(f"Prometheus on port {port}", command, log=directory / "server.log")
    try:
        async with httpx.AsyncClient(base_url=f"http://{HOST}:{port}", trust_env=False) as client:
            await process.ready(lambda: _is_ready(client), _START_SECONDS)
        yield f"http://{HOST}:{port}"
    finally:
        await process.stop()


async def _is_ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/-/ready")).status_code == 200
    except httpx.HTTPError:
        return False
