"""Building the cache exactly once."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from watchdog.servers.paths import _is_ours_alone, build_once, cache_dir, closed_directory, scratch_dir

BUILDS = """
import sys
from pathlib import Path
from watchdog.servers.paths import _is_ours_alone, build_once

def build(tree):
    with open(sys.argv[2], "a") as counter:
        counter.write("built\\n")
    (tree / "file").write_text("complete")

print((build_once(Path(sys.argv[1]), build) / "file").read_text())
"""


def test_the_cache_is_where_the_variable_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WATCHDOG_CACHE", str(tmp_path / "here"))
    assert cache_dir() == tmp_path / "here"


def test_an_ordinary_users_cache_follows_the_desktop_standard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.delenv("WATCHDOG_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir() == tmp_path / "xdg/migration-watchdog"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == tmp_path / ".cache/migration-watchdog"


def test_processes_build_a_thing_once_and_all_see_it_complete(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BUILDS, str(tmp_path / "cache/thing"), str(tmp_path / "counter")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [process.communicate()[0] for process in running] == ["complete\n"] * 4
    assert (tmp_path / "counter").read_text() == "built\n"


def test_threads_build_a_thing_once(tmp_path: Path) -> None:
    built: list[Path] = []
    together = threading.Barrier(4)

    def want(_: int) -> Path:
        together.wait()
        return build_once(tmp_path / "thing", built.append)

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(want, range(4))) == {tmp_path / "thing"}
    assert len(built) == 1


def test_an_interrupted_build_leaves_nothing_that_looks_complete(tmp_path: Path) -> None:
    place = tmp_path / "thing"

    def interrupted(tree: Path) -> None:
        (tree / "half").write_text("")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_once(place, interrupted)
    assert not place.exists()

    build_once(place, lambda tree: (tree / "whole").touch())
    assert [path.name for path in place.iterdir()] == ["whole"]


def test_the_first_closed_directory_on_the_way_is_named(tmp_path: Path) -> None:
    with scratch_dir("test") as open_to_all:
        assert closed_directory(open_to_all / "not/yet/there") is None
        (open_to_all / "closed").mkdir(mode=0o700)
        assert closed_directory(open_to_all / "closed/below") == open_to_all / "closed"


def test_a_cache_that_others_can_write_or_redirect_is_not_used(tmp_path: Path) -> None:
    assert _is_ours_alone(tmp_path / "fresh")
    (tmp_path / "fresh").chmod(0o777)
    assert not _is_ours_alone(tmp_path / "fresh")
    (tmp_path / "mine").mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    assert not _is_ours_alone(tmp_path / "link")
    assert not _is_ours_alone(tmp_path / "absent/below")


def test_a_scratch_directory_is_gone_afterwards() -> None:
    with scratch_dir("test") as path:
        (path / "file").touch()
    assert not path.exists()
