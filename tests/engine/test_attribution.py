"""Who fails tells code, data and everything else apart."""

from dataclasses import replace

import pytest

from tests.engine.climb import SETTINGS, Climb, breach, judged, waits
from tests.engine.series import T0, at, read, signal, windows
from watchdog.engine.assess import assess
from watchdog.engine.attribution import attribute
from watchdog.engine.windows import Windows
from watchdog.engine.wording import tell
from watchdog.model import events as ev
from watchdog.model.attribution import Attribution, Comparison, Origin
from watchdog.model.guards import Guard, Incident, ReleaseRecord, RunPhase
from watchdog.model.releases import Release, ReleaseState
from watchdog.model.rules import RungKind
from watchdog.model.signals import Selector
from watchdog.model.verdicts import Recovery

COMPARISON = Comparison(Selector("errors"), Selector("requests"))
RELEASE = Release("r1", ("one",), old_version="v1", new_version="v2")
SCHEMA = {"SQLSTATE 42703": "the service counted SQLSTATE 42703 40 times since T-0"}
DAMAGE = {"integrity orphans": "orphans reports 5 violations"}


def _of(**versions: tuple[float, float]) -> Windows:
    """Requests a tick, and how many of them fail, by version."""
    samples = []
    for version, (total, bad) in versions.items():
        labels = (("version", version),)
        samples.append(read("requests", [total * n for n in range(13)], labels=labels))
        samples.append(read("errors", [bad * n for n in range(13)], labels=labels))
    return windows([signal("requests"), signal("errors")], *samples)


def _cause(seen: Windows, proof: dict[str, str] | None = None) -> Origin:
    return attribute(seen, COMPARISON, RELEASE, proof or {}, T0, at(60)).origin


def test_only_the_new_version_fails_so_it_is_its_code() -> None:
    seen = _of(v1=(100, 0), v2=(100, 40))
    assert _cause(seen) is Origin.CODE
    assert _cause(seen, SCHEMA) is Origin.CODE
    why = attribute(seen, COMPARISON, RELEASE, {}, T0, at(60)).why
    assert why == "only the new version fails: v2 40.0% of 1200, v1 0.0% of 1200"


def test_both_fail_with_errors_of_the_schema_so_it_is_the_data() -> None:
    assert _cause(_of(v1=(100, 40), v2=(100, 40)), SCHEMA) is Origin.DATA


def test_both_fail_with_other_errors_so_it_is_elsewhere() -> None:
    assert _cause(_of(v1=(100, 40), v2=(100, 40))) is Origin.ELSEWHERE
    assert _cause(_of(v1=(100, 40), v2=(100, 0))) is Origin.ELSEWHERE
    assert _cause(_of(v1=(100, 40))) is Origin.ELSEWHERE


def test_damaged_data_is_the_data_whoever_fails() -> None:
    assert _cause(_of(v1=(100, 0), v2=(100, 40)), DAMAGE) is Origin.DATA


def test_where_only_the_new_version_runs_errors_of_the_schema_decide() -> None:
    assert _cause(_of(v2=(100, 40)), SCHEMA) is Origin.DATA
    assert _cause(_of(v2=(100, 40))) is Origin.UNKNOWN


@pytest.mark.parametrize(
    "seen",
    [_of(), _of(v1=(100, 0)), _of(v1=(1, 0), v2=(1, 0)), _of(v1=(0, 0), v2=(100, 40))],
    ids=["nothing", "only the old one, well", "too little", "the old one idle"],
)
def test_what_cannot_be_told_is_not_guessed(seen: Windows) -> None:
    assert _cause(seen) is Origin.UNKNOWN


def test_a_version_that_stopped_when_the_new_one_came_tells_nothing() -> None:
    """It was well before the last change, and never ran beside the new one."""
    before = (("version", "v1"),)
    after = (("version", "v2"),)
    seen = windows(
        [signal("requests"), signal("errors")],
        read("requests", [100 * n for n in range(7)], labels=before),
        read("errors", [0] * 7, labels=before),
        read("requests", [100 * n for n in range(6)], labels=after, start=at(32)),
        read("errors", [40 * n for n in range(6)], labels=after, start=at(32)),
    )
    assert _cause(seen) is Origin.UNKNOWN
    assert _cause(seen, SCHEMA) is Origin.DATA


