"""`kill -9` at any instant changes nothing: stores and journal end as those of the undisturbed run."""

import pytest

from benchmarks.kill.play import Played, play
from benchmarks.kill.points import Scenario, data_steps, seeded
from benchmarks.kill.result import differences
from benchmarks.kill.rig import Rig

SEED = 20260
STEPS = list(data_steps())


async def test_the_undisturbed_run_rolls_the_release_back(undisturbed: Played) -> None:
    assert differences(undisturbed.result, undisturbed.result) == []
    assert "RunEnded rolled back and recovered" in undisturbed.result.ladder
    assert undisturbed.result.ladder[-1] == "Resolved"
    assert undisturbed.result.stores["service"] == {"version": "v1", "processes": "1"}
    assert "table user_preferences" not in undisturbed.result.stores
    assert not [line for line in undisturbed.result.stores["schema"] if "compliance_score" in line]


def test_the_drawn_points_cover_every_step_on_both_sides() -> None:
    kills = [kill for scenario in seeded(STEPS, SEED) for kill in scenario.kills]
    assert len(kills) >= 20
    for step in STEPS:
        assert {kill.side for kill in kills if kill.site.endswith(f" {step}")} == {"before", "after"}, step


@pytest.mark.parametrize("scenario", seeded(STEPS, SEED), ids=lambda scenario: str(scenario.kills[0]))
async def test_a_daemon_that_is_killed_on_the_way_ends_like_one_that_is_not(
    rig: Rig, undisturbed: Played, scenario: Scenario
) -> None:
    played = await play(rig, scenario)
    assert played.missed == 0, f"it was not killed at each place of: {scenario}"
    assert differences(undisturbed.result, played.result) == [], str(scenario)
