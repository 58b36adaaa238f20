"""Real tools in an environment of their own, made once and kept in the cache."""

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from watchdog.servers.paths import build_once, cache_dir

_WANTED = ("alembic==1.20.1", "django==5.2.19", "psycopg[binary]==3.3.9")


def _make(place: Path) -> None:
    venv.create(place, with_pip=True, symlinks=True)
    subprocess.run((place / "bin" / "python", "-m", "pip", "install", "--quiet", *_WANTED), check=True)


@pytest.fixture(scope="session")
def tools_python() -> str:
    """A Python with the tools; made by pip with the machine's own settings where the cache has none."""
    digest = hashlib.sha256(" ".join((*_WANTED, sys.version)).encode()).hexdigest()[:12]
    place = build_once(cache_dir() / f"test-tools-{digest}", _make)
    return str(place / "bin" / "python")
