"""What happens at the same time makes data wait for a person."""

from dataclasses import replace

import pytest

from tests.engine.climb import RELEASE, SCHEMA, SETTINGS, Climb, breach, judged, waits
from tests.engine.series import T0, at, read, signal, windows
from watchdog.engine.assess import assess
from watchdog.engine.doubts import TOGETHER, Neighbour, doubts
from watchdog.engine.wording import tell
from watchdog.model import events as ev
from watchdog.model.guards import Guard, Incident, ReleaseRecord, RunPhase
from watchdog.model.releases import ReleaseState
from watchdog.model.rules import Brake, Phase, RungKind
from watchdog.model.signals import Selector, SignalKind
from watchdog.model.time import SECOND
from watchdog.model.verdicts import Basis, Recovery

BRAKE = Brake(of=Selector("started"), why="the database was started anew")
GUARD = Guard(replace(SETTINGS, brakes=(BRAKE,)), release=ReleaseRecord(RELEASE, ReleaseState.BAKING, at(30)))
NOTHING = windows([])


def _started(*values: float) -> dict[str, str]:
    seen = windows([signal("started", SignalKind.GAUGE)], read("started", values))
    return doubts(GUARD, (), seen, at(90))


def _other(*, shares: bool = True, **changes: object) -> Neighbour:
    return Neighbour(replace(Guard(replace(SETTINGS, name="mail")), **changes), shares)  # type: ignore[arg-type]


def _incident(opened_at: int, resolved_at: int | None = None) -> Incident:
    return Incident("mail-1", opened_at, ("errors",), (), Basis.CONFIDENT, RungKind.STOP, resolved_at=resolved_at)


def test_a_server_that_was_started_anew_since_is_a_doubt() -> None:
    assert _started(*[1] * 10, *[2] * 5) == {"changed started": "the database was started anew, 20 s after T-0"}


@pytest.mark.parametrize("values", [[1] * 15, [0, 0, 1] + [1] * 12, []], ids=["the same", "before T-0", "never read"])
def test_what_did_not_change_since_is_none(values: list[float]) -> None:
    assert _started(*values) == {}


def test_another_guard_in_trouble_is_a_doubt_for_a_while() -> None:
    together = doubts(GUARD, [_other(incident=_incident(at(60)), shares=False)], NOTHING, at(90))
    assert together == {"incident mail": "guard mail is in trouble at the same time (mail-1)"}
    assert doubts(GUARD, [_other(incident=_incident(at(60)))], NOTHING, at(61) + TOGETHER) == {}
    assert doubts(GUARD, [_other(incident=_incident(at(60), at(70)))], NOTHING, at(90)) == {}


def test_another_release_over_the_same_targets_is_a_doubt_while_it_is_watched() -> None:
    applying = ReleaseRecord(replace(RELEASE, id="r9"), ReleaseState.APPLYING, T0)
    found = doubts(GUARD, [_other(release=applying)], NOTHING, at(90))
    assert found == {"deploy mail": "release r9 of guard mail goes out over the same targets"}
    assert doubts(GUARD, [_other(release=applying, shares=False)], NOTHING, at(90)) == {}
    assert doubts(GUARD, [_other(release=replace(applying, state=ReleaseState.BAKING))], NOTHING, at(90)) == found
    reversible = replace(applying, state=ReleaseState.REVERSIBLE)
    assert doubts(GUARD, [_other(release=reversible)], NOTHING, at(90)) == {}


def test_without_a_release_under_watch_there_is_nothing_to_doubt() -> None:
    other = _other(incident=_incident(at(60)))
    assert doubts(replace(GUARD, release=None), [other], NOTHING, at(90)) == {}
    settled = ReleaseRecord(RELEASE, ReleaseState.SETTLED, T0)
    assert doubts(replace(GUARD, release=settled), [other], NOTHING, at(90)) == {}
    assert assess(GUARD, NOTHING, at(90), [other]).doubts == doubts(GUARD, [other], NOTHING, at(90))


def test_data_waits_for_a_person_and_the_reason_is_told_once() -> None:
    climb = Climb()
    climb.start()
    doubt = {"incident mail": "guard mail is in trouble at the same time (mail-1)"}
    climb.say(replace(judged(errors=breach(), proof=SCHEMA), doubts=doubt))
    again = climb.say(replace(judged(errors=breach(), proof=SCHEMA), doubts=doubt))
    assert not [one for one in again if isinstance(one, ev.DoubtFound)]
    while climb.phase() is RunPhase.ACTING:
        climb.after(Recovery.STILL_BROKEN)
    assert waits(climb) == f"something else happens at the same time: {doubt['incident mail']}"
    (told,) = climb.events(ev.DoubtFound)
    assert tell(climb.guard, told) == f"Data waits for a person: {doubt['incident mail']}"


def test_a_doubt_that_comes_later_counts_too() -> None:
    climb = Climb()
    climb.start()
    climb.say(judged(errors=breach(), proof=SCHEMA))
    climb.say(replace(judged(errors=breach(), proof=SCHEMA), doubts={"x": "a node was lost"}))
    assert climb.guard.incident is not None
    assert climb.guard.incident.doubts == {"x": "a node was lost"}


FINGERPRINT = Brake(of=Selector("schema"), why="somebody changed the schema", during=(Phase.BAKING,))


def _schema(*values: float, armed: int | None = 60) -> dict[str, str]:
    state = ReleaseState.APPLYING if armed is None else ReleaseState.BAKING
    record = ReleaseRecord(RELEASE, state, at(30), armed_at=None if armed is None else at(armed))
    guard = Guard(replace(SETTINGS, brakes=(FINGERPRINT,)), release=record)
    seen = windows([signal("schema", SignalKind.GAUGE)], read("schema", values, every=15 * SECOND))
    return doubts(guard, (), seen, at(15 * len(values)))


def test_a_schema_that_changes_while_the_release_bakes_was_changed_by_somebody_else() -> None:
    assert _schema(1, 1, 2, 3, 3, 3, 4) == {"changed schema": "somebody changed the schema, 60 s after T-0"}


@pytest.mark.parametrize("values", [[1, 1, 2, 3, 3, 3], [1, 1, 1, 1, 2, 2], [1, 1, 2, 3, 4]])
def test_what_the_release_changed_itself_is_none_also_when_it_is_read_just_after_it_was_armed(
    values: list[float],
) -> None:
    assert _schema(*values) == {}


def test_while_it_is_applied_every_change_is_its_own() -> None:
    assert _schema(1, 2, 3, 4, 5, 6, 7, armed=None) == {}


def test_a_change_long_ago_is_known_as_long_as_its_samples_are() -> None:
    def found(readings: int) -> dict[str, str]:
        values = [1.0] * 10 + [2.0] * (readings - 10)
        seen = windows([signal("started", SignalKind.GAUGE)], read("started", values))
        return doubts(GUARD, (), seen, at(5 * readings))

    assert found(150) != {}
    assert found(310) == {}
