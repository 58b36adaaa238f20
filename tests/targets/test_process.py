from pathlib import Path

import pytest

from tests.actions.conftest import Contexts
from watchdog.model.time import SECOND
from watchdog.ports.errors import TargetError
from watchdog.ports.kinds import Duration
from watchdog.targets.process import ProcessOptions, ProcessTarget


def service(pid_file: Path) -> ProcessTarget:
    return ProcessTarget(
        "service",
        ProcessOptions(versions={"v1": ("/bin/true",)}, pid_file=str(pid_file), ready_url="http://127.0.0.1:1/"),
    )


@pytest.mark.parametrize("text", ["", "not a number", "-1"])
def test_a_pid_file_with_something_else_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.pid").write_text(text)
    with pytest.raises(TargetError, match="holds no process number"):
        service(tmp_path / "x.pid").running()


def test_a_number_that_nobody_has_means_that_nothing_runs(tmp_path: Path) -> None:
    (tmp_path / "x.pid").write_text("4194305\n")
    assert service(tmp_path / "x.pid").running() is None


async def test_one_actor_at_a_time_holds_the_fence(tmp_path: Path, context: Contexts) -> None:
    first, second = service(tmp_path / "x.pid"), service(tmp_path / "x.pid")
    mine = context()

    class Impatient:
        def now(self) -> int:
            return mine.clock.now()

        def wall_offset(self) -> int:
            return 0

        async def sleep(self, length: int) -> None:
            assert length < SECOND

    async with first.fenced(mine):
        with pytest.raises(TargetError, match="another process has acted"):
            async with second.fenced(context(clock=Impatient())):
                raise AssertionError
    async with second.fenced(context()):
        pass


async def test_a_fence_that_cannot_be_kept_is_named(tmp_path: Path, context: Contexts) -> None:
    with pytest.raises(TargetError, match="lock cannot be opened"):
        async with service(tmp_path / "nowhere" / "x.pid").fenced(context()):
            raise AssertionError


def test_its_options_have_defaults(tmp_path: Path) -> None:
    assert service(tmp_path / "x.pid").options.stop_timeout == Duration(10 * SECOND)
