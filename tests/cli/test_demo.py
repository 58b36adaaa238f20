import json
from collections.abc import AsyncIterator

import pytest

from tests.cli.conftest import Watchdog
from watchdog.cli import demo
from watchdog.demo.checks import Check
from watchdog.demo.daemon import DaemonError
from watchdog.demo.stack import StackError
from watchdog.demo.story import Frame, Options
from watchdog.servers.errors import ServerError


class Told:
    """A story of a few frames."""

    ok = True
    fails: Exception | None = None
    options: Options | None = None

    def __init__(self, options: Options) -> None:
        type(self).options = options

    async def frames(self) -> AsyncIterator[Frame]:
        yield Frame("Release", "title", 1.0)
        yield Frame("T-0: [red]not markup[/red]", at=2.25)
        if self.fails is not None:
            raise self.fails
        checks = (
            Check("schema as before", ok=True, detail="0 lines differ"),
            Check("graph", ok=self.ok, detail="5,000"),
        )
        yield Frame("", "table", 3.0, checks, {"fault": "flag", "seconds": 3.0})


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> type[Told]:
    class Fresh(Told):
        pass

    monkeypatch.setattr(demo, "Story", Fresh)
    return Fresh


def test_the_story_is_told_in_lines_and_ends_with_the_table(told: type[Told], watchdog: Watchdog) -> None:
    ran = watchdog("demo", "--fault", "flag")
    assert ran.exit_code == 0, ran.output
    assert told.options == Options(fault="flag", stay=False)
    assert "== Release" in ran.output
    assert "   2.2 s  T-0: [red]not markup[/red]" in ran.output
    assert "ok      schema as before  0 lines differ" in ran.output
    assert "seconds: 3.0" in ran.output


def test_one_check_that_does_not_hold_fails_the_demo(told: type[Told], watchdog: Watchdog) -> None:
    told.ok = False
    ran = watchdog("demo")
    assert ran.exit_code == 1
    assert "FAILED  graph" in ran.output


def test_machines_get_the_table_and_nothing_else(told: type[Told], watchdog: Watchdog) -> None:
    said = json.loads(watchdog("demo", "--json").stdout)
    assert (said["ok"], said["fault"], len(said["checks"])) == (True, "flag", 2)
    assert said["checks"][0] == {"name": "schema as before", "ok": True, "detail": "0 lines differ"}


@pytest.mark.parametrize("kind", [DaemonError, ServerError, StackError])
def test_a_story_that_cannot_be_told_fails_with_its_reason(
    told: type[Told], watchdog: Watchdog, kind: type[Exception]
) -> None:
    told.fails = kind("waited 40 s for: every rule is judged")
    ran = watchdog("demo")
    assert ran.exit_code == 1
    assert ran.stderr == "watchdog: waited 40 s for: every rule is judged\n"


def test_an_interrupted_story_is_no_success(told: type[Told], watchdog: Watchdog) -> None:
    told.fails = KeyboardInterrupt()  # type: ignore[assignment]  # what Ctrl-C raises
    ran = watchdog("demo")
    assert ran.exit_code == 130
    assert "stopped before the end" in ran.stderr
