from pathlib import Path

import pytest

from tests.support.guard_world import World
from watchdog.leases.freeze import FileFreezeSwitch
from watchdog.model.events import Frozen, Unfrozen


@pytest.mark.parametrize("guard", ["shop", None])
async def test_the_journal_says_who_froze_and_who_thawed(tmp_path: Path, guard: str | None) -> None:
    world = World()
    world.switch = FileFreezeSwitch(tmp_path)
    daemon = world.daemon()
    await daemon.start()
    try:
        world.switch.freeze(guard, "ana", "drill")
        await world.seconds(2)
        world.switch.unfreeze(guard, "eve")
        await world.seconds(2)
        world.switch.freeze(guard, "ana", "again")
        await world.seconds(2)
        (tmp_path / "freeze" / f"{guard or '_all'}.json").unlink()
        await world.seconds(2)
        said = [one.body for one in await daemon.events("shop") if isinstance(one.body, Frozen | Unfrozen)]
    finally:
        await daemon.stop()
    assert said == [
        *(Frozen("ana", "drill"), Unfrozen("eve")),
        *(Frozen("ana", "again"), Unfrozen("whoever took the freeze file away")),
    ]