def test_a_change_that_breaks_both_is_seen_although_they_were_well_for_long() -> None:
    samples = []
    for version in ("v1", "v2"):
        labels = (("version", version),)
        samples.append(read("requests", [100 * n for n in range(121)], labels=labels))
        samples.append(read("errors", [max(0, 40 * (n - 114)) for n in range(121)], labels=labels))
    seen = windows([signal("requests"), signal("errors")], *samples)
    assert attribute(seen, COMPARISON, RELEASE, SCHEMA, T0, at(600)).origin is Origin.DATA


def test_what_happened_before_the_release_does_not_count() -> None:
    seen = _of(v1=(100, 40), v2=(100, 0))
    assert attribute(seen, COMPARISON, RELEASE, {}, at(55), at(60)).origin is not Origin.CODE
    assert attribute(seen, COMPARISON, RELEASE, {}, at(60), at(60)).origin is Origin.UNKNOWN


CODE = Attribution(Origin.CODE, "only the new version fails")
DATA = Attribution(Origin.DATA, "the old version fails too", both=True)
ELSEWHERE = Attribution(Origin.ELSEWHERE, "the old version fails alike", both=True)


def _breached(told: Attribution | None, proof: dict[str, str] | None = None) -> Climb:
    climb = Climb()
    climb.start()
    climb.say(replace(judged(errors=breach(), proof=proof or {}), attribution=told))
    return climb


def _incident(climb: Climb) -> Incident:
    assert climb.guard.incident is not None
    return climb.guard.incident


def test_it_is_told_once_and_again_when_it_is_seen_otherwise() -> None:
    climb = _breached(CODE)
    assert _incident(climb).attribution == CODE
    again = climb.say(replace(judged(errors=breach()), attribution=replace(CODE, why="with other numbers")))
    assert not [one for one in again if isinstance(one, ev.Attributed)]
    climb.say(replace(judged(errors=breach()), attribution=Attribution(Origin.UNKNOWN, "no requests any more")))
    assert _incident(climb).attribution == CODE
    climb.say(replace(judged(errors=breach()), attribution=ELSEWHERE))
    assert _incident(climb).attribution == ELSEWHERE


def test_where_old_code_fails_too_the_climb_begins_at_the_data() -> None:
    assert _incident(_breached(DATA, SCHEMA)).enters is RungKind.DATA
    assert _incident(_breached(replace(DATA, both=False), SCHEMA)).enters is not RungKind.DATA
    assert _incident(_breached(CODE, SCHEMA)).enters is not RungKind.DATA


@pytest.mark.parametrize("told", [CODE, ELSEWHERE])
def test_data_waits_for_a_person_where_it_does_not_look_like_the_data(told: Attribution) -> None:
    climb = _breached(told, SCHEMA)
    while climb.phase() is RunPhase.ACTING:
        climb.after(Recovery.STILL_BROKEN)
    assert waits(climb) == f"it does not look like the data ({told.origin}): {told.why}"


def test_after_the_data_rung_began_nothing_more_is_made_of_it() -> None:
    climb = _breached(replace(DATA, both=False), SCHEMA)
    while climb.phase() is RunPhase.ACTING and not _incident(climb).data_touched:
        climb.after(Recovery.STILL_BROKEN)
    assert _incident(climb).data_touched
    climb.say(replace(judged(errors=breach(), proof=SCHEMA), attribution=CODE, doubts={"x": "a node was lost"}))
    assert _incident(climb).attribution == replace(DATA, both=False)
    assert _incident(climb).doubts == {}


def test_people_are_told_what_it_looks_like() -> None:
    guard = _breached(None).guard
    assert tell(guard, ev.Attributed(CODE)) == "It looks like *code*: only the new version fails"
    assert tell(guard, ev.Attributed(Attribution(Origin.UNKNOWN, "too few requests"))) == ""


def test_versions_are_compared_while_a_release_is_watched() -> None:
    seen = _of(v1=(100, 0), v2=(100, 40))
    settings = replace(SETTINGS, versions=(Comparison(Selector("nobody"), Selector("nothing")), COMPARISON))
    guard = Guard(settings, release=ReleaseRecord(RELEASE, ReleaseState.BAKING, T0))
    told = assess(guard, seen, at(60)).attribution
    assert told is not None
    assert told.origin is Origin.CODE
    assert assess(replace(guard, release=None), seen, at(60)).attribution is None
    assert assess(replace(guard, settings=SETTINGS), seen, at(60)).attribution is None
    settled = replace(guard, release=ReleaseRecord(RELEASE, ReleaseState.SETTLED, T0))
    assert assess(settled, seen, at(60)).attribution is None
