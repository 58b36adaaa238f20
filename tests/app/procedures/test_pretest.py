from pathlib import Path

import pytest

from tests.app.procedures.conftest import Service, collect
from tests.app.procedures.test_http_load import stand_in
from watchdog.app.procedures import http_load
from watchdog.app.procedures.load import Load
from watchdog.app.procedures.parts import Outcome
from watchdog.app.procedures.pretest import Asked, pretest
from watchdog.app.procedures.staging import StagingError
from watchdog.model.time import SECOND
from watchdog.runtime.clock import SystemClock


async def test_what_is_not_asked_for_is_not_run_and_the_rest_is_looked_at(project: Path) -> None:
    found = await collect(pretest(project, "shop", Asked(), SystemClock()))
    assert {name: part.outcome.value for name, part in found.items()} == {
        "staging dry run": "not run",
        "http load": "not run",
        "database load": "not run",
        "rollback": "failed",
        "db: rows": "ok",
        "db: constraints": "ok",
        "db: values": "ok",
        "db: foreign keys": "ok",
        "db: unique indexes": "ok",
        "db: sequences": "ok",
        "checks": "ok",
    }


async def test_load_goes_to_the_guards_service_with_its_headers_or_to_another_without_them(
    project: Path, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_load, "find_tool", lambda: str(stand_in(tmp_path)))
    asked = Asked(load=Load(1, SECOND), paths=("/a",))
    found = await collect(pretest(project, "shop", asked, SystemClock()))
    assert found["http load"].outcome is Outcome.OK
    assert "pgbench writes" in found["database load"].detail
    asked = Asked(load=Load(1, SECOND), paths=("/b",), http=service.url)
    await collect(pretest(project, "shop", asked, SystemClock()))
    assert [one for one in service.seen if one[0] in {"/a", "/b"}] == [("/a", "Bearer hush-hush"), ("/b", "")]


async def test_nothing_is_begun_when_staging_is_the_guarded_database(project: Path, pg_database: str) -> None:
    with pytest.raises(StagingError, match="name a copy"):
        await collect(pretest(project, "shop", Asked(staging=pg_database), SystemClock()))
