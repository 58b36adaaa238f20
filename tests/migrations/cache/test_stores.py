"""Which store a command is for."""

from pathlib import Path

import pytest
import redis

from watchdog.cli.migration_stores import (
    apply_elsewhere,
    settle_elsewhere,
    show_runs_elsewhere,
    take_back_elsewhere,
)
from watchdog.ports.errors import WatchdogError


def test_a_redis_address_is_served_whatever_the_file_is_called(redis_url: str, tmp_path: Path) -> None:
    file = tmp_path / "any.yaml"
    file.write_text("version: 1\nsteps:\n  - clear: 'app:'\n")
    with redis.Redis.from_url(redis_url) as client:
        client.set("app:1", "x")
    with pytest.raises(WatchdogError, match="--defer: only for PostgreSQL"):
        apply_elsewhere(redis_url, file, name="", release="", as_json=False, defer=True)
    assert apply_elsewhere(redis_url, file, name="", release="", as_json=False, defer=False)
    assert show_runs_elsewhere(redis_url, as_json=False)
    assert take_back_elsewhere(redis_url, 1, as_json=False)
    assert settle_elsewhere(redis_url, 1, as_json=False, quarantine=False)
    with pytest.raises(WatchdogError, match="--expired"):
        settle_elsewhere(redis_url, None, as_json=False)


def test_what_is_neither_keys_nor_vectors_is_left_to_others(pg_database: str, tmp_path: Path) -> None:
    file = tmp_path / "up.sql"
    file.write_text("SELECT 1;")
    assert not apply_elsewhere(pg_database, file, name="", release="", as_json=False)
    assert not show_runs_elsewhere(pg_database, as_json=False)
    assert not take_back_elsewhere(pg_database, 1, as_json=False)
    assert not settle_elsewhere(pg_database, 1, as_json=False)
    assert not settle_elsewhere(pg_database, None, as_json=False)
