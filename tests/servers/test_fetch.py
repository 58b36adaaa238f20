"""Fetching artifacts, from a Maven repository of our own on the loopback address."""

import asyncio
import functools
import hashlib
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from watchdog.servers.errors import ServerError
from watchdog.servers.fetch import Artifact, download, download_all, extract_member, from_worker, wheel_root

CONTENT = b"not really a jar"
HASH = hashlib.sha256(CONTENT).hexdigest()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Say nothing."""


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The directory of a Maven repository; jgo's settings file names it, and no other is asked."""
    root = tmp_path / "repository"
    root.mkdir()
    handler = functools.partial(QuietHandler, directory=str(root))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        settings = tmp_path / "jgo.conf"
        settings.write_text(f"[repositories]\nours = http://127.0.0.1:{server.server_port}\n")
        monkeypatch.setenv("JGO_CONFIG_FILE", str(settings))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr("jgo.maven._core.DEFAULT_REMOTE_REPOS", {})
        yield root
        server.shutdown()
        thread.join()


def publish(root: Path, path: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(CONTENT)


def test_an_artifact_comes_from_the_users_mirror(mirror: Path, tmp_path: Path) -> None:
    publish(mirror, "org/example/thing/1.2/thing-1.2-core.jar")
    path = download(Artifact("org.example", "thing", "1.2", "core", HASH), tmp_path / "new")
    assert path.read_bytes() == CONTENT


def test_several_come_in_the_order_asked_for_with_progress(mirror: Path, tmp_path: Path) -> None:
    artifacts = [Artifact.parse(f"org.example:thing{n}:1", HASH) for n in range(90)]
    for artifact in artifacts:
        publish(mirror, f"org/example/{artifact.name}/1/{artifact.name}-1.jar")
    said: list[str] = []
    paths = download_all(artifacts, tmp_path / "new", "Fetching things", said.append)
    assert [path.name for path in paths] == [f"thing{n}-1.jar" for n in range(90)]
    assert said == [f"Fetching things: {n} of 90 files" for n in (0, 40, 80)]


def test_a_changed_file_is_refused(mirror: Path, tmp_path: Path) -> None:
    publish(mirror, "org/example/thing/1.2/thing-1.2.jar")
    with pytest.raises(ServerError, match=r"org\.example:thing:1\.2 was fetched, but its SHA-256 is not 00"):
        download(Artifact("org.example", "thing", "1.2", sha256="00" * 32), tmp_path / "new")


def test_an_absent_artifact_is_named_with_what_to_do(mirror: Path, tmp_path: Path) -> None:
    with pytest.raises(ServerError, match=r"org\.example:thing:9.*no repository has it.*mirror"):
        download(Artifact("org.example", "thing", "9"), tmp_path / "new")


async def test_progress_from_a_worker_is_heard_in_the_event_loop() -> None:
    heard: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
    report = from_worker(lambda text: heard.put_nowait((text, threading.get_ident())))
    assert report is not None
    await asyncio.to_thread(report, "half done")
    assert await heard.get() == ("half done", threading.get_ident())


def test_a_package_that_is_not_installed_is_named_with_the_command_that_installs_it() -> None:
    with pytest.raises(ServerError, match=r"no-such-wheel is not installed.*pip install"):
        wheel_root("no-such-wheel", "folder")
    with pytest.raises(ServerError, match="jgo has no folder absent"):
        wheel_root("jgo", "absent")


def test_a_missing_member_of_an_archive_is_named(tmp_path: Path) -> None:
    archive = tmp_path / "empty.jar"
    archive.write_bytes(b"PK\x05\x06" + bytes(18))
    with pytest.raises(ServerError, match=r"empty\.jar holds 0 files named \*\.txz"):
        extract_member(archive, ".txz")
