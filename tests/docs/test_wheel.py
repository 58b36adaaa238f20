import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.docs.paths import ROOT
from watchdog import __version__

SHIPPED = ("config.yaml", "rules", "rollbacks")
SECONDS = 120


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as pip would lay it out."""
    place = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index"]
    subprocess.run(
        [*build, "--no-build-isolation", "--wheel-dir", str(place), str(ROOT)],
        check=True,
        timeout=SECONDS,
        stdout=subprocess.DEVNULL,
    )
    (wheel,) = place.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place / "site")
    return place / "site"


def files_below(folder: Path) -> set[Path]:
    hidden = {"__pycache__", ".gitkeep"}
    return {
        file.relative_to(folder) for file in folder.rglob("*") if file.is_file() and not hidden.intersection(file.parts)
    }


def test_the_wheel_holds_every_file_of_the_package(unpacked: Path) -> None:
    mine = files_below(ROOT / "watchdog")
    assert {file.suffix for file in mine} >= {".py", ".sql", ".cypher", ".lock", ".html"}
    assert mine - files_below(unpacked / "watchdog") == set()


def test_the_shipped_configuration_travels_in_the_wheel(unpacked: Path) -> None:
    shipped = unpacked / "watchdog/shipped"
    for name in SHIPPED:
        if (ROOT / name).is_file():
            assert (shipped / name).read_bytes() == (ROOT / name).read_bytes()
        else:
            assert files_below(ROOT / name) == files_below(shipped / name)


def test_the_wheel_holds_nothing_beside_the_package(unpacked: Path) -> None:
    assert {entry.name for entry in unpacked.iterdir()} == {"watchdog", f"migration_watchdog-{__version__}.dist-info"}


def run(unpacked: Path, empty: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.defpath, "HOME": str(empty), "PYTHONPATH": str(unpacked), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *words], cwd=empty, env=env, capture_output=True, text=True, timeout=SECONDS, check=False
    )


def test_the_command_works_from_the_wheel_in_an_empty_directory(unpacked: Path, tmp_path: Path) -> None:
    where = run(unpacked, tmp_path, "-c", "import watchdog; print(watchdog.__file__)")
    assert where.stdout.strip() == str(unpacked / "watchdog/__init__.py")
    shown = run(unpacked, tmp_path, "-m", "watchdog", "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "Watch until told to stop." in shown.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_demo_of_the_wheel_finds_its_shipped_configuration(unpacked: Path, tmp_path: Path) -> None:
    found = run(unpacked, tmp_path, "-c", "from watchdog.demo.daemon import shipped; print(shipped())")
    assert found.stdout.strip() == str(unpacked / "watchdog/shipped"), found.stderr
    for name in SHIPPED:
        assert (unpacked / "watchdog/shipped" / name).exists()
