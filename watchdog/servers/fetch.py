"""Server binaries out of packages: artifacts by their Maven coordinates, files out of installed wheels."""

import asyncio
import hashlib
import importlib
import importlib.metadata
import importlib.util
import io
import platform
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from watchdog.servers.errors import ServerError

Progress = Callable[[str], None]

_INSTALL = "install the servers with: pip install 'migration-watchdog[servers]'"

_SILENCE = 60  # seconds without an answer before we give up
_AT_A_TIME = 16  # downloads; each is small and waits for the network


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file in a Maven repository; `sha256` (hex) is checked where it is given."""

    group: str
    name: str
    version: str
    classifier: str = ""
    sha256: str = ""

    @classmethod
    def parse(cls, coordinates: str, sha256: str) -> Self:
        """The artifact of group:name:version or group:name:version:classifier."""
        group, name, version, classifier = f"{coordinates}:".split(":")[:4]
        return cls(group, name, version, classifier, sha256)

    @property
    def coordinates(self) -> str:
        """How people write it: group:name:version, and :classifier if it has one."""
        return ":".join(filter(None, (self.group, self.name, self.version, self.classifier)))


def from_worker(progress: Progress | None) -> Progress | None:
    """The same callback, callable from a worker thread: it then runs in this event loop."""
    if progress is None:
        return None
    loop = asyncio.get_running_loop()

    def report(text: str) -> None:
        loop.call_soon_threadsafe(progress, text)

    return report


def machine() -> str:
    """The processor in Docker's words, `amd64` or `arm64`; raises ServerError where no binaries are to be had."""
    known = {"x86_64": "amd64", "aarch64": "arm64"}
    if platform.system() != "Linux" or platform.machine() not in known:
        raise ServerError(
            f"There are no server binaries for {platform.system()} on {platform.machine()}; "
            "use Linux on x86_64 or aarch64, or point the configuration at servers that run elsewhere."
        )
    return known[platform.machine()]


def download(artifact: Artifact, into: Path) -> Path:
    """Download one file into the new directory `into`; raises ServerError."""
    return download_all([artifact], into, f"Fetching {artifact.name} {artifact.version}", None)[0]


def download_all(artifacts: Sequence[Artifact], into: Path, what: str, progress: Progress | None) -> list[Path]:
    """Download files into the new directory `into`, several at a time; raises ServerError.

    `progress` hears `what` and how far it is.
    """
    into.mkdir()
    repositories = _Repositories()
    found: list[Path] = []
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        try:
            for path in pool.map(lambda artifact: repositories.download(artifact, into), artifacts):
                if progress and len(found) % 40 == 0:
                    progress(f"{what}: {len(found)} of {len(artifacts)} files")
                found.append(path)
        finally:
            pool.shutdown(cancel_futures=True)
    return found


class _Repositories:
    """The Maven repositories that jgo knows: the user's mirrors from its settings file, then Maven Central.

    jgo's own download would ask for each file twice, on a new connection each time, takes half a file that an
    interruption left for a whole one, and only warns of a wrong checksum.
    """

    def __init__(self) -> None:
        """Load jgo and its requests: only here, as both come with an extra and a fetched server needs neither."""
        if importlib.util.find_spec("jgo") is None:
            raise ServerError(f"The package jgo is not installed; {_INSTALL}")
        mirrors = importlib.import_module("jgo.config").GlobalSettings.load().repositories
        self._maven = importlib.import_module("jgo.maven").MavenContext()
        self._addresses = [*mirrors.values(), *self._maven.remote_repos.values()]
        requests = importlib.import_module("requests")
        retry = requests.adapters.Retry(total=3, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504))
        self._session = requests.Session()
        self._session.mount("https:", requests.adapters.HTTPAdapter(max_retries=retry, pool_maxsize=_AT_A_TIME))

    def download(self, artifact: Artifact, into: Path) -> Path:
        """Download one file into the directory `into`; raises ServerError."""
        component = self._maven.project(artifact.group, artifact.name).at_version(artifact.version)
        file = component.artifact(artifact.classifier)
        content = self._get(f"{component.path_prefix.as_posix()}/{file.filename}", artifact)
        if artifact.sha256 and hashlib.sha256(content).hexdigest() != artifact.sha256:
            raise ServerError(
                f"{artifact.coordinates} was fetched, but its SHA-256 is not {artifact.sha256}: something on the "
                "way changed it. Try again; if it stays, ask who runs the package mirror."
            )
        path = into / str(file.filename)
        path.write_bytes(content)
        return path

    def _get(self, path: str, artifact: Artifact) -> bytes:
        """The first answer of a repository that has it."""
        problem = "no repository has it"
        for address in self._addresses:
            try:
                answer = self._session.get(f"{address}/{path}", timeout=_SILENCE)
                if answer.ok:
                    return bytes(answer.content)
            except OSError as error:  # what requests raises
                problem = str(error)
        raise ServerError(
            f"Could not fetch {artifact.coordinates}: {problem}. Check the way to Maven Central, or name your "
            "mirror under [repositories] in jgo's settings file."
        )


def extract_member(archive: Path, suffix: str) -> bytes:
    """The one file in a zip or jar whose name ends with `suffix`; raises ServerError."""
    with zipfile.ZipFile(archive) as jar:
        names = [name for name in jar.namelist() if name.endswith(suffix)]
        if len(names) != 1:
            raise ServerError(f"{archive.name} holds {len(names)} files named *{suffix}, not one.")
        return jar.read(names[0])


def extract_tar(content: bytes, into: Path) -> None:
    """Unpack a compressed tar, refusing members that would land outside `into`."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        # The filter as an attribute, because the first releases of Python 3.11 do not know the argument.
        tar.extraction_filter = getattr(tarfile, "data_filter", None)
        tar.extractall(into)  # noqa: S202 - see the line above, and the artifact's SHA-256 was checked


def wheel_root(distribution: str, folder: str) -> Path:
    """The folder `folder` (a path below site-packages) of an installed wheel, found without importing it."""
    try:
        root = Path(str(importlib.metadata.distribution(distribution).locate_file(folder)))
    except importlib.metadata.PackageNotFoundError as error:
        raise ServerError(f"The package {distribution} is not installed; {_INSTALL}") from error
    if not root.is_dir():
        raise ServerError(f"The package {distribution} has no folder {folder}; {_INSTALL}")
    return root
