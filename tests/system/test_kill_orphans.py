"""A transaction outlives the daemon that began it: the next one finds out what became of it, and never guesses."""

import pytest

from benchmarks.kill.play import Played, play
from benchmarks.kill.points import Blocked, Cut, Kill, Scenario
from benchmarks.kill.result import differences
from benchmarks.kill.rig import Rig

DATABASE = "take back the database"

SCENARIOS = {
    "its COMMIT arrives while the next daemon waits for the fence": Scenario(cut=Cut("db", 4, "late")),
    "its COMMIT never arrives": Scenario(cut=Cut("db", 3, "never")),
    "its COMMIT arrives late at the graph": Scenario(cut=Cut("graph", 1, "late")),
    "its statement still waits for a lock": Scenario(cut=Blocked("document_embeddings_v2")),
    "the daemons that look for it die as well": Scenario(
        (
            Kill("after", f"StepIntended {DATABASE}"),
            Kill("before", "claim"),
            Kill("after", "EpochClaimed"),
            Kill("before", f"StepReset {DATABASE}"),
            Kill("after", f"StepReset {DATABASE}"),
            Kill("before", f"StepSucceeded {DATABASE}"),
            Kill("before", f"StepSucceeded {DATABASE}"),
        )
    ),
}


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=list(SCENARIOS))
async def test_an_orphaned_transaction_has_its_effect_once(rig: Rig, undisturbed: Played, scenario: Scenario) -> None:
    played = await play(rig, scenario)
    assert played.missed == 0, f"it did not die at each place of: {scenario}"
    assert differences(undisturbed.result, played.result) == [], str(scenario)
