"""A daemon on a clock turned by hand, and what its targets show."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.app.test_compose import CONFIG, PLAYBOOK, RULES
from tests.migrations.tools.conftest import tools_python
from tests.support.guard_world import World
from watchdog.app.compose import targets
from watchdog.app.discovery import Discovery, discoveries
from watchdog.app.registries import registries
from watchdog.config import Configuration, load
from watchdog.discovery.changes import Reading, Running, State, Version
from watchdog.discovery.lookout import Lookout
from watchdog.discovery.memory import Memory
from watchdog.model.guards import ReleaseRecord
from watchdog.model.time import SECOND
from watchdog.ports.errors import TargetError
from watchdog.runtime.daemon import Daemon

__all__ = ["tools_python"]


@dataclass
class Shown:
    """A target that shows what is in it now."""

    world: World
    versions: dict[str, State] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)
    away: bool = False
    looks: int = 0

    async def read(self) -> Reading:
        self.looks += 1
        if self.away:
            raise TargetError("db does not answer", away=True)
        versions = (Version("dbmate", "public.t", name, name, state) for name, state in self.versions.items())
        running = frozenset(Running(what, what) for what in self.running)
        return Reading(self.world.clock.now(), frozenset(versions), running)

    def applied(self, *names: str) -> None:
        self.versions |= dict.fromkeys(names, State.APPLIED)


class Place:
    """A world with one database, and the daemons that watch it one after the other."""

    def __init__(self, folder: Path) -> None:
        self.world = World()
        self.shown = Shown(self.world)
        self.memory = Memory(folder / "db.json")

    def discovery(self, daemon: Daemon) -> Discovery:
        """A job that begins with what the one before has kept."""
        return Discovery("shop", 15 * SECOND, Lookout({"db": self.shown}, {"db": self.memory}), daemon)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[Daemon]:
        """A daemon with the job; both do their work once a second."""
        daemon = self.world.daemon()
        await daemon.start()
        job = self.discovery(daemon)
        self.world.ticker.every(job.name, job.every, job.look)
        try:
            yield daemon
        finally:
            await daemon.stop()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def record(daemon: Daemon) -> ReleaseRecord:
    """The release of the guard `shop`, which there is."""
    found = daemon.guard("shop").release
    assert found is not None
    return found


def configured(folder: Path, url: str, discover: str, more: str = "") -> Configuration:
    """A configuration with a database, and what `discover` says."""
    text = CONFIG.replace("targets:\n", f'targets:\n  db: {{kind: postgres, url: "{url}"}}\n{more}', 1)
    for name, content in {
        "config.yaml": f"{text}    discover: {discover}\n",
        "rules/health.yaml": RULES,
        "rollbacks/emergency/playbook.yaml": PLAYBOOK,
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    (folder / "state").mkdir(exist_ok=True)
    return load(folder / "config.yaml", registries())


@asynccontextmanager
async def watching(world: World, configuration: Configuration) -> AsyncIterator[Daemon]:
    """A daemon on the world's clock that discovers what the configuration says, on real servers."""
    daemon = world.daemon()
    await daemon.start()
    built: Mapping[str, object] = targets(configuration, registries())
    parts = replace(daemon._parts, targets=tuple(built.values()))  # type: ignore[arg-type]
    for job in discoveries(configuration, parts, daemon):
        world.ticker.every(job.name, job.every, job.look)
    try:
        yield daemon
    finally:
        await daemon.stop()
        for target in parts.targets:
            await target.close()
