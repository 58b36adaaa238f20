"""What the command line says of a cache."""

import json
from pathlib import Path

import pytest
import redis

from watchdog.cli.migration_cache import (
    CacheError,
    apply_to_cache,
    is_cache,
    refuse_options,
    settle_on_cache,
    show_runs_of_cache,
    take_back_from_cache,
)
from watchdog.migrations.yaml_file import FileError

FILE = "version: 1\nnever: ['app:session:']\nsteps:\n  - clear: 'app:'\n  - {clear: 'billing:', archive: false}\n"


@pytest.fixture
def url(redis_url: str) -> str:
    with redis.Redis.from_url(redis_url) as client:
        client.mset({"app:1": "x", "app:2": "y", "app:session:1": "s", "billing:1": "b"})
    return redis_url


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cache.redis.yaml"
    path.write_text(FILE)
    return path


def test_each_verb_says_what_it_did(url: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show_runs_of_cache(url, as_json=False)
    assert capsys.readouterr().out == "no runs\n"
    apply_to_cache(url, file, name="tidy", release="r1", as_json=False)
    said = capsys.readouterr().out
    assert said.startswith("run 1 is applied")
    assert "2 keys changed, 2 values archived" in said
    assert "1 keys deleted for ever" in said
    assert "1 protected keys left alone" in said
    show_runs_of_cache(url, as_json=False)
    assert "run 1: applied" in capsys.readouterr().out
    with redis.Redis.from_url(url) as client:
        client.set("app:1", "newer")
    take_back_from_cache(url, 1, as_json=False)
    said = capsys.readouterr().out
    assert "1 keys as before" in said
    assert "1 earlier values are only in the archive" in said
    assert "1 keys were deleted without archive" in said
    settle_on_cache(url, 1, as_json=False)
    assert "run 1 is rolled back; 1 values of its archive are dropped" in capsys.readouterr().out


def test_each_verb_says_it_as_json(url: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said() -> object:
        return json.loads(capsys.readouterr().out)

    apply_to_cache(url, file, name="", release="", as_json=True)
    assert said()["touched"] == 2  # type: ignore[index]
    show_runs_of_cache(url, as_json=True)
    assert said()[0]["state"] == "applied"  # type: ignore[index]
    take_back_from_cache(url, 1, as_json=True)
    assert said()["restored"] == 2  # type: ignore[index]
    settle_on_cache(url, 1, as_json=True)
    assert said()["dropped"] == 0  # type: ignore[index]


def test_addresses_and_options_of_others_are_told_apart(tmp_path: Path) -> None:
    assert is_cache("rediss://h/0")
    assert is_cache("redis://h")
    assert not is_cache("postgresql://h/redis")
    with pytest.raises(CacheError, match="--no-archive: only for PostgreSQL"):
        refuse_options(no_archive=True, defer=False)
    with pytest.raises(FileError, match="cannot be read"):
        apply_to_cache("redis://127.0.0.1:1/0", tmp_path / "none.yaml", name="", release="", as_json=False)
