"""Redis (or Valkey) as a plain process."""

import asyncio
import shutil
import signal
from pathlib import Path
from typing import Self

from watchdog.servers.fetch import Artifact, Progress, download, extract_member, from_worker, machine
from watchdog.servers.paths import build_once, cache_dir
from watchdog.servers.process import HOST, Process, free_port

_ARTIFACT = Artifact(
    "com.github.codemonstur",
    "embedded-redis",
    "1.4.3",
    sha256="ffbc63265c60d25dee453d6f656b527d98200d98657c6a0ab4dec4ea2c3a5cd6",
)
_START_SECONDS = 20


class RedisServer:
    """A running Redis without a password, on the loopback address only; an async context manager that stops it.

    Every write is in the append-only file before it is answered, so it survives the death of the process.
    """

    host = HOST

    def __init__(self, binary: Path, data_dir: Path, port: int, process: Process) -> None:
        """Use `start`."""
        self._binary = binary
        self._process = process
        self.port = port
        self.data_dir = data_dir
        self.log = process.log

    @classmethod
    async def start(cls, data_dir: Path, port: int | None = None, *, progress: Progress | None = None) -> Self:
        """Start on `data_dir`, made if it is missing, and wait until it answers. Raises ServerError."""
        data_dir = data_dir.absolute()  # noqa: ASYNC240 - looks at the working directory only
        binary = await asyncio.to_thread(binaries, progress=from_worker(progress))
        port = port or free_port()
        return cls(binary, data_dir, port, await _launch(binary, data_dir, port))

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def url(self, db: int = 0) -> str:
        """The address of one of the databases 0 to 15."""
        return f"redis://{self.host}:{self.port}/{db}"

    async def stop(self) -> None:
        """Stop it after it has written everything out. Idempotent."""
        await self._process.stop(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, for crash tests."""
        self._process.kill()

    async def restart(self) -> None:
        """Stop it if it runs, and start it again on the same port and data; raises ServerError."""
        await self.stop()
        self._process = await _launch(self._binary, self.data_dir, self.port)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


def binaries(progress: Progress | None = None) -> Path:
    """The server program: one on the PATH, else fetched once; blocks. Raises ServerError."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found).absolute()

    def build(tree: Path) -> None:
        if progress:
            progress("Fetching Redis 6.2")
        program = tree / "redis-server"
        program.write_bytes(extract_member(download(_ARTIFACT, tree / "download"), f"-linux-{machine()}"))
        program.chmod(0o755)
        shutil.rmtree(tree / "download")

    return build_once(cache_dir() / f"redis-6.2-{machine()}", build) / "redis-server"


async def _launch(binary: Path, data_dir: Path, port: int) -> Process:
    data_dir.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - once, and quick
    options = {"bind": HOST, "port": port, "dir": data_dir, "databases": 16, "save": "", "appendonly": "yes"}
    arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    process = Process.start(f"Redis on port {port}", [binary, *arguments], log=data_dir / "server.log")
    await process.ready(lambda: _answers(port, process.pid), _START_SECONDS)
    return process


async def _answers(port: int, pid: int) -> bool:
    """Whether our process, and not somebody else's on this port, has loaded its data and answers."""
    try:
        reader, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    try:
        writer.write(b"INFO server\r\nPING\r\nQUIT\r\n")
        answer = await reader.read()
    except OSError:
        return False
    finally:
        writer.close()
    return f"\nprocess_id:{pid}\r\n".encode() in answer and b"+PONG\r\n" in answer
